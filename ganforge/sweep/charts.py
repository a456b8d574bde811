"""The charts of a sweep. Gray marks trials without a value: pruned, failed or running."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from ganforge.sweep.space import category
from ganforge.sweep.spec import Parameter, Sweep
from ganforge.sweep.summary import Summary, TrialRecord

COLORS = colormaps["viridis"]
FADED = "0.75"


def history(summary: Summary, sweep: Sweep) -> Figure:
    """Each trial's value, and the best so far."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    complete = [trial for trial in summary.trials if trial.state == "complete"]
    cut = [trial for trial in summary.trials if trial.state == "pruned" and trial.value is not None]
    axes.scatter(_numbers(cut), _values(cut), color=FADED, s=18, label="pruned: last value")
    axes.scatter(_numbers(complete), _values(complete), s=24, label="complete")
    better = max if sweep.objective.direction == "maximize" else min
    best, so_far = [], None
    for value in _values(complete):
        so_far = value if so_far is None else better(so_far, value)
        best.append(so_far)
    axes.step(_numbers(complete), best, where="post", linewidth=1.2, label="best so far")
    axes.set(xlabel="trial", ylabel=sweep.objective.metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def learning(summary: Summary, sweep: Sweep) -> Figure | None:
    """Learning curves of the objective; None if no trial has two values."""
    shown = [trial for trial in summary.trials if len(trial.values) > 1]
    if not shown:
        return None
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    color = _colors(shown)
    for trial in shown:
        seen = sorted(trial.values)
        style = color(trial.value) if trial.state == "complete" else FADED
        axes.plot(seen, [trial.values[place] for place in seen], color=style, linewidth=1.2, marker=".")
    axes.set(xlabel="images seen", ylabel=sweep.objective.metric)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)
    return figure


def parallel(summary: Summary, sweep: Sweep) -> Figure:
    """One line per trial through its parameters to its value; the last axis is the objective."""
    parameters = sweep.parameters
    complete = [trial for trial in summary.trials if trial.state == "complete"]
    others = [trial for trial in summary.trials if trial.state != "complete"]
    figure = Figure(figsize=(max(8.0, 2.0 * (len(parameters) + 1)), 4.5), layout="constrained")
    axes = figure.add_subplot()
    color = _colors(complete)
    low, high = _range(_values(complete))
    for trial in others:
        axes.plot([_height(each, trial) for each in parameters], color=FADED, linewidth=0.8, alpha=0.7)
    sign = 1 if sweep.objective.direction == "maximize" else -1
    for trial in sorted(complete, key=lambda trial: sign * (trial.value or 0.0)):
        heights = [_height(each, trial) for each in parameters]
        heights.append(((trial.value or 0.0) - low) / (high - low))
        axes.plot(heights, color=color(trial.value), linewidth=1.5, alpha=0.9)
    axes.set(xlim=(-0.1, len(parameters) + 0.3), ylim=(-0.04, 1.04), yticks=[])
    axes.set_xticks(range(len(parameters) + 1), [*map(_title, parameters), sweep.objective.metric])
    for place, parameter in enumerate(parameters):
        _scale(axes, place, _marks(parameter))
    objective = [low + (high - low) * share for share in (0.0, 0.5, 1.0)]
    _scale(
        axes,
        len(parameters),
        [(share, f"{value:.3g}") for share, value in zip((0, 0.5, 1), objective, strict=True)],
    )
    if complete:
        figure.colorbar(
            ScalarMappable(Normalize(low, high), COLORS), ax=axes, label=sweep.objective.metric, pad=0.08
        )
    return figure


def importance(shares: dict[str, float]) -> Figure:
    """Parameter -> share of its importance for the objective."""
    figure = Figure(figsize=(8, 0.9 + 0.4 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    ordered = sorted(shares.items(), key=lambda item: item[1])
    bars = axes.barh([name for name, _ in ordered], [share for _, share in ordered])
    axes.bar_label(bars, fmt="{:.2f}", padding=3)
    axes.set(xlim=(0, 1.1), xlabel="share")
    return figure


def _scale(axes: Axes, place: int, marks: Sequence[tuple[float, str]]) -> None:
    axes.axvline(place, color="0.3", linewidth=1)
    for height, text in marks:
        axes.text(
            place + 0.03, height, text, fontsize=8, va="center",
            bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1},
        )  # fmt: skip


def _marks(parameter: Parameter) -> list[tuple[float, str]]:
    """(height, text) of the tick labels of a parameter's axis."""
    if parameter.kind == "choice":
        count = max(1, len(parameter.choices) - 1)
        return [(place / count, str(category(choice))) for place, choice in enumerate(parameter.choices)]
    low, high = _bounds(parameter)
    middle = math.sqrt(low * high) if parameter.log else (low + high) / 2
    return [(0.0, f"{low:.3g}"), (0.5, f"{middle:.3g}"), (1.0, f"{high:.3g}")]


def _height(parameter: Parameter, trial: TrialRecord) -> float:
    """Position of the trial's value on the parameter's axis, 0 to 1."""
    value: Any = trial.parameters[parameter.key]
    if parameter.kind == "choice":
        place = [category(choice) for choice in parameter.choices].index(value)
        return place / max(1, len(parameter.choices) - 1)
    low, high = _bounds(parameter)
    if parameter.log:
        return math.log(value / low) / math.log(high / low)
    return float((value - low) / (high - low))


def _bounds(parameter: Parameter) -> tuple[float, float]:
    assert parameter.low is not None and parameter.high is not None
    return parameter.low, parameter.high


def _title(parameter: Parameter) -> str:
    """The key in two lines, or those of adjacent axes would overlap."""
    table, _, key = parameter.key.rpartition(".")
    return f"{table}\n{key}" if table else key


def _colors(trials: Sequence[TrialRecord]) -> Any:
    low, high = _range(_values([trial for trial in trials if trial.state == "complete"]))
    return lambda value: COLORS((value - low) / (high - low))


def _range(values: Sequence[float]) -> tuple[float, float]:
    """From the lowest to the highest; of nonzero width even if all are equal."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _values(trials: Sequence[TrialRecord]) -> list[float]:
    return [trial.value for trial in trials if trial.value is not None]


def _numbers(trials: Sequence[TrialRecord]) -> list[int]:
    return [trial.number for trial in trials]
