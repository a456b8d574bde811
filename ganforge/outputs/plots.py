"""The curves of a run, drawn from its metrics.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.charts import (
    CHARTS,
    ONE_ITERATION,
    REACH,
    Axes,
    Chart,
    Rows,
    Series,
    axes_of,
    label,
    running_mean,
    select,
)
from ganforge.outputs.figures import Format, blank, render
from ganforge.outputs.metrics_log import read_rows
from ganforge.outputs.palette import DASHES, LIGHT
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Drawn
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Size:
    """The width of a figure and what goes with it."""

    width: float
    """Inches."""
    panel: float
    """Height of each pair of axes in inches."""
    font: float
    """Points."""
    columns: int
    """Columns of the legend."""


SCREEN = Size(8, 3.2, 10, 2)
SIZES = {"screen": SCREEN, "column": Size(3.4, 1.9, 8, 1), "page": Size(7.0, 2.5, 9, 2)}
"""A column and a page of the usual two-column paper are 3.4 and 7 inches wide."""


def plot_run(
    run: RunFolder,
    out: Path | None = None,
    formats: Sequence[Format] = ("png", "svg"),
    size: Size = SCREEN,
) -> list[Path]:
    """Writes each chart that has data, in each format, to `out` (RUN/plots by default); returns the files."""
    folder = run.plots if out is None else out
    written = []
    for chart, figure in draw_charts(read_rows(run.metrics), size):
        folder.mkdir(parents=True, exist_ok=True)
        for kind in formats:
            file = folder / f"{chart.name}.{kind}"
            write_bytes(file, render(figure, kind))
            written.append(file)
    return written


def draw_charts(rows: Rows, size: Size = SCREEN) -> list[tuple[Chart, Figure]]:
    """The charts that `rows` have data for."""
    return draw_overlaid({"": rows}, size)


def draw_overlaid(runs: Mapping[str, Rows], size: Size = SCREEN) -> list[tuple[Chart, Figure]]:
    """The charts that any of the runs has data for; with several, a color is a run and a dash a curve."""
    import matplotlib

    drawn = []
    with matplotlib.rc_context({"font.size": size.font}):
        for chart in CHARTS:
            named = {name: axes_of(chart, select(rows, *chart.keys)) for name, rows in runs.items()}
            if any(named.values()):
                drawn.append((chart, _draw(chart, named, size)))
    return drawn


def _draw(chart: Chart, named: Mapping[str, list[Axes]], size: Size) -> Figure:
    units = list(dict.fromkeys(axes.unit for found in named.values() for axes in found))
    lines = max(sum(len(axes.series) for found in named.values() for axes in found if axes.unit == unit)
                for unit in units)  # fmt: skip
    legend = 0.2 * (-(-lines // size.columns))
    figure = blank(size.width, 0.5 + (size.panel + legend) * len(units))
    for index, unit in enumerate(units, start=1):
        shown = {n: axes for n, found in named.items() for axes in found if axes.unit == unit}
        _draw_axes(figure.add_subplot(len(units), 1, index), unit, shown, size)
    figure.suptitle(chart.title, fontsize=size.font + 1)
    return figure


def _draw_axes(axes: Drawn, unit: str, runs: Mapping[str, Axes], size: Size) -> None:
    from matplotlib.ticker import EngFormatter

    several = len(runs) > 1
    order = list(dict.fromkeys(key for part in runs.values() for key in part.series))
    for number, (name, part) in enumerate(runs.items()):
        for key, (seen, values) in part.series.items():
            place = order.index(key)
            style = {"color": LIGHT[(number if several else place) % len(LIGHT)],
                     "linestyle": DASHES[place % len(DASHES)]}  # fmt: skip
            text = f"{name}: {label(key)}" if several else label(key)
            if key in ONE_ITERATION and len(seen) > 2 * REACH:
                _draw_scattered(axes, seen, values, text, style)
                continue
            # A curve with few points, as for metrics, is shown with markers.
            marker = "." if len(seen) < 40 else None
            axes.plot(seen, values, label=_literal(text), linewidth=1.2, marker=marker, **style)
            if key in part.bands:
                spread = part.bands[key][1]
                low, high = ([v + sign * s for v, s in zip(values, spread, strict=False)] for sign in (-1, 1))
                axes.fill_between(seen[: len(low)], low, high, color=style["color"], alpha=0.2, linewidth=0)
    if all(part.bounds for part in runs.values()):
        axes.set_ylim(-0.02, 1.02)
    elif all(part.log for part in runs.values()):
        axes.set_yscale("log")
    axes.set_xlabel("images seen")
    axes.set_ylabel(_literal(unit))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)
    # Above the axes, where it hides no curve.
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=size.columns, frameon=False, fontsize="small")


def _draw_scattered(axes: Drawn, seen: Any, values: list[float], text: str, style: dict[str, Any]) -> None:
    """Each row as a point, and the moving average as the curve."""
    reach = max(REACH, len(seen) // 100)
    means = running_mean(values, reach)
    axes.plot(seen, means, label=_literal(f"{text}, mean of {2 * reach + 1} rows"), linewidth=1.2, **style)
    points: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": 4, "alpha": 0.4}
    axes.plot(seen, values, label="single iterations", color=style["color"], **points)


def _literal(text: str) -> str:
    """A name from a file is no formula."""
    return text.replace("$", r"\$")


__all__ = ["SIZES", "Chart", "Series", "draw_charts", "draw_overlaid", "plot_run", "running_mean", "select"]
