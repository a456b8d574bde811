"""The one line about a tracker that a run ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ganforge.config import RunConfig
from ganforge.outputs.mirror.files import MirrorStatus
from ganforge.outputs.mirror.link import status_line
from ganforge.outputs.mirror.mirrors import trackers_of
from ganforge.outputs.run_folder import RunFolder
from support.toys import toy_config, toy_document, toy_registry

SYNC = "wandb sync 'a b/wandb/run-1'"


@pytest.mark.parametrize(
    ("status", "running", "line"),
    [
        (
            MirrorStatus(),
            False,
            "W&B: the mirror did not start; the metrics are in a b/metrics.jsonl (log: a b/wandb/mirror.log)",
        ),
        (
            MirrorStatus(state="failed", reason="no disk"),
            False,
            "W&B: the mirror stopped (no disk); the metrics are in a b/metrics.jsonl (log: a b/wandb/mirror.log)",
        ),
        (
            MirrorStatus(state="recording", place="http://x/r", by_hand=SYNC, finished=True),
            False,
            "W&B: http://x/r",
        ),
        (
            MirrorStatus(state="recording", place="http://x/r", by_hand=SYNC),
            True,
            f"W&B: http://x/r (still uploading in the background; to complete it by hand: {SYNC})",
        ),
        (
            MirrorStatus(state="recording", place="http://x/r", by_hand=SYNC),
            False,
            f"W&B: http://x/r (the upload was interrupted; to complete it by hand: {SYNC})",
        ),
        (MirrorStatus(state="recording", place="recorded offline"), False, "W&B: recorded offline"),
    ],
)
def test_what_the_user_reads(status: MirrorStatus, running: bool, line: str) -> None:
    run = RunFolder(Path("a b"))
    assert status_line(run, run.wandb, "W&B", status, running) == line


def started(config: RunConfig, resumed: bool = False) -> list[tuple[str, str, bool | None]]:
    run = RunFolder(Path("r"))
    found = trackers_of(run, config, toy_registry(), resumed)
    return [(tracker.type, str(folder), asked) for tracker, folder, asked in found]


def without_wandb(**sections: Any) -> RunConfig:
    from ganforge.config import validate

    document = {key: value for key, value in toy_document(**sections).items() if key != "wandb"}
    return validate(document, toy_registry(), file="toy.toml")


def test_who_never_asked_reads_no_line() -> None:
    assert started(without_wandb()) == [("wandb", "r/wandb", False)]
    assert started(without_wandb(), resumed=True) == [("wandb", "r/wandb", None)]


@pytest.mark.parametrize("table", [{"mode": "offline"}, {"mode": "online"}, {"project": "p"}])
def test_who_has_the_table_reads_it(table: dict[str, str]) -> None:
    config = without_wandb(**{"health": {}})
    asked = type(config).model_validate({**dict(config), "wandb": type(config.wandb)(**table)})  # type: ignore[arg-type]
    assert started(asked) == [("wandb", "r/wandb", True)]


def test_a_resumed_run_that_changes_the_table_reads_it() -> None:
    assert started(toy_config(wandb={"mode": "online"}), resumed=True) == [("wandb", "r/wandb", True)]


def test_trackers_have_a_folder_each_and_one_wandb_is_enough() -> None:
    names = ["tensorboard", "wandb", "tensorboard"]
    config = without_wandb(trackers=[{"type": name} for name in names])
    assert started(config) == [
        ("tensorboard", "r/trackers/tensorboard", True),
        ("wandb", "r/trackers/wandb", True),
        ("tensorboard", "r/trackers/tensorboard-2", True),
    ]
