"""Per-label recall of a generator: a table for the terminal and a bar chart."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.figures import blank, render
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INFIX = "_recall/"
"""Separates, in the name of a number, the user's metric name from the label."""
SUFFIX = "_recall.png"
BAR = 20
"""Characters of a bar for a share of 1."""

Shares = Mapping[str, float]
"""Label -> share of the samples conditioned on it in which it is found."""


def recalls(values: Mapping[str, float | None]) -> dict[str, Shares]:
    """Name of a table -> its shares, lowest first. Non-finite values are left out."""
    found: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        name, infix, label = key.partition(INFIX)
        spread = key.endswith("_std") and key.removesuffix("_std") in values
        if infix and value is not None and not spread:
            found.setdefault(name, {})[label] = value
    return {name: dict(sorted(of.items(), key=lambda item: item[1])) for name, of in found.items()}


def recall_table(shares: Shares) -> list[str]:
    """One line per label, with a bar."""
    width = max(map(len, shares))
    return [f"{label:{width}}  {share:.3f}  {'#' * round(BAR * share)}" for label, share in shares.items()]


def write_recall_charts(run: RunFolder, metrics: list[dict[str, Any]]) -> list[Path]:
    """Writes the charts of an evaluation's `metrics` to RUN/plots, and returns the files."""
    written = []
    for metric in metrics:
        for name, shares in recalls(metric["values"]).items():
            run.plots.mkdir(exist_ok=True)
            # The name is the user's, and may contain any character.
            file = run.plots / f"{re.sub(r'[^A-Za-z0-9_-]+', '_', name)}{SUFFIX}"
            write_bytes(file, render(draw_recall(name, shares, _ceiling(metric["settings"])), "png"))
            written.append(file)
    return written


def draw_recall(name: str, shares: Shares, ceiling: Shares) -> Figure:
    """Bars, the lowest at the top; a mark at each label's `ceiling`, where known."""
    labels = list(shares)
    figure = blank(7, 1.2 + 0.24 * len(labels))
    axes = figure.add_subplot()
    axes.barh(range(len(labels)), list(shares.values()), color="tab:blue", height=0.7)
    # A label may have dollar signs, which are no mathematics.
    axes.set_yticks(range(len(labels)), labels=labels, parse_math=False)
    known = [index for index, label in enumerate(labels) if label in ceiling]
    if known:
        axes.scatter(
            [ceiling[labels[index]] for index in known],
            known,
            marker="|",
            s=60,
            color="black",
            zorder=3,
            label="the judge on real images",
        )
        figure.legend(loc="outside lower right", fontsize=8)
    axes.set(xlim=(0, 1.02), xlabel="share of samples in which the judge finds the label")
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_title(f"{name}: recall of each label, lowest first", fontsize=10, parse_math=False)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure


def _ceiling(settings: Mapping[str, Any]) -> Shares:
    """Recall of each label on held-out real images, from the judge's card; empty if the judge has no
    such record."""
    try:
        card = json.loads((Path(settings["judge"]) / "judge.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError):
        return {}
    prefix = "recall/"
    return {key.removeprefix(prefix): share for key, share in card["accuracy"].items() if prefix in key}
