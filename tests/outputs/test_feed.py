"""What a tracker is sent of a log that is resumed, rolled back, or was mirrored only in part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ganforge.outputs.metrics_log import MetricsLog, truncate_after
from ganforge.outputs.mirror.feed import Feed, Position

NEW: Position = (-1, 0)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def write(log: Path, *seen: int, value: float = 0.0) -> None:
    for each in seen:
        MetricsLog(log).append({"images_seen": each, "loss/d": value})


def news(feed: Feed) -> tuple[int | None, list[Any]]:
    purge, rows = feed.poll()
    return purge, [row["images_seen"] for row in rows]


@pytest.mark.parametrize("purges", [False, True])
def test_rows_come_once_and_in_order(log: Path, purges: bool) -> None:
    feed = Feed(log, NEW, -1, purges)
    assert news(feed) == (None, [])
    write(log, 64, 128, 128)
    assert news(feed) == (None, [64, 128, 128])
    assert (news(feed), feed.position) == ((None, []), (128, 2))
    write(log, 128)
    assert (news(feed), feed.position) == ((None, [128]), (128, 3))


def test_without_purging_a_resumed_run_goes_on_where_the_record_ends(log: Path) -> None:
    write(log, 64, 128, 128, 192)
    feed = Feed(log, (128, 1), 64, False)
    assert news(feed) == (None, [128, 192])


@pytest.mark.parametrize(
    ("sent", "rows_until", "purge", "rows"),
    [
        ((192, 1), 128, 128, [128, 128, 192]),  # cut back to a checkpoint at 128
        ((64, 1), 128, 64, [64, 128, 128, 192]),  # killed before it had sent everything
        ((192, 1), -1, 0, [64, 128, 128, 192]),  # cut back to the start
    ],
)
def test_with_purging_a_resumed_run_replaces_what_it_repeats(
    log: Path, sent: Position, rows_until: int, purge: int, rows: list[int]
) -> None:
    write(log, 64, 128, 128, 192)
    feed = Feed(log, sent, rows_until, True)
    assert news(feed) == (purge, rows)
    assert news(feed) == (None, [])


def test_a_rollback(log: Path) -> None:
    keeps, purges = Feed(log, NEW, -1, False), Feed(log, NEW, -1, True)
    write(log, 64, 128, 192, 256)
    for feed in (keeps, purges):
        assert news(feed) == (None, [64, 128, 192, 256])
    truncate_after(log, 128)
    write(log, 192, value=1.0)
    assert news(keeps) == (None, [])
    assert news(purges) == (192, [192])
    assert purges.position == (192, 1)
    write(log, 256, 320, value=1.0)
    assert news(keeps) == (None, [320])
    assert news(purges) == (None, [256, 320])


def test_a_log_that_is_only_written_anew_is_not_sent_again(log: Path) -> None:
    feed = Feed(log, NEW, -1, True)
    write(log, 64, 128)
    news(feed)
    truncate_after(log, 128)
    write(log, 192)
    assert news(feed) == (None, [192])
