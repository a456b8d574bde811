"""Which labels fail: the table, the chart, and where they go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ganforge.cli.evaluate import as_table
from ganforge.outputs.figures import render
from ganforge.outputs.recall_chart import draw_recall, recall_table, recalls, write_recall_charts
from ganforge.outputs.report import write_report
from ganforge.outputs.run_folder import RunFolder
from support.judges import blank_judge

VALUES = {
    "test_accuracy": 0.5,
    "test_accuracy_std": 0.1,
    "test_recall/red cube": 0.9,
    "test_recall/red cube_std": 0.01,
    "test_recall/cup": 0.25,
    "new_recall/cup": 1.0,
    "lost_recall/cup": None,
    "judge_recall": 0.3,
}


def row(**settings: Any) -> dict[str, Any]:
    return {"type": "condition_accuracy", "settings": settings, "values": VALUES}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", {"seed": 3}, {"ganforge": "0"})


def test_recalls_are_sorted_and_apart() -> None:
    found = recalls(VALUES)
    assert found == {"test": {"cup": 0.25, "red cube": 0.9}, "new": {"cup": 1.0}}
    assert list(found["test"]) == ["cup", "red cube"]


def test_the_table_has_a_bar_for_each_label() -> None:
    assert recall_table({"cup": 0.25, "red cube": 0.9}) == [
        "cup       0.250  #####",
        "red cube  0.900  ##################",
    ]


def test_the_terminal_shows_the_table_in_place_of_the_numbers() -> None:
    record = {"network": "ema", "images_seen": 64, "metrics": [row()]}
    assert as_table(record).splitlines() == [
        "generator after 64 images (moving average)",
        "condition_accuracy",
        f"  {'test_accuracy':40} 0.5000 ± 0.1000",
        f"  {'judge_recall':40} 0.3000",
        "  test_recall, lowest first",
        "    cup       0.250  #####",
        "    red cube  0.900  ##################",
        "  new_recall, lowest first",
        "    cup  1.000  ####################",
    ]


def test_bars_from_the_lowest_down_and_the_judges_own_recall() -> None:
    axes = draw_recall("test", {"cup": 0.25, "red cube": 0.9}, {"cup": 0.99, "other": 0.5}).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.25, 0.9]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cup", "red cube"]
    top, bottom = axes.get_ylim()
    assert top > bottom, "the first bar is the highest on the page"
    (marks,) = axes.collections
    assert marks.get_offsets().tolist() == [[0.99, 0.0]]
    assert not draw_recall("test", {"cup": 0.25}, {}).axes[0].collections


def test_charts_lie_in_the_run_and_in_its_report(run: RunFolder, tmp_path: Path) -> None:
    blank_judge(accuracy={"accuracy": 0.9, "recall/cup": 0.99}).save(tmp_path / "judge")
    written = write_recall_charts(run, [row(judge=str(tmp_path / "judge"))])
    assert written == [run.plots / "test_recall.png", run.plots / "new_recall.png"]
    with Image.open(written[0]) as image:
        assert image.width > 600
    before = written[0].read_bytes()
    # Without the marks the picture is another one.
    write_recall_charts(run, [row(judge=str(tmp_path / "gone"))])
    assert written[0].read_bytes() != before
    page = write_report(run).read_text()
    assert "<h2>Evaluations</h2>" in page
    assert "<figcaption>new: recall of each label</figcaption></figure><figure>" in page


def test_a_run_without_recalls_has_no_plots(run: RunFolder) -> None:
    assert write_recall_charts(run, [{"settings": {}, "values": {"judge_recall": 0.3}}]) == []
    assert not run.plots.exists()
    assert "recall of each label" not in write_report(run).read_text()


def test_a_name_is_no_path(run: RunFolder) -> None:
    values = {"../../evil name_recall/cup": 0.5}
    assert write_recall_charts(run, [{"settings": {}, "values": values}]) == [
        run.plots / "_evil_name_recall.png"
    ]


def test_dollars_in_a_label_are_no_mathematics() -> None:
    name = "$5_{ to $10"
    assert render(draw_recall(name, {name: 0.5, "cat": 1.0}, {name: 0.9}), "png").startswith(b"\x89PNG")
