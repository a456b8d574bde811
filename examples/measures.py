"""What a run measured, as the tables of examples/README.md show it: names, order, and the task of the run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shown:
    """How the tables call a value and write it, and what a run measured by it first is good at."""

    title: str
    form: str
    kind: str
    higher_is_better: bool = True


SHOWN = {
    "condition_accuracy": Shown("conditions met", "{:.1%}", "conditions"),
    "code_accuracy": Shown("digits found by the code", "{:.1%}", "codes"),
    "modes": Shown("modes hit", "{:.0f}", "modes"),
    "high_quality": Shown("samples within 3 sigma", "{:.1%}", "modes"),
    "stacked_mnist_modes": Shown("modes of 1,000", "{:,.0f}", "modes"),
    "stacked_mnist_kl": Shown("KL to the data", "{:.3f}", "modes", higher_is_better=False),
    "frechet_judge_distance": Shown("Frechet judge distance", "{:.2f}", "images", higher_is_better=False),
}
"""Value of a metric -> how it is shown; the first of a run decides its task."""
LOWER = tuple(each.title for each in SHOWN.values() if not each.higher_is_better)
SHAPES = {"ring8": "8 Gaussians", "grid25": "25 Gaussians", "swiss_roll": "Swiss roll"}
NAMES = {"iclevr": "i-CLEVR", "mnist": "MNIST", "stacked_mnist": "Stacked MNIST", "cifar10": "CIFAR-10"}
VALUE = re.compile(r"([^;]+): (nan|-?[\d,.]+)")


def measured(
    log: list[dict[str, Any]], evaluations: list[dict[str, Any]]
) -> tuple[int, dict[str, float], list[dict[str, Any]]]:
    """Images seen, values by name, and the metrics of the newest checkpoint that was evaluated; the values
    during training, where there is no evaluation."""
    if evaluations:
        newest = max(record["images_seen"] for record in evaluations)
        metrics = [metric for record in evaluations if record["images_seen"] == newest
                   for metric in record["metrics"]]  # fmt: skip
        return newest, {name: value for each in metrics for name, value in each["values"].items()}, metrics
    values: dict[str, float] = {}
    images = 0
    for row in log:
        now = {key.removeprefix("metric/"): row[key] for key in row if key.startswith("metric/")}
        images = row["images_seen"] if now else images
        values |= now
    return images, values, []


def result(values: dict[str, float]) -> str:
    """The values that the tables show, in the order of `SHOWN`; empty if there are none."""
    shown = []
    for name, (key, how) in _shown(values).items():
        spread = f" ± {how.form.format(values[f'{key}_std'])}" if f"{key}_std" in values else ""
        shown.append(f"{name}: {how.form.format(values[key])}{spread}")
    return "; ".join(shown)


def task(data: dict[str, Any], values: dict[str, float]) -> str:
    """The title of a run's table, from the run file's section [data] and what was measured."""
    name = NAMES.get(data["type"], data["type"])
    if data["type"] == "toy2d":
        return SHAPES[data["shape"]]
    if data["type"] == "iclevr":
        name += f" {data['image_size']}x{data['image_size']}"
    kinds = [how.kind for _, how in _shown(values).values()]
    return f"{name}, {kinds[0]}"


def _shown(values: dict[str, float]) -> dict[str, tuple[str, Shown]]:
    """Title -> name of the value and how it is shown. Conditions may have been measured several times,
    under names of their own."""
    found = {}
    for known, how in SHOWN.items():
        if known in values:
            found[how.title] = known, how
        if known == "condition_accuracy":
            for key in values:
                if key.endswith("_accuracy") and key not in SHOWN:
                    found[f"{how.title} ({key.removesuffix('_accuracy')})"] = key, how
    return found


def ranked(rows: list[list[str]]) -> list[list[str]]:
    """Rows of cells, the result second and the judge third: those of one judge together, best first, and the
    judge of the best row first."""
    best = {
        judge: max(_rank(cells[1]) for cells in rows if cells[2] == judge) for judge in {r[2] for r in rows}
    }
    return sorted(rows, key=lambda cells: (best[cells[2]], cells[2], _rank(cells[1])), reverse=True)


def _rank(shown: str) -> list[float]:
    """The values of a result as written, the better the higher."""
    ranks = []
    for title, text in VALUE.findall(shown):
        value = float(text.replace(",", ""))
        sign = -1 if title.strip().startswith(LOWER) else 1
        ranks.append(-math.inf if math.isnan(value) else sign * value)
    return ranks
