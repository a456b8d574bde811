"""How many threads a run on the CPU uses next to other work: chosen before torch is loaded, and by nobody
else than the user where the user has chosen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganforge.cli import cores
from ganforge.cli.cores import Choice, choose, free_cores, prepare


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (4.0, Choice(None, False)),
        (3.6, Choice(None, False)),
        (3.1, Choice(3, False)),
        (1.4, Choice(1, False)),
        (0.5, Choice(1, False)),
        (0.4, Choice(None, True)),
        (0.0, Choice(None, True)),
    ],
)
def test_a_core_that_is_busy_gets_no_thread(free: float, expected: Choice) -> None:
    assert choose(4, free) == expected


def ticks(busy: dict[int, int], idle: dict[int, int]) -> str:
    """/proc/stat of cores with these ticks of work, and of waiting, half of it for a disk."""
    cores = (f"cpu{core} {busy[core]} 0 0 {idle[core] // 2} {idle[core] // 2} 0 0 0 7 7" for core in busy)
    return "\n".join(["cpu 1 2 3 4 5 6 7 8 0 0", *cores, "intr 5 6", "ctxt 9"])


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for /proc/stat, for a process that may use two of three cores, with no quota."""
    monkeypatch.setattr(cores, "STAT", tmp_path / "stat")
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "none")
    monkeypatch.setattr(cores, "cores_of_this_process", lambda: [0, 2])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    return tmp_path / "stat"


def later(stat: Path, monkeypatch: pytest.MonkeyPatch, busy: dict[int, int], idle: dict[int, int]) -> None:
    """The file says nothing has been done so far, and that, once somebody has slept."""
    stat.write_text(ticks(dict.fromkeys(busy, 0), dict.fromkeys(busy, 0)))
    monkeypatch.setattr(cores.time, "sleep", lambda seconds: stat.write_text(ticks(busy, idle)))


def test_idle_is_what_the_cores_of_this_process_are(stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(stat, monkeypatch, busy={0: 10, 1: 40, 2: 4}, idle={0: 10, 1: 0, 2: 16})
    assert free_cores() == pytest.approx(0.5 + 0.8)
    stat.unlink()
    assert free_cores() is None


@pytest.mark.parametrize(
    ("busy", "expected", "line"),
    [
        (0, {}, None),
        (
            20,
            {"GANFORGE_THREADS": "1"},
            "1.0 of 2 cores are busy with other work: using 1 thread (set OMP_NUM_THREADS to change this)",
        ),
        (38, {"GOMP_SPINCOUNT": "1000"}, "all 2 cores are busy with other work; this run shares them"),
    ],
)
def test_the_environment_says_what_was_chosen(
    stat: Path, monkeypatch: pytest.MonkeyPatch, busy: int, expected: dict[str, str], line: str | None
) -> None:
    taken = {0: min(busy, 20), 1: 20, 2: max(0, busy - 20)}
    later(stat, monkeypatch, taken, {core: 20 - work for core, work in taken.items()})
    environment: dict[str, str] = {}
    assert prepare(environment) == line
    assert environment == expected


@pytest.mark.parametrize("name", [*cores.USERS, "RANK"])
def test_what_the_user_or_a_launcher_has_set_is_left_alone(
    stat: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    later(stat, monkeypatch, busy={0: 20, 1: 20, 2: 20}, idle={0: 0, 1: 0, 2: 0})
    environment = {name: "0"}
    assert prepare(environment) is None
    assert environment == {name: "0"}


def test_nothing_is_set_once_torch_is_loaded(stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(stat, monkeypatch, busy={0: 20, 1: 20, 2: 20}, idle={0: 0, 1: 0, 2: 0})
    monkeypatch.setitem(sys.modules, "torch", cores)
    environment: dict[str, str] = {}
    assert (prepare(environment), environment) == (None, {})


def test_a_container_gets_the_threads_of_its_quota(
    stat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(cores, "QUOTA", quota)
    later(stat, monkeypatch, busy={0: 0, 1: 0, 2: 0}, idle={0: 20, 1: 20, 2: 20})
    for text, expected in (("150000 100000\n", {"GANFORGE_THREADS": "1"}), ("max 100000\n", {})):
        quota.write_text(text)
        environment: dict[str, str] = {}
        assert prepare(environment) is None
        assert environment == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({"GANFORGE_THREADS": "1"}, 1), ({"GANFORGE_THREADS": "1", "OMP_NUM_THREADS": "2"}, 2)],
)
def test_the_engine_takes_the_number_unless_the_user_has_one(
    variables: dict[str, str], expected: int
) -> None:
    code = (
        "import torch; torch.set_num_threads(2); from ganforge.config.sections import Train\n"
        "from ganforge.engine.distributed.runtime import Runtime; Runtime(Train(device='cpu')).close()\n"
        "print(torch.get_num_threads())"
    )
    clean = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | variables, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{expected}\n"
