"""Which curves of a run belong in one figure, and what they are called. Importable without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Rows = Sequence[Mapping[str, Any]]
Curve = tuple[list[float], list[float]]
"""Images seen, values; a lost value is NaN."""
Series = dict[str, Curve]
"""Key of metrics.jsonl -> its curve."""
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """Axes for the keys that match one of these patterns."""

    unit: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """One figure of one or more axes."""

    name: str
    title: str
    keys: tuple[str, ...]
    """Patterns of keys."""
    unit: str = ""
    apart: bool = False
    """Give each quantity its own axes, because their scales differ."""
    panels: tuple[Panel, ...] = ()
    """Stacked axes; a key that none of them lists is not plotted. Empty = see `apart`."""


@dataclass(frozen=True)
class Axes:
    """One pair of axes: what is drawn in it, and how."""

    unit: str
    series: Series
    bounds: Bounds | None
    """Limits of the vertical axis, for shares and probabilities; None = those of the data."""
    bands: Mapping[str, Curve]
    """Key -> its standard deviation at the same places."""

    @property
    def log(self) -> bool:
        """Whether a logarithmic axis suits the values."""
        finite = [value for _, values in self.series.values() for value in values if math.isfinite(value)]
        return self.bounds is None and min(finite) > 0 and max(finite) > 100 * min(finite)


HEALTH = (
    Panel("share of pairs", ("health/separation",)),
    Panel("change in score", ("health/g_gain",)),
    Panel("relative to spread", ("health/g_jump",)),
    Panel("relative to real", ("health/diversity", "health/diversity_within")),
    Panel("norm", ("health/weights_d", "health/weights_g")),
    Panel("scale", ("health/scale_d", "health/scale_g")),
)
Q = ("term/*/mutual_information",)
CHARTS = (
    Chart("losses", "Losses", ("loss/*", *Q), "loss"),
    Chart("scores", "Scores of the discriminator", ("score/*",), "mean score"),
    Chart("metrics", "Metrics", ("metric/*",), apart=True),
    Chart("gradient_norms", "Gradient norms", ("grad/*",), "norm of the gradient"),
    Chart("terms", "Parts of the losses", ("adversarial/*", "term/*"), "value before its weight"),
    Chart("estimates", "Estimates", ("estimate/*",), apart=True),
    Chart("health", "Health", ("health/*",), panels=HEALTH),
    Chart("learning_rates", "Learning rates", ("lr/*",), "learning rate"),
    Chart("images_per_second", "Speed", ("images_per_second",), "images per second"),
)
NAMES = {
    "loss/d": "D loss",
    "loss/g": "G loss",
    "score/real": "D(x)",
    "score/fake": "D(G(z)) in D's update",
    "score/fake_before_g": "D(G(z)) before G's update",
    "score/fake_after_g": "D(G(z)) after G's update",
    "grad/d": "D",
    "grad/g": "G",
    "lr/d": "D",
    "lr/g": "G",
    "adversarial/d": "D: adversarial loss",
    "adversarial/g": "G: adversarial loss",
    "images_per_second": "images per second",
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
SHARES = ("accuracy", "share", "precision", "recall", "coverage", "separation", "probability")
"""A quantity with one of these in its name lies between 0 and 1."""
ONE_ITERATION = {"score/fake_after_g", "health/separation", "health/g_gain", "health/g_jump"}
"""Measured only on the batch of the row's iteration, while the others are means over all iterations
since the previous row: they are much noisier."""
REACH = 4
"""Minimum number of rows on either side in the moving average of such a key."""
SPREAD = "_std"


def select(rows: Rows, *patterns: str) -> Series:
    """The curves whose keys match a pattern, in the order of the patterns. A non-finite value is a gap, and
    a curve with only gaps is left out."""
    series: Series = {}
    for row in rows:
        for key, value in row.items():
            if any(fnmatchcase(key, pattern) for pattern in patterns) and _is_number(value):
                seen, values = series.setdefault(key, ([], []))
                seen.append(row["images_seen"])
                values.append(math.nan if value is None else float(value))
    kept = [key for key, curve in series.items() if any(map(math.isfinite, curve[1]))]
    first = {key: [fnmatchcase(key, pattern) for pattern in patterns].index(True) for key in kept}
    return {key: series[key] for key in sorted(kept, key=first.__getitem__)}


def axes_of(chart: Chart, series: Series) -> list[Axes]:
    """The axes of a chart, top to bottom; none if there is no data for it."""
    bands = {key: series[key + SPREAD][1] for key in series if key + SPREAD in series}
    spreads = {key + SPREAD for key in bands}
    kept = {key: curve for key, curve in series.items() if key not in spreads}
    found: list[tuple[str, Series]]
    if chart.panels:
        found = [
            (p.unit, {k: c for k, c in kept.items() if any(fnmatchcase(k, each) for each in p.keys)})
            for p in chart.panels
        ]
    elif chart.apart:
        grouped: dict[str, Series] = {}
        for key, curve in kept.items():
            grouped.setdefault(_quantity(key), {})[key] = curve
        found = [(in_words(quantity), part) for quantity, part in grouped.items()]
    else:
        found = [(chart.unit, kept)]
    return [
        Axes(unit, part, _bounds(part), {key: (part[key][0], bands[key]) for key in part if key in bands})
        for unit, part in found
        if part
    ]


def label(key: str) -> str:
    """A key of metrics.jsonl in words, as in a legend. Domains of a task follow after a comma: `D(x), b`."""
    if key in NAMES:
        return NAMES[key]
    outer, _, inner = key.rpartition("/")
    if outer in NAMES:
        return f"{NAMES[outer]}, {in_words(inner)}"
    parts = key.split("/")
    if parts[0] == "term" and len(parts) > 2:
        if parts[2] == "mutual_information":
            suffix = "" if parts[1] == "g" else f", {parts[1].upper()}'s update"
            return f"Q: mutual information{suffix}"
        return f"{parts[1].upper()}: {in_words(' '.join(parts[2:]))}"
    return in_words(" ".join(parts[1:]) if len(parts) > 1 else key)


def in_words(name: str) -> str:
    """A name from a file as text: `class_accuracy` -> `class accuracy`."""
    return name.replace("_", " ").strip()


def running_mean(values: Sequence[float], reach: int) -> list[float]:
    """Moving average of each value with up to `reach` neighbors on either side; gaps are skipped."""
    means = []
    for place in range(len(values)):
        near = [value for value in values[max(0, place - reach) : place + reach + 1] if value == value]
        means.append(sum(near) / len(near) if near else math.nan)
    return means


def _quantity(key: str) -> str:
    """The same quantity on real and on generated samples shares axes."""
    name = key.partition("/")[2]
    return name.removesuffix("_real").removesuffix("_fake")


def _bounds(series: Series) -> Bounds | None:
    """0 to 1 for shares, and for scores where all are probabilities."""
    values = [value for _, curve in series.values() for value in curve if math.isfinite(value)]
    scores = all(key.startswith("score/") for key in series)
    shares = all(any(word in key for word in SHARES) for key in series)
    return (0.0, 1.0) if (scores or shares) and min(values) >= 0 and max(values) <= 1 else None


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
