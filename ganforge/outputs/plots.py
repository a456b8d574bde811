"""The curves of a run, drawn from its metrics.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.figures import Format, render
from ganforge.outputs.metrics_log import read_rows
from ganforge.outputs.run_folder import RunFolder

Series = dict[str, tuple[list[float], list[float]]]
"""Name of a curve -> images seen, values."""


@dataclass(frozen=True)
class Chart:
    """One picture: the keys of the rows that begin with `prefix`."""

    name: str
    title: str
    prefix: str
    unit: str
    apart: bool = False
    """Each curve has axes of its own, because their scales have nothing in common."""


CHARTS = (
    Chart("losses", "Losses", "loss/", "loss"),
    Chart("scores", "Scores of the discriminator", "score/", "mean score"),
    Chart("gradient_norms", "Gradient norms", "grad/", "norm"),
    Chart("terms", "Terms", "term/", "value"),
    Chart("estimates", "Estimates", "estimate/", "value", apart=True),
    Chart("metrics", "Metrics", "metric/", "value", apart=True),
    Chart("images_per_second", "Speed", "images_per_second", "images per second"),
)
LEGEND = {
    "score/real": "D(x)",
    "score/fake": "D(G(z)) in D's update",
    "score/fake_before_g": "D(G(z)) before G's update",
    "score/fake_after_g": "D(G(z)) after G's update",
}


def plot_run(run: RunFolder, out: Path | None = None) -> list[Path]:
    """Writes each chart that has data as PNG and SVG to `out` (RUN/plots by default), and
    returns the files."""
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
    return [(chart, _draw(chart, series)) for chart, series in found if series]


def select(rows: Sequence[Mapping[str, Any]], prefix: str) -> Series:
    """The curves whose keys begin with `prefix`. A value that was not finite is a gap, and a curve
    of nothing but gaps is left out."""
    series: Series = {}
    for row in rows:
        for key, value in row.items():
            if key.startswith(prefix):
                seen, values = series.setdefault(key, ([], []))
                seen.append(row["images_seen"])
                values.append(float("nan") if value is None else float(value))
    return {key: curve for key, curve in series.items() if any(value == value for value in curve[1])}


def _draw(chart: Chart, series: Series) -> Figure:
    parts = [{key: curve} for key, curve in series.items()] if chart.apart else [series]
    figure = Figure(figsize=(8, 0.8 + 3.2 * len(parts)), layout="constrained")
    for index, part in enumerate(parts, start=1):
        _draw_axes(figure.add_subplot(len(parts), 1, index), chart, part)
    figure.suptitle(chart.title)
    return figure


def _draw_axes(axes: Axes, chart: Chart, series: Series) -> None:
    for key, (seen, values) in series.items():
        label = LEGEND.get(key, key.removeprefix(chart.prefix) or chart.title)
        # A curve of few points, as metrics give, is shown with its points.
        axes.plot(seen, values, label=label, linewidth=1.2, marker="." if len(seen) < 40 else None)
    finite = [value for _, values in series.values() for value in values if value == value]
    if min(finite) > 0 and max(finite) > 100 * min(finite):
        axes.set_yscale("log")
    axes.set_xlabel("images seen")
    axes.set_ylabel(chart.unit)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)
    if chart.prefix not in series:
        axes.legend()
