"""A report of records with values that ganforge does not write, or seldom: it is made, and true, all the same."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ganforge.api import DataSpec
from ganforge.facade.html import card
from ganforge.outputs.metrics_log import MetricsLog
from ganforge.outputs.report import write_report
from ganforge.outputs.report.curves import PRINTED_POINTS, _thinned
from ganforge.outputs.report.pictures import encode
from ganforge.outputs.report.records import Record
from ganforge.outputs.run_folder import RunFolder
from ganforge.outputs.run_list import run_list


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of 1,000 rows."""
    made = RunFolder.create(tmp_path / "run", {"train": {"images": 1000}}, {"device": "cpu"})
    log = MetricsLog(made.metrics)
    for place in range(1, 1001):
        log.append({"images_seen": place, "loss/d": 1.0})
    return made


def test_a_curve_of_one_row_among_many_is_printed_too(run: RunFolder) -> None:
    lines = run.metrics.read_text().splitlines()
    lines[7] = '{"images_seen": 8, "loss/d": 1.0, "lr/d": 0.25}'
    run.metrics.write_text("\n".join(lines) + "\n")
    page = write_report(run).read_text()
    assert "alt='Learning rates against images seen'" in page and "<td>0.25</td>" in page


def test_thinned_rows_keep_the_last_and_about_as_many_as_are_printed() -> None:
    rows: list[dict[str, Any]] = [
        {"images_seen": place, "loss/d": 1.0} for place in range(10 * PRINTED_POINTS)
    ]
    kept = _thinned(rows)
    assert PRINTED_POINTS <= len(kept) <= PRINTED_POINTS + 1
    assert kept[0] is rows[0] and kept[-1] is rows[-1]


@pytest.mark.parametrize(
    "config",
    [
        '[logging]\nkeep_best = ["fid"]\n',
        'terms = [1]\nnets = "x"\n[data]\ntype = 3\n[loss]\ntype = ["hinge"]\n[train]\nimages = "many"\n',
        "train = 4\nlogging = 3\nnets = 1\ndata = 2\n",
    ],
)
def test_a_config_of_other_types(run: RunFolder, config: str) -> None:
    run.config.write_text(config)
    assert "trained on 1,000 images" in write_report(run).read_text()
    assert "1,000 of 0 images seen" in card(run, DataSpec(shape=(3, 8, 8))).plain
    (listed,) = run_list(run.path)
    assert (listed.images_seen, listed.images) == (1000, 0)


@pytest.mark.parametrize("kind", [["many_of_k"], {"a": 1}])
def test_labels_of_another_type(run: RunFolder, kind: object) -> None:
    run.info.write_text(
        json.dumps({"data_spec": {"shape": [3, 8, 8], "labels": {"kind": kind, "names": ["a"]}}})
    )
    assert "8 x 8 pixels" in write_report(run).read_text()


def test_numbers_beyond_any_float(run: RunFolder) -> None:
    huge = "1" + "0" * 400
    with run.metrics.open("a") as file:
        file.write(f'{{"images_seen": 1001, "loss/d": {huge}}}\n{{"images_seen": {huge}, "loss/d": 2}}\n')
        file.write('{"images_seen": -1, "loss/d": 3}\n')
    record = Record.read(run, "run")
    assert (len(record.rows), record.images_seen) == (1001, 1001)
    assert record.notes == ["2 of 1003 lines of metrics.jsonl are damaged and left out"]
    assert "trained on 1,001 images" in write_report(run).read_text()


def test_a_picture_that_is_taller_than_webp_allows_is_scaled(run: RunFolder) -> None:
    Image.new("L", (32, 20_000)).save(run.grid(1000))
    page = write_report(run).read_text()
    (source,) = set(re.findall(r"src='data:image/webp;base64,([^']+)' id='run0-film-samples-picture'", page))
    assert Image.open(io.BytesIO(b64decode(source))).size == (26, 16_383)
    assert encode(Image.new("L", (100, 50)), 50, 85).width == 100, "of the original"


def test_a_report_into_a_folder_is_refused(run: RunFolder) -> None:
    with pytest.raises(IsADirectoryError):
        write_report(run, out=Path("."))
