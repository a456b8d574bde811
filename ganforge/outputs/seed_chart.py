"""Values of several seeds as points, with their mean and standard deviation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ganforge.outputs.figures import blank
from ganforge.outputs.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_seeds(
    values: Mapping[str, Sequence[float]], ceilings: Mapping[str, float], unit: str, title: str
) -> Figure:
    """One column per name: each seed a point, mean and standard deviation as a bar, and the ceiling that is
    known for it as a dashed line. `values` are shares from 0 to 1."""
    figure = blank(max(3.4, 1.3 * len(values) + 1.4), 3.2)
    axes = figure.add_subplot()
    for place, (name, found) in enumerate(values.items()):
        spread = [0.16 * (index / max(1, len(found) - 1) - 0.5) for index in range(len(found))]
        color = LIGHT[place % len(LIGHT)]
        axes.scatter([place + shift for shift in spread], found, s=14, color=color, alpha=0.7)
        mean, std = statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else 0.0
        axes.errorbar(place + 0.22, mean, std, fmt="o", color="black", markersize=4, capsize=3)
        text = f"{mean:.3f} ± {std:.3f}"
        above = {"xytext": (0, 6), "textcoords": "offset points", "fontsize": 7, "ha": "center"}
        axes.annotate(text, (place + 0.1, max(found)), **above)  # type: ignore[arg-type]
        if name in ceilings:
            axes.hlines(
                ceilings[name], place - 0.35, place + 0.45, colors="black", linestyles="--", linewidth=1
            )
            axes.annotate("judge on real images", (place - 0.35, ceilings[name]), (0, 2),
                          textcoords="offset points", fontsize=6)  # fmt: skip
    axes.set_xticks(range(len(values)), labels=list(values), parse_math=False)
    axes.set(xlim=(-0.5, len(values) - 0.4), ylim=(-0.02, 1.06), ylabel=unit)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure
