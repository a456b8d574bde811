"""The charts of a report: data for the page's script, and for each a text, a table and a printable figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ganforge.outputs.charts import (
    CHARTS,
    ONE_ITERATION,
    REACH,
    Axes,
    Chart,
    Curve,
    axes_of,
    label,
    running_mean,
    select,
)
from ganforge.outputs.figures import render
from ganforge.outputs.palette import DARK, LIGHT, WEB_DASHES
from ganforge.outputs.plots import draw_overlaid
from ganforge.outputs.report.html import anchor, data_block, data_uri, details, section, table, text
from ganforge.outputs.report.records import Record

MAX_POINTS = 1500
"""Points of a curve on the page; of more, the extremes of each stretch are kept."""
PRINTED_POINTS = 300


def curves(records: Sequence[Record]) -> str:
    """All charts that any of the runs has data for; "" if there are none."""
    charts = [(chart, _parts(chart, records)) for chart in CHARTS]
    charts = [(chart, parts) for chart, parts in charts if parts]
    if not charts:
        return ""
    printed = _printed(records)
    drawn: list[dict[str, Any]] = []
    figures = []
    for chart, parts in charts:
        plots, several = [], len(parts) > 1
        for unit, named in parts:
            identity = anchor("plot", chart.name, str(len(drawn)))
            drawn.append(_plot(identity, unit, named, len(records) > 1))
            title = f"{chart.title}: {unit}" if several else chart.title
            plots.append(_figure(identity, title, named, several))
        fallback = (
            f"<figure class='printed'><img alt='{text(f'{chart.title} against images seen')}' "
            f"src='{printed[chart.name]}'></figure>"
        )
        figures.append(
            f"<section id='{anchor('chart', chart.name)}' class='chart {'several' if several else 'one'}'>"
            f"<h3>{text(chart.title)}</h3>"
            f"<div class='plots'>{''.join(plots)}</div>{fallback}</section>"
        )
    block = data_block("curves-data", {"plots": drawn, "light": LIGHT, "dark": DARK, "dashes": WEB_DASHES})
    hint = (
        "<p class='hint live'>Drag to zoom all charts, double-click or Escape to reset; on a focused chart "
        "the arrow keys move the cursor.</p>"
    )
    return section("curves", "Curves", hint, f"<div class='charts'>{''.join(figures)}</div>", block)


def _parts(chart: Chart, records: Sequence[Record]) -> list[tuple[str, list[tuple[str, Axes]]]]:
    """Unit -> the runs that have something in these axes."""
    found: dict[str, list[tuple[str, Axes]]] = {}
    for record in records:
        for axes in axes_of(chart, select(record.rows, *chart.keys)):
            found.setdefault(axes.unit, []).append((record.name, axes))
    return list(found.items())


def _plot(identity: str, unit: str, named: Sequence[tuple[str, Axes]], several: bool) -> dict[str, Any]:
    """What the script draws."""
    order = list(dict.fromkeys(key for _, axes in named for key in axes.series))
    runs = list(dict.fromkeys(name for name, _ in named))
    series = []
    for name, axes in named:
        for key, curve in axes.series.items():
            place = order.index(key)
            entry: dict[str, Any] = {
                "label": f"{name}: {label(key)}" if several else label(key),
                "color": runs.index(name) if several else place,
                "dash": place % len(WEB_DASHES),
                "curve": _short(curve),
            }
            if key in ONE_ITERATION and len(curve[0]) > 2 * REACH:
                reach = max(REACH, len(curve[0]) // 100)
                entry["points"] = entry["curve"]
                entry["curve"] = _short((curve[0], running_mean(curve[1], reach)))
                entry["label"] += f", mean of {2 * reach + 1} rows"
            if key in axes.bands:
                entry["band"] = _rounded(axes.bands[key])
                entry["curve"] = _rounded(curve)
            series.append(entry)
    bounded = all(axes.bounds for _, axes in named)
    return {
        "id": identity,
        "unit": unit,
        "bounds": [0, 1] if bounded else None,
        "log": all(axes.log for _, axes in named),
        "positive": all(v > 0 for _, axes in named for _, c in axes.series.values() for v in c if v == v),
        "series": series,
    }


def _figure(identity: str, title: str, named: Sequence[tuple[str, Axes]], titled: bool) -> str:
    """The place of a plot, with its text and its table; `titled`: the heading above does not name it."""
    lines, rows = [], []
    for name, axes in named:
        for key, curve in axes.series.items():
            shown = f"{name}: {label(key)}" if len(named) > 1 else label(key)
            facts = _facts(curve)
            lines.append(f"{shown}: {facts[0]} at first, {facts[1]} at last")
            rows.append([text(shown), *map(text, facts)])
    numbers = table(["curve", "first", "last", "lowest", "highest", "rows"], rows, "numbers", title)
    shown = text(title) if titled else ""
    return (
        f"<figure class='plot live'><div class='bar'><span class='name'>{shown}</span>"
        f"<button type='button' class='log' data-plot='{identity}' aria-pressed='false'>log scale</button>"
        "</div>"
        f"<div class='canvas' id='{identity}' tabindex='0' role='img' aria-label='{text(title)}' "
        f"aria-describedby='{identity}-text'></div>"
        f"<figcaption id='{identity}-text'>{text('; '.join(lines[:6]))}.</figcaption>"
        f"{details('Numbers', numbers)}</figure>"
    )


def _facts(curve: Curve) -> list[str]:
    """First, last, lowest, highest value and the number of rows."""
    points = [(seen, value) for seen, value in zip(*curve, strict=True) if math.isfinite(value)]
    low, high = min(points, key=lambda p: p[1]), max(points, key=lambda p: p[1])
    first, last = f"{points[0][1]:.4g}", f"{points[-1][1]:.4g}"
    return [first, last, f"{low[1]:.4g} at {low[0]:,}", f"{high[1]:.4g} at {high[0]:,}", f"{len(points):,}"]


def _printed(records: Sequence[Record]) -> dict[str, str]:
    """Chart -> the same figure as SVG, for print and for browsers without script. As images rather than
    inline SVG: the ids of two inline SVGs would clash in one page."""
    rows = {record.name: _thinned(record.rows) for record in records}
    return {c.name: data_uri(render(figure, "svg"), "image/svg+xml") for c, figure in draw_overlaid(rows)}


def _thinned(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each key about `PRINTED_POINTS` of the rows that have a finite value of it, evenly spaced, so that
    no curve is lost; all rows of metrics."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        for key, value in row.items():
            if isinstance(value, int | float) and math.isfinite(value):
                places.setdefault(key, []).append(place)
    kept: set[int] = set()
    for key, found in places.items():
        step = 1 if key.startswith("metric/") else -(-len(found) // PRINTED_POINTS)
        kept.update(found[::step], found[-1:])
    return [rows[place] for place in sorted(kept)]


def _short(curve: Curve) -> list[list[float | None]]:
    """At most `MAX_POINTS` points: the lowest and the highest of each stretch, in their order."""
    seen, values = curve
    if len(seen) <= MAX_POINTS:
        return _rounded(curve)
    step = -(-2 * len(seen) // MAX_POINTS)
    kept: set[int] = {0, len(seen) - 1}
    for start in range(0, len(seen), step):
        stretch = [p for p in range(start, min(start + step, len(seen))) if math.isfinite(values[p])]
        value = values.__getitem__
        kept |= {min(stretch, key=value), max(stretch, key=value)} if stretch else {start}
    places = sorted(kept)
    return _rounded(([seen[place] for place in places], [values[place] for place in places]))


def _rounded(curve: Curve) -> list[list[float | None]]:
    """JSON has no NaN: null is a gap. One value for each place; where rows repeat one, the last."""
    points = dict(zip(*curve, strict=True))
    places = sorted(points)
    values = [float(f"{points[p]:.6g}") if math.isfinite(points[p]) else None for p in places]
    return [list(places), values]
