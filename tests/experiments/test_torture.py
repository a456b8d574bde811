"""Killed, out of disk and damaged, in short; `python -m experiments.torture` does it at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import torture


@pytest.mark.slow
def test_a_run_survives_kills_a_full_disk_and_a_flipped_bit(tmp_path: Path) -> None:
    kills = 3
    report = torture.Torturer(tmp_path, torture.run_file(None, iterations=60), kills, seed=2).torture()
    # More where there were too few checkpoints to damage one.
    assert report.kills >= kills
    assert report.inside_a_write > 0
    # At most what came since the last checkpoint, and while the next was written; and one more is damaged.
    assert report.recomputed <= report.kills * 3 * torture.EVERY
    assert "noticed" in report.flipped
    assert "exit code 2" in report.disk
    assert "bytes lost            0" in str(report)
