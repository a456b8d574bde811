"""The one line about W&B that a run ends with."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganforge.outputs.mirror.files import MirrorStatus
from ganforge.outputs.mirror.link import status_line
from ganforge.outputs.run_folder import RunFolder


@pytest.mark.parametrize(
    ("status", "running", "line"),
    [
        (
            MirrorStatus(),
            False,
            "W&B: the mirror did not start; the metrics are in a b/metrics.jsonl (log: a b/wandb/mirror.log)",
        ),
        (
            MirrorStatus(mode="online", url="http://x/r", folder="run-1", finished=True),
            False,
            "W&B: http://x/r",
        ),
        (
            MirrorStatus(mode="online", url="http://x/r", folder="run-1"),
            True,
            "W&B: http://x/r (still uploading in the background; "
            "to complete it by hand: wandb sync 'a b/wandb/run-1')",
        ),
        (
            MirrorStatus(mode="online", url="http://x/r", folder="run-1"),
            False,
            "W&B: http://x/r (the upload was interrupted; "
            "to complete it by hand: wandb sync 'a b/wandb/run-1')",
        ),
        (
            MirrorStatus(mode="offline", folder="offline-run-1", reason="no key"),
            False,
            "W&B: not reachable (no key), recorded offline; to upload: wandb sync 'a b/wandb/offline-run-1'",
        ),
    ],
)
def test_what_the_user_is_told(status: MirrorStatus, running: bool, line: str) -> None:
    assert status_line(RunFolder(Path("a b")), status, running) == line
