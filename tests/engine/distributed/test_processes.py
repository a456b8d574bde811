"""Real processes over gloo: the mathematics of one process, the same weights everywhere, disjoint data."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.games import OTHERWISE
from support.paths import TESTS
from support.torchrun import torchrun
from support.toys import toy_registry


def test_two_processes_agree_where_they_must(tmp_path: Path) -> None:
    done = torchrun(TESTS / "support" / "two_processes.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [
        "d: updates 6, ranks equal: True",
        "g: updates 3, ranks equal: True",
        "terms, by micro-batch: {'gradient_penalty': 12, 'r1': 6}",
        "shared samples: 0",
        "samples as of one process: [1.0, 1.0], made [128, 72]",
        "weights with metrics as without, rows: [[1.0, 3.0], [1.0, 0.0]]",
        "stopped: [[0.0, 1.0, 8.0], [0.0, 1.0, 8.0]], another process of the run was asked to stop",
        "memory: equal True, own True, rows True, back True",
        "after 8 images the weights have diverged from rank 0 (left): memory of terms.0._mean in process 1 (right)",
        "after 0 images the weights have diverged from rank 0 (left): "
        "network_d in process 1 (right). This checkpoint was not written; the previous one is "
        "intact, and 'ganforge resume' continues from there. If it happens again: a callback or an "
        "architecture behaves differently in one process, or a machine is faulty",
        "checkpoints: 0",
    ]


def compared(tmp_path: Path, processes: int, *options: str) -> dict[str, float]:
    """Case -> the relative difference of its gradients from those of one process."""
    done = torchrun("-m", "experiments.equality_table", *options, cwd=tmp_path, processes=processes)
    assert done.returncode == 0, done.stderr[-2000:]
    return {line[:-9]: float(line[-9:]) for line in done.stdout.splitlines()}


@pytest.mark.slow
def test_gradients_are_those_of_one_process(tmp_path: Path) -> None:
    found = compared(tmp_path, 2)
    assert len(found) == 11
    assert {case: value for case, value in found.items() if not value < 1e-10} == {}


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_every_loss_and_term_has_the_gradients_of_one_process(tmp_path: Path, processes: int) -> None:
    found = compared(tmp_path, processes, "--all")
    names = {name for kind in ("loss", "terms") for name in toy_registry().components[kind]}
    names -= OTHERWISE
    assert {name for name in names if not any(name in case for case in found)} == set()
    assert {case: value for case, value in found.items() if not value < 1e-10} == {}
