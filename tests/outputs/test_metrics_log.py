"""metrics.jsonl: whole lines or none, in order, none twice."""

from __future__ import annotations

import errno
import json
import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.outputs.metrics_log import MetricsLog, read_new_rows, read_rows, truncate_after


def rows(*images_seen: int) -> list[dict[str, int]]:
    return [{"iteration": seen // 10, "images_seen": seen} for seen in images_seen]


def filled(path: Path, *images_seen: int) -> Path:
    log = MetricsLog(path)
    for row in rows(*images_seen):
        log.append(row)
    return path


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Files cannot grow beyond `size` bytes: a write takes what fits, and the next one fails, which
    is what a disk that fills does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    path = filled(tmp_path / "m.jsonl", 10, 20, 20, 30)
    assert read_rows(path) == rows(10, 20, 20, 30)
    assert path.read_text().count("\n") == 4


def test_no_file_is_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "m.jsonl") == []
    assert read_new_rows(tmp_path / "m.jsonl", 0) == ([], 0)
    truncate_after(tmp_path / "m.jsonl", 10)
    assert not (tmp_path / "m.jsonl").exists()


def test_nonfinite_values_are_null_and_named(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    MetricsLog(path).append({"images_seen": 1, "loss/d": math.nan, "loss/g": -math.inf, "lr/d": 0.5})
    # Strict JSON: the words NaN and Infinity are Python's own and no other reader knows them.
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {
        "images_seen": 1,
        "loss/d": None,
        "loss/g": None,
        "lr/d": 0.5,
        "nonfinite": ["loss/d", "loss/g"],
    }


def test_a_torn_last_line_is_passed_over_and_then_mended(tmp_path: Path) -> None:
    path = filled(tmp_path / "m.jsonl", 10, 20)
    with path.open("a") as file:
        file.write('{"images_seen": 3')
    assert read_rows(path) == rows(10, 20)
    filled(path, 30)
    assert read_rows(path) == rows(10, 20, 30)


def test_a_broken_line_elsewhere_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"images_seen": 1}\n{"ima\n{"images_seen": 3}\n')
    with pytest.raises(UserError) as caught:
        read_rows(path)
    assert (
        str(caught.value) == f"{path}:2: expected a JSON object on this line; remove the line and try again"
    )


def test_truncate_after_keeps_the_checkpoint_and_what_came_before(tmp_path: Path) -> None:
    path = filled(tmp_path / "m.jsonl", 10, 20, 20, 30, 40)
    truncate_after(path, 20)
    assert read_rows(path) == rows(10, 20, 20)
    filled(path, 30)
    assert read_rows(path) == rows(10, 20, 20, 30)
    assert [file.name for file in tmp_path.iterdir()] == ["m.jsonl"]


def test_new_rows_are_told_once_and_only_when_whole(tmp_path: Path) -> None:
    path = filled(tmp_path / "m.jsonl", 10, 20)
    first, offset = read_new_rows(path, 0)
    with path.open("a") as file:
        file.write('{"iteration": 3, "images')
    second, offset = read_new_rows(path, offset)
    with path.open("a") as file:
        file.write('_seen": 30}\n')
    third, offset = read_new_rows(path, offset)
    assert (first, second, third) == (rows(10, 20), [], rows(30))
    assert offset == path.stat().st_size


def test_a_full_disk_is_told_with_the_file_name() -> None:
    with pytest.raises(OSError) as caught:
        MetricsLog(Path("/dev/full")).append({"images_seen": 1})
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/full")


def test_a_disk_that_fills_within_a_row_keeps_no_part_of_it(tmp_path: Path) -> None:
    path = filled(tmp_path / "m.jsonl", 10, 20)
    log = MetricsLog(path)
    with largest_file(path.stat().st_size + 7), pytest.raises(OSError) as caught:
        log.append({"iteration": 3, "images_seen": 30})
    assert caught.value.filename == str(path)
    assert path.read_bytes() == filled(tmp_path / "same.jsonl", 10, 20).read_bytes()
