"""Where a new run is written: claimed before it is inspected, so that exactly one of several starts trains."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ganforge.api import UserError
from ganforge.outputs.claim import Busy, Claim, take
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.place import Place, numbered, reached
from support.command_line import EXAMPLE, TINY, call, contents, refused, sets
from support.toys import toy_config


def place(said: list[str]) -> Place:
    return Place(toy_config(), said.append)


def saved(path: Path) -> Path:
    """A run with a checkpoint."""
    (RunFolder.create(path, {"seed": 1}, {}).checkpoints / f"{64:012d}").mkdir()
    return path


def test_a_second_run_of_a_file_has_a_folder_of_its_own(tmp_path: Path) -> None:
    call(tmp_path, "run", EXAMPLE, *sets(*TINY))
    before = contents(tmp_path / "runs" / EXAMPLE.stem)
    done = call(tmp_path, "run", EXAMPLE, *sets(*TINY))
    name = f"runs/{EXAMPLE.stem}"
    assert done.code == 0
    assert done.err.splitlines()[0] == (
        f"{name} already holds a run; this one is written to {name}-2 (--overwrite replaces the old one)"
    )
    assert done.out.splitlines()[0] == f"finished after 64 images; the run is in {name}-2"
    assert contents(tmp_path / "runs" / EXAMPLE.stem) == before


def test_overwrite_replaces_a_run_once_the_new_one_has_started(tmp_path: Path) -> None:
    call(tmp_path, "run", EXAMPLE, "-o", "mine", *sets(*TINY))
    (tmp_path / "mine" / "evaluations.jsonl").write_text("")
    # One that cannot start leaves the old run as it was.
    refused(tmp_path, "run", EXAMPLE, "-o", "mine", "--overwrite", *sets(*TINY, "data.root=nowhere"))
    done = call(tmp_path, "run", EXAMPLE, "-o", "mine", "--overwrite", *sets(*TINY, "train.seed=5"))
    assert done.code == 0
    assert done.err.splitlines()[0] == "mine: its run is replaced"
    assert json.loads((tmp_path / "mine" / "run.json").read_text())["seed"] == 5
    assert not (tmp_path / "mine" / "evaluations.jsonl").exists()
    assert not (tmp_path / "mine" / ".replaced.tmp").exists()


def test_overwrite_touches_nothing_that_is_not_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "main.tex").write_text("precious")
    assert refused(tmp_path, "run", EXAMPLE, "-o", "thesis", "--overwrite", *sets(*TINY)) == [
        "thesis is not a run folder: it has no config.toml and no run.json; pass the folder that 'ganforge "
        "run' wrote"
    ]
    saved(tmp_path / "mine")
    (tmp_path / "mine" / "main.tex").write_text("precious")
    assert refused(tmp_path, "run", EXAMPLE, "-o", "mine", "--overwrite", *sets(*TINY)) == [
        "run folder mine holds 'main.tex', which is not part of a run; move that elsewhere and try again, or "
        "choose another with --out"
    ]


def test_numbers_skip_folders_that_hold_a_run_or_are_in_use(tmp_path: Path) -> None:
    names = numbered(tmp_path / "a")
    assert [next(names).name for _ in range(3)] == ["a", "a-2", "a-3"]
    saved(tmp_path / "a")
    other = take(tmp_path / "a-2")
    assert isinstance(other, Claim)
    said = list[str]()
    with place(said).held(tmp_path / "a", numbered=True, overwrite=False) as found:
        assert found == tmp_path / "a-3"
    other.release(failed=True)
    assert not (tmp_path / "a-2").exists()


def test_a_folder_in_use_is_named_and_left_alone(tmp_path: Path) -> None:
    claim = take(tmp_path / "deep" / "a")
    assert isinstance(claim, Claim) and claim.made == (tmp_path / "deep" / "a", tmp_path / "deep")
    with (
        pytest.raises(UserError, match=r"is in use by another training process \(pid \d+ on "),
        place([]).held(tmp_path / "deep" / "a", numbered=False, overwrite=True),
    ):
        pass
    claim.release(failed=True)
    assert not (tmp_path / "deep").exists()


def test_a_lock_on_a_folder_that_is_gone_is_no_claim(tmp_path: Path) -> None:
    """The holder of a folder may remove it between another one's opening and locking it."""
    first = take(tmp_path / "a")
    assert isinstance(first, Claim)
    real_open = os.open

    def remove_after_opening(path: Any, *arguments: Any, **named: Any) -> int:
        descriptor = real_open(path, *arguments, **named)
        if path == tmp_path / "a" and (tmp_path / "a").exists() and not removed:
            removed.append(path)
            first.release(failed=True)
        return descriptor

    removed = list[Any]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", remove_after_opening)
        second = take(tmp_path / "a")
    assert removed and isinstance(second, Claim) and (tmp_path / "a").is_dir()
    assert isinstance(take(tmp_path / "a"), Busy)
    second.release()


def _hold(path: Path, ready: Any, results: Any) -> None:
    ready.wait()
    try:
        with place([]).held(path, numbered=False, overwrite=False) as folder:
            RunFolder.create(folder, {"seed": os.getpid()}, {})
            results.put("trains")
            ready.wait()
    except UserError as error:
        results.put(str(error))
        ready.wait()


def test_of_several_simultaneous_starts_exactly_one_trains(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    count = 6
    ready, results = context.Barrier(count), context.Queue()
    processes = [context.Process(target=_hold, args=(tmp_path / "a", ready, results)) for _ in range(count)]
    for process in processes:
        process.start()
    said = sorted(results.get(timeout=60) for _ in range(count))
    for process in processes:
        process.join(60)
    assert said[-1] == "trains"
    assert all(line.startswith(f"run folder {tmp_path / 'a'} is in use by ") for line in said[:-1])


def test_a_damaged_record_counts_as_a_run(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "a", {}, {})
    assert not reached(run, 64)
    run.metrics.write_text("nonsense\n{}\n")
    assert reached(run, 64)


@pytest.mark.slow
@pytest.mark.parametrize("resume", ["never", "auto"])
def test_simultaneous_commands_end_in_one_run_and_messages(tmp_path: Path, resume: str) -> None:
    command = [sys.executable, "-m", "ganforge", "run", str(EXAMPLE), "--out", "mine"]
    command += sets(*TINY, "train.images=3200", f"train.resume={resume}")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    ended = list[tuple[int, str]]()

    def start() -> None:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            stdout=subprocess.DEVNULL,
        )
        ended.append((done.returncode, done.stderr))

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "Traceback" not in "".join(text for _, text in ended)
    rows = [json.loads(line) for line in (tmp_path / "mine" / "metrics.jsonl").read_text().splitlines()]
    assert [row["images_seen"] for row in rows] == sorted({row["images_seen"] for row in rows})
    assert {code for code, _ in ended} <= {0, 2} and 0 in {code for code, _ in ended}
