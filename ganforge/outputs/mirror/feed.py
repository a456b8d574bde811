"""The rows of metrics.jsonl that a sink has not got yet, in spite of resumes and rollbacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from ganforge.outputs.metrics_log import read_new_rows

Position = tuple[int, int]
"""Images seen, number of rows there: a row has its place, because several may share the images seen."""


class News(NamedTuple):
    """What a sink is to do."""

    purge: int | None
    """Withdraw everything from these images seen on, first."""
    rows: list[dict[str, Any]]


class Feed:
    """Reads the log as it grows. A run that is resumed or rolled back writes rows again: a sink that purges
    withdraws them and gets the new ones; for any other they are left out until the run is beyond them."""

    def __init__(self, path: Path, sent: Position, rows_until: int, purges: bool) -> None:
        """`sent`: what earlier sessions have sent; `rows_until`: images seen at the run's last row when this
        session started."""
        self.path = path
        self.purges = purges
        self._skip = sent
        self._purge: int | None = None
        if purges and sent != (-1, 0):
            # Also where nothing was cut: the mirror may have been killed before it noted what it had sent.
            self._start_from(max(0, min(sent[0], rows_until)))
        self._offset = 0
        self._file = -1
        self._at: Position = (-1, 0)
        self._seen: list[tuple[int, int]] = []
        """Images seen and hash of each row of the file."""

    @property
    def position(self) -> Position:
        """What has been sent."""
        return max(self._at, self._skip)

    def poll(self) -> News:
        """What is new since the last call."""
        self._notice_rollback()
        rows, self._offset = read_new_rows(self.path, self._offset)
        new = []
        for row in rows:
            seen = row["images_seen"]
            self._at = (seen, self._at[1] + 1 if seen == self._at[0] else 1)
            if self.purges:
                self._seen.append((seen, hash(json.dumps(row))))
            if self._at > self._skip:
                new.append(row)
        purge, self._purge = self._purge, None
        return News(purge, new)

    def _notice_rollback(self) -> None:
        """A rollback replaces the log by a shorter one."""
        file = self.path.stat().st_ino if self.path.is_file() else -1
        if file != self._file and self._offset:
            if self.purges:
                self._compare()
            else:
                self._skip = max(self._at, self._skip)
            self._offset, self._at, self._seen = 0, (-1, 0), []
        self._file = file

    def _compare(self) -> None:
        """Finds the first row that is another one now."""
        rows, _ = read_new_rows(self.path, 0)
        now = [(row["images_seen"], hash(json.dumps(row))) for row in rows]
        same = 0
        while same < min(len(now), len(self._seen)) and now[same] == self._seen[same]:
            same += 1
        if same == len(self._seen):
            self._skip = max(self._at, self._skip)
            return
        self._start_from(min(pair[0] for pair in (*self._seen[same : same + 1], *now[same : same + 1])))

    def _start_from(self, images_seen: int) -> None:
        self._purge = images_seen if self._purge is None else min(images_seen, self._purge)
        self._skip = (images_seen, 0)
