"""Curves: what belongs together is in one figure, named in words, with axes that suit it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from ganforge.outputs.charts import axes_of, label, running_mean, select
from ganforge.outputs.metrics_log import MetricsLog
from ganforge.outputs.plots import CHARTS, SIZES, draw_charts, draw_overlaid, plot_run
from ganforge.outputs.run_folder import RunFolder
from support.command_line import call

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.create(tmp_path / "run", {"seed": 3}, {})
    log = MetricsLog(run.metrics)
    for i in range(1, 21):
        log.append(
            {"images_seen": 64 * i, "loss/d": 1 / i, "loss/g": 2.0, "score/real": 0.5, "grad/d": 10.0**-i}
        )
    log.append({"images_seen": 1280, "metric/fid": 31.5})
    return run


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_only_charts_with_data(run: RunFolder, tmp_path: Path) -> None:
    written = plot_run(run, tmp_path / "out")
    names = ["losses", "scores", "metrics", "gradient_norms"]
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


@pytest.mark.parametrize(("width", "inches"), [("column", 3.4), ("page", 7.0)])
def test_a_pdf_for_a_paper_has_its_width_and_no_type_3_font(
    run: RunFolder, width: str, inches: float
) -> None:
    done = call(run.path.parent, "plot", "run", "--format", "pdf", "--width", width, "--out", "figures")
    assert done.code == 0 and len(done.out.splitlines()) == 4
    for file in (run.path.parent / "figures").iterdir():
        content = file.read_bytes()
        assert file.suffix == ".pdf" and b"/Type3" not in content and b"/CIDFontType2" in content
        box = re.search(rb"/MediaBox \[ ?0 0 ([0-9.]+)", content)
        assert box is not None and float(box[1]) == pytest.approx(72 * inches, abs=0.1)


def test_the_same_run_gives_the_same_files(run: RunFolder, tmp_path: Path) -> None:
    for kind in ("svg", "pdf"):
        first, again = (plot_run(run, tmp_path / place, (kind,))[0] for place in ("a", "b"))  # type: ignore[arg-type]
        assert first.read_bytes() == again.read_bytes()


def test_curves_hold_the_numbers_and_a_gap_for_what_was_lost() -> None:
    rows: list[dict[str, Any]] = [
        {"images_seen": 1, "loss/d": 0.5, "loss/x": None},
        {"images_seen": 2, "loss/d": None, "nonfinite": ["loss/d"]},
        {"images_seen": 3, "metric/fid": 2.0, "loss/odd": "text", "loss/flag": True},
        {"images_seen": 4, "loss/d": 0.25},
    ]
    ((name, (seen, values)),) = select(rows, "loss/*").items()
    assert (name, seen, values[0], values[2]) == ("loss/d", [1, 2, 4], 0.5, 0.25)
    assert math.isnan(values[1])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("loss/d", "D loss"),
        ("loss/g", "G loss"),
        ("term/g/mutual_information", "Q: mutual information"),
        ("term/d/mutual_information", "Q: mutual information, D's update"),
        ("term/d/gradient_penalty", "D: gradient penalty"),
        ("score/real", "D(x)"),
        ("score/fake_before_g/b", "D(G(z)) before G's update, b"),
        ("estimate/class_accuracy_real", "class accuracy real"),
        ("metric/fid", "fid"),
    ],
)
def test_a_key_in_words(key: str, words: str) -> None:
    assert label(key) == words


def test_d_g_and_q_are_in_one_figure_and_so_are_the_scores() -> None:
    keys = (
        "loss/d",
        "loss/g",
        "term/g/mutual_information",
        "score/real",
        "score/fake",
        "score/fake_before_g",
    )
    rows = [{"images_seen": n, **dict.fromkeys(keys, 0.5)} for n in (1, 2)]
    figures = {chart.name: figure for chart, figure in draw_charts(rows)}
    (losses,) = figures["losses"].axes
    assert legend_of(losses) == ["D loss", "G loss", "Q: mutual information"]
    (scores,) = figures["scores"].axes
    assert legend_of(scores) == ["D(x)", "D(G(z)) in D's update", "D(G(z)) before G's update"]
    assert (scores.get_xlabel(), scores.get_ylabel()) == ("images seen", "mean score")


def test_probabilities_and_shares_are_drawn_from_0_to_1_and_logits_as_they_are() -> None:
    def limits(**values: float) -> list[tuple[float, float]]:
        rows = [{"images_seen": n, **{k.replace("__", "/"): v for k, v in values.items()}} for n in (1, 2)]
        ((_, figure),) = draw_charts(rows)
        return [axes.get_ylim() for axes in figure.axes]

    whole = [(-0.02, 1.02)]
    assert limits(score__real=0.6, score__fake=0.4) == whole
    assert limits(score__real=1.6, score__fake=0.4) != whole
    assert limits(metric__accuracy=0.3) == whole
    assert limits(metric__fid=0.3) != whole
    assert limits(health__separation=0.3) == whole


def test_log_axes_where_the_values_span_two_decades() -> None:
    rows = [
        {"images_seen": n, "score/real": 0.9, "grad/d": 10.0**n, "metric/a": -n, "metric/b": n}
        for n in range(1, 6)
    ]
    figures = {chart.name: figure for chart, figure in draw_charts(rows)}
    assert [axes.get_yscale() for axes in figures["scores"].axes] == ["linear"]
    assert [axes.get_yscale() for axes in figures["gradient_norms"].axes] == ["log"]
    assert [axes.get_ylabel() for axes in figures["metrics"].axes] == ["a", "b"]


def test_a_quantity_on_real_and_fake_samples_shares_axes() -> None:
    rows = [
        {
            "images_seen": 1,
            "estimate/class_accuracy_real": 0.5,
            "estimate/class_accuracy_fake": 0.2,
            "estimate/p": 3.0,
        }
    ]
    ((_, figure),) = draw_charts(rows)
    assert {axes.get_ylabel(): len(axes.get_lines()) for axes in figure.axes} == {"class accuracy": 2, "p": 1}


def test_a_standard_deviation_is_a_band_not_a_curve() -> None:
    rows = [{"images_seen": n, "metric/fid": 10.0 + n, "metric/fid_std": 0.5} for n in (1, 2)]
    ((_, figure),) = draw_charts(rows)
    (axes,) = figure.axes
    assert len(axes.get_lines()) == 1
    (band,) = axes.collections
    low, high = band.get_paths()[0].vertices[:, 1].min(), band.get_paths()[0].vertices[:, 1].max()  # type: ignore[index, union-attr]
    assert (low, high) == (10.5, 12.5)


def test_several_runs_have_a_color_each_and_their_names() -> None:
    rows = [{"images_seen": n, "loss/d": 1.0, "loss/g": 2.0} for n in (1, 2)]
    ((_, figure),) = draw_overlaid({"one": rows, "two $x$": rows})
    (axes,) = figure.axes
    assert legend_of(axes) == ["one: D loss", "one: G loss", r"two \$x\$: D loss", r"two \$x\$: G loss"]
    from matplotlib.colors import to_hex

    colors = [to_hex(line.get_color()) for line in axes.get_lines()]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    assert len({str(line.get_linestyle()) for line in axes.get_lines()}) == 2


def test_what_one_iteration_measures_is_drawn_as_points_and_their_mean() -> None:
    measured = np.random.default_rng(0).random(30)
    rows = [
        {"images_seen": n, "score/fake_before_g": 0.5, "score/fake_after_g": float(value)}
        for n, value in enumerate(measured)
    ]
    ((_, figure),) = draw_charts(rows)
    before, mean, points = (np.asarray(line.get_ydata(), float) for line in figure.axes[0].get_lines())
    assert before.tolist() == [0.5] * 30
    np.testing.assert_allclose(mean[4:-4], np.convolve(measured, np.full(9, 1 / 9), "valid"))
    assert (mean[0], mean[-1]) == (pytest.approx(measured[:5].mean()), pytest.approx(measured[-5:].mean()))
    assert points.tolist() == measured.tolist()
    assert legend_of(figure.axes[0]) == [
        "D(G(z)) before G's update",
        "D(G(z)) after G's update, mean of 9 rows",
        "single iterations",
    ]


def test_a_mean_of_neighbors_leaves_gaps_out() -> None:
    gap = math.nan
    assert running_mean([1.0, gap, 4.0, 7.0, gap, gap, gap], 1)[:5] == [1.0, 2.5, 5.5, 5.5, 7.0]
    assert math.isnan(running_mean([1.0, gap, gap, gap], 1)[3])


def test_health_has_axes_for_what_belongs_together() -> None:
    keys = ("weights_g", "weights_d", "diversity", "separation", "first_bad/loss")
    rows = [{"images_seen": n, **{f"health/{key}": 0.5 for key in keys}} for n in range(3)]
    (health,) = (chart for chart in CHARTS if chart.name == "health")
    found = {axes.unit: list(axes.series) for axes in axes_of(health, select(rows, *health.keys))}
    assert found == {
        "share of pairs": ["health/separation"],
        "relative to real": ["health/diversity"],
        "norm": ["health/weights_g", "health/weights_d"],
    }
    assert draw_charts([{"images_seen": 1, "health/first_bad/loss": 3.0}]) == []


def test_sizes_of_a_paper() -> None:
    assert {name: size.width for name, size in SIZES.items()} == {"screen": 8, "column": 3.4, "page": 7.0}
