"""Curves and report: what has data is drawn, and the page stands alone."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.outputs.grid import save_grid
from ganforge.outputs.metrics_log import MetricsLog
from ganforge.outputs.plots import draw_charts, plot_run, running_mean, select
from ganforge.outputs.report import write_report
from ganforge.outputs.run_folder import RunFolder
from support.html_page import Page

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    config = {"seed": 3, "data": {"type": "toy", "note": "<script>alert(1)</script> & 'more'"}}
    info = {
        "ganforge": "0.1.0",
        "device": "cpu",
        "packages": {"torch": "9.9"},
        "git": {"commit": "0123456789abcdef", "dirty": True},
        "warnings": ["<b>slow</b> disk"],
    }
    run = RunFolder.create(tmp_path / "a <run>", config, info)
    log = MetricsLog(run.metrics)
    for i in range(1, 21):
        log.append(
            {
                "iteration": i,
                "images_seen": 64 * i,
                "images_per_second": 40.0 + i,
                "seconds": 60.0 * i,
                "loss/d": 1 / i,
                "loss/g": math.nan if i == 5 else 2.0,
                "score/real": 0.5,
                "grad/d": 10.0**-i,
            }
        )
    log.append({"images_seen": 1280, "metric/fid": 31.5})
    return run


def test_only_charts_with_data(run: RunFolder, tmp_path: Path) -> None:
    written = plot_run(run, tmp_path / "out")
    names = ["losses", "scores", "gradient_norms", "metrics", "images_per_second"]
    assert [file.name for file in written] == [f"{name}.{kind}" for name in names for kind in ("png", "svg")]
    for file in written:
        if file.suffix == ".png":
            Image.open(file).verify()
        else:
            assert "<svg" in file.read_text(encoding="utf-8")
    assert sorted((tmp_path / "out").iterdir()) == sorted(written)


def test_no_rows_no_plots(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, {}, {})
    assert plot_run(run) == []
    assert not run.plots.exists()


def test_curves_hold_the_numbers_and_a_gap_for_what_was_lost() -> None:
    rows: list[dict[str, Any]] = [
        {"images_seen": 1, "loss/d": 0.5, "loss/x": None},
        {"images_seen": 2, "loss/d": None, "nonfinite": ["loss/d"]},
        {"images_seen": 3, "metric/fid": 2.0},
        {"images_seen": 4, "loss/d": 0.25},
    ]
    ((name, (seen, values)),) = select(rows, "loss/").items()
    assert (name, seen, values[0], values[2]) == ("loss/d", [1, 2, 4], 0.5, 0.25)
    assert math.isnan(values[1])


def test_scales_and_labels() -> None:
    rows = [
        {
            "images_seen": n,
            "score/real": 0.9,
            "score/fake_before_g": 0.1,
            "grad/d": 10.0**n,
            "metric/a": -n,
            "metric/b": n,
        }
        for n in range(1, 6)
    ]
    figures = {chart.name: figure for chart, figure in draw_charts(rows)}
    legend = figures["scores"].axes[0].get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["D(x)", "D(G(z)) before G's update"]
    assert figures["scores"].axes[0].get_xlabel() == "images seen"
    assert [axes.get_yscale() for axes in figures["scores"].axes] == ["linear"]
    assert [axes.get_yscale() for axes in figures["gradient_norms"].axes] == ["log"]
    assert len(figures["metrics"].axes) == 2


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_what_one_iteration_tells_is_drawn_as_points_and_their_mean() -> None:
    told = np.random.default_rng(0).random(30)
    rows = [
        {"images_seen": n, "score/fake_before_g": 0.5, "score/fake_after_g": float(value)}
        for n, value in enumerate(told)
    ]
    ((_, figure),) = draw_charts(rows)
    before, mean, points = (np.asarray(line.get_ydata(), float) for line in figure.axes[0].get_lines())
    assert before.tolist() == [0.5] * 30
    np.testing.assert_allclose(mean[4:-4], np.convolve(told, np.full(9, 1 / 9), "valid"))
    assert (mean[0], mean[-1]) == (pytest.approx(told[:5].mean()), pytest.approx(told[-5:].mean()))
    assert points.tolist() == told.tolist()
    assert legend_of(figure.axes[0]) == [
        "D(G(z)) before G's update",
        "D(G(z)) after G's update, mean of 9 rows",
        "single iterations",
    ]


def test_a_mean_of_neighbours_leaves_gaps_out() -> None:
    gap = math.nan
    assert running_mean([1.0, gap, 4.0, 7.0, gap, gap, gap], 1)[:5] == [1.0, 2.5, 5.5, 5.5, 7.0]
    assert math.isnan(running_mean([1.0, gap, gap, gap], 1)[3])


def test_health_has_axes_for_what_belongs_together() -> None:
    rows = [
        {
            "images_seen": n,
            "health/weights_g": 2.0,
            "health/weights_d": 1.0,
            "health/diversity": 0.9,
            "health/separation": 0.8,
            "health/first_bad/loss": 3.0,
        }
        for n in range(3)
    ]
    ((chart, figure),) = draw_charts(rows)
    assert chart.name == "health"
    assert {axes.get_ylabel(): legend_of(axes) for axes in figure.axes} == {
        "share of pairs": ["real above fake (0.5 = chance)"],
        "relative to real": ["distance between two fakes"],
        "norm": ["weights of D", "weights of G"],
    }
    assert draw_charts([{"images_seen": 1, "health/first_bad/loss": 3.0}]) == []


def test_report_is_one_whole_page(run: RunFolder) -> None:
    for seen in (64, 128, 640, 1280):
        save_grid(torch.zeros(4, 1, 8, 8), run.grid(seen))
    text = write_report(run).read_text(encoding="utf-8")
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>\n")
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)
    assert page.sources and all(re.match(r"data:image/(png|svg\+xml);base64,", uri) for uri in page.sources)
    assert "url(" not in text and "@import" not in text
    assert [alt for alt in page.alts if alt.startswith("samples")] == [
        "samples after 64 images",
        "samples after 640 images",
        "samples after 1,280 images",
    ]


def test_report_says_what_happened(run: RunFolder) -> None:
    page = Page(write_report(run).read_text(encoding="utf-8"))
    for line in (
        "1,280 images seen · trained for 20m00s · device cpu · commit 0123456789 · ganforge 0.1.0",
        "<b>slow</b> disk",
        "loss/g was not finite in 1 of 21 rows, first at 320 images",
        "the working tree had uncommitted changes when the run started",
        "<script>alert(1)</script> & 'more'",
        "metric/fid31.51,280",
        "packages.torch9.9",
    ):
        assert line in page.shown
    assert page.shown.count("a <run>") == 2


def test_report_of_a_run_that_has_only_begun(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "new", {"seed": 1}, {})
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "metrics.jsonl has no rows yet" in page.shown
    assert "seed = 1" in page.shown


def test_a_huge_grid_is_scaled_down_in_the_page_only(run: RunFolder) -> None:
    save_grid(torch.rand(16, 3, 200, 200) * 2 - 1, run.grid(64))
    size = run.grid(64).stat().st_size
    page = Page(write_report(run).read_text(encoding="utf-8"))
    (source,) = [uri for uri in page.sources if uri.startswith("data:image/png")]
    assert len(source) < size
    assert run.grid(64).stat().st_size == size
