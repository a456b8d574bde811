"""The run in a sentence or two: what was trained, how far, whether it is healthy, its best metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ganforge.outputs.charts import SPREAD, in_words
from ganforge.outputs.progress import duration
from ganforge.outputs.report.records import Record

LOWER = ("fid", "kid", "fjd", "distance", "error", "mmd", "wasserstein", "divergence", "kl")
HIGHER = ("accuracy", "precision", "recall", "density", "coverage", "inception", "modes", "information")
"""Parts of a metric's name that show which direction is better, where `logging.keep_best` does not."""
LABELS = {"one_of_k": "one each", "many_of_k": "several each"}


def sentences(record: Record) -> list[str]:
    """What was trained; how far; health; the best metric."""
    found = [f"{_what(record)}, {_how_far(record)}.", health(record), best_metric(record)]
    return [line for line in found if line]


def _what(record: Record) -> str:
    nets, data, loss = record.kind("nets"), record.kind("data"), record.kind("loss")
    task = record.kind("task")
    how = f" with {loss} loss" if loss else ""
    shown = f"{nets or 'Networks'} on {data or 'data'}{how}"
    if task and task != "generate":
        shown = f"{in_words(task)}: {shown}"
    facts = []
    shape = record.shape()
    if len(shape) == 3:
        facts.append(
            f"{shape[1]} x {shape[2]} pixels" + {1: ", gray", 3: ""}.get(shape[0], f", {shape[0]} channels")
        )
    elif shape:
        facts.append(f"{' x '.join(map(str, shape))} numbers a sample")
    kind = str(record.labels().get("kind"))
    if record.label_names() and kind in LABELS:
        facts.append(f"{len(record.label_names())} labels, {LABELS[kind]}")
    elif kind == "image":
        facts.append("images as conditions")
    return shown + (f" ({'; '.join(facts)})" if facts else "")


def _how_far(record: Record) -> str:
    seen, target = record.images_seen, record.section("train").get("images")
    if not seen:
        return "not trained yet"
    told = f"trained on {seen:,} images"
    if isinstance(target, int) and target > 0:
        # The last iteration may pass the target.
        told += (
            " (complete)"
            if seen >= target
            else f" of {target:,} ({math.floor(1000 * seen / target) / 10:g}%)"
        )
    seconds = [row["seconds"] for row in record.rows if _finite(row.get("seconds"))]
    return told + (f" in {duration(seconds[-1])}" if seconds else "")


def health(record: Record) -> str:
    """Whether the sentinel found anything, and what."""
    if not record.rows:
        return "No metrics have been logged yet."
    last = record.rows[-1].get("nonfinite")
    if isinstance(last, list) and last:
        return f"Not healthy: {', '.join(map(str, last[:3]))} not finite in the last row."
    ends = [event for event in record.events if event["event"] in ("stop", "gave up")]
    if ends:
        return f"Not healthy: ended by the health policy ({ends[-1].get('what', 'no reason recorded')})."
    findings = [event for event in record.events if event["event"] == "finding"]
    back = sum(event["event"] not in ("finding", "stop", "gave up") for event in record.events)
    rolled = f" Rolled back {back} {'time' if back == 1 else 'times'}." if back else ""
    if not findings:
        return f"Healthy: no findings.{rolled}"
    names = list(dict.fromkeys(in_words(str(event.get("diagnosis", "finding"))) for event in findings))
    latest = findings[-1]["images_seen"]
    count = f"{len(findings)} {'finding' if len(findings) == 1 else 'findings'}"
    return f"Needs attention: {count} ({', '.join(names)}), the latest at {latest:,} images.{rolled}"


def is_well(record: Record) -> bool:
    return health(record).startswith("Healthy")


def best_metric(record: Record) -> str:
    """The best value of the metric that chooses checkpoints, or of the first whose direction is known."""
    values = _metrics(record)
    logging = record.section("logging")
    chosen = str(logging.get("keep_best"))
    if chosen in values:
        return _sentence(chosen, values[chosen], logging.get("best_is") == "lowest")
    for name, points in values.items():
        lower = direction(name)
        if lower is not None:
            return _sentence(name, points, lower)
    for name, points in values.items():
        return f"Last {in_words(name)}: {points[-1][1]:.4g} after {points[-1][0]:,} images."
    return ""


def direction(name: str) -> bool | None:
    """Whether lower is better; None if the name does not show it."""
    if any(part in name.lower() for part in HIGHER):
        return False
    return True if any(part in name.lower() for part in LOWER) else None


def _sentence(name: str, points: list[tuple[int, float]], lower: bool) -> str:
    seen, value = (min if lower else max)(points, key=lambda point: point[1])
    better = "lower is better" if lower else "higher is better"
    return f"Best {in_words(name)}: {value:.4g} after {seen:,} images ({better})."


def _metrics(record: Record) -> dict[str, list[tuple[int, float]]]:
    """Name -> (images seen, value), in the order of training, from the log and from evaluations."""
    found: dict[str, list[tuple[int, float]]] = {}

    def add(seen: int, values: Mapping[str, Any], prefix: str) -> None:
        for key, value in values.items():
            name = str(key).removeprefix(prefix)
            if (
                str(key).startswith(prefix)
                and _finite(value)
                and not name.endswith(SPREAD)
                and "/" not in name
            ):
                found.setdefault(name, []).append((seen, float(value)))

    for row in record.rows:
        add(row["images_seen"], row, "metric/")
    for evaluation in record.evaluations:
        for metric in evaluation["metrics"]:
            add(evaluation["images_seen"], metric["values"], "")
    return found


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
