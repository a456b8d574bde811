"""The curves of a run, plotted from its metrics.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.figures import Format, blank, render
from ganforge.outputs.metrics_log import read_rows
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Series = dict[str, tuple[list[float], list[float]]]
"""Name of a curve -> images seen, values."""


@dataclass(frozen=True)
class Panel:
    """Axes for these keys only."""

    unit: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """One figure: the keys of the rows that begin with `prefix`."""

    name: str
    title: str
    prefix: str
    unit: str = ""
    apart: bool = False
    """Give each curve its own axes, because their scales differ."""
    panels: tuple[Panel, ...] = ()
    """Stacked axes; a key that none of them lists is not plotted. Empty = see `apart`."""


HEALTH = (
    Panel("share of pairs", ("health/separation",)),
    Panel("change in score", ("health/g_gain",)),
    Panel("relative to spread", ("health/g_jump",)),
    Panel("relative to real", ("health/diversity", "health/diversity_within")),
    Panel("norm", ("health/weights_d", "health/weights_g")),
    Panel("scale", ("health/scale_d", "health/scale_g")),
)

CHARTS = (
    Chart("losses", "Losses", "loss/", "loss"),
    Chart("scores", "Scores of the discriminator", "score/", "mean score"),
    Chart("gradient_norms", "Gradient norms", "grad/", "norm"),
    Chart("terms", "Terms", "term/", "value"),
    Chart("estimates", "Estimates", "estimate/", "value", apart=True),
    Chart("health", "Health", "health/", panels=HEALTH),
    Chart("metrics", "Metrics", "metric/", "value", apart=True),
    Chart("images_per_second", "Speed", "images_per_second", "images per second"),
)
LEGEND = {
    "score/real": "D(x)",
    "score/fake": "D(G(z)) in D's update",
    "score/fake_before_g": "D(G(z)) before G's update",
    "score/fake_after_g": "D(G(z)) after G's update",
    "health/separation": "real above fake (0.5 = chance)",
    "health/g_gain": "change of D(G(z)) by G's update",
    "health/g_jump": "distance G's update moves a fake",
    "health/diversity": "distance between two fakes",
    "health/diversity_within": "distance between two fakes of one label",
    "health/weights_d": "weights of D",
    "health/weights_g": "weights of G",
    "health/scale_d": "gradient scale of D",
    "health/scale_g": "gradient scale of G",
}
ONE_ITERATION = {
    "score/fake_after_g",
    "health/separation",
    "health/g_gain",
    "health/g_jump",
}
"""Measured only on the batch of the row's iteration, while the others are means over all iterations
since the previous row: they are much noisier."""
REACH = 4
"""Minimum number of rows on either side in the moving average of such a key."""


def plot_run(run: RunFolder, out: Path | None = None) -> list[Path]:
    """Writes each chart that has data as PNG and SVG to `out` (RUN/plots by default), and returns
    the files."""
    folder = run.plots if out is None else out
    formats: tuple[Format, ...] = ("png", "svg")
    written = []
    for chart, figure in draw_charts(read_rows(run.metrics)):
        folder.mkdir(parents=True, exist_ok=True)
        for kind in formats:
            file = folder / f"{chart.name}.{kind}"
            write_bytes(file, render(figure, kind))
            written.append(file)
    return written


def draw_charts(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Chart, Figure]]:
    """The charts that `rows` have data for."""
    found = [(chart, select(rows, chart.prefix)) for chart in CHARTS]
    return [(chart, _draw(chart, series)) for chart, series in found if _parts(chart, series)]


def select(rows: Sequence[Mapping[str, Any]], prefix: str) -> Series:
    """The curves whose keys begin with `prefix`. A non-finite value is a gap, and a curve with only
    gaps is left out."""
    series: Series = {}
    for row in rows:
        for key, value in row.items():
            if key.startswith(prefix):
                seen, values = series.setdefault(key, ([], []))
                seen.append(row["images_seen"])
                values.append(float("nan") if value is None else float(value))
    return {key: curve for key, curve in series.items() if any(value == value for value in curve[1])}


def running_mean(values: Sequence[float], reach: int) -> list[float]:
    """Moving average of each value with up to `reach` neighbours on either side; gaps are skipped."""
    means = []
    for place in range(len(values)):
        near = [value for value in values[max(0, place - reach) : place + reach + 1] if value == value]
        means.append(sum(near) / len(near) if near else float("nan"))
    return means


def _draw(chart: Chart, series: Series) -> Figure:
    parts = _parts(chart, series)
    figure = blank(8, 0.8 + (2.6 if chart.panels else 3.2) * len(parts))
    for index, (unit, part) in enumerate(parts, start=1):
        _draw_axes(figure.add_subplot(len(parts), 1, index), chart.prefix, unit, part)
    figure.suptitle(chart.title)
    return figure


def _parts(chart: Chart, series: Series) -> list[tuple[str, Series]]:
    """The curves that share axes, and their unit."""
    if chart.panels:
        found = [(p.unit, {key: series[key] for key in p.keys if key in series}) for p in chart.panels]
        return [(unit, part) for unit, part in found if part]
    if chart.apart:
        return [(chart.unit, {key: curve}) for key, curve in series.items()]
    return [(chart.unit, series)] if series else []


def _draw_axes(axes: Axes, prefix: str, unit: str, series: Series) -> None:
    from matplotlib.ticker import EngFormatter

    for key, (seen, values) in series.items():
        label = LEGEND.get(key, key.removeprefix(prefix))
        if key in ONE_ITERATION and len(seen) > 2 * REACH:
            _draw_scattered(axes, seen, values, label)
        else:
            # A curve with few points, as for metrics, is shown with markers.
            axes.plot(seen, values, label=label, linewidth=1.2, marker="." if len(seen) < 40 else None)
    finite = [value for _, values in series.values() for value in values if value == value]
    if min(finite) > 0 and max(finite) > 100 * min(finite):
        axes.set_yscale("log")
    axes.set_xlabel("images seen")
    axes.set_ylabel(unit)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)
    if prefix not in series:
        # Above the axes, where it hides no curve.
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize="small")


def _draw_scattered(axes: Axes, seen: list[float], values: list[float], label: str) -> None:
    """Each row as a point, and the moving average as the curve."""
    reach = max(REACH, len(seen) // 100)
    means = running_mean(values, reach)
    (curve,) = axes.plot(seen, means, label=f"{label}, mean of {2 * reach + 1} rows", linewidth=1.2)
    points: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": 4, "alpha": 0.4}
    axes.plot(seen, values, label="single iterations", color=curve.get_color(), **points)
