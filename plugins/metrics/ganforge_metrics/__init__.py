"""Metrics that need no further dependency, one per file."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_metrics.code_accuracy import CodeAccuracy
from ganforge_metrics.condition_accuracy import ConditionAccuracy
from ganforge_metrics.modes import Modes
from ganforge_metrics.sliced_wasserstein import SlicedWasserstein


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [CodeAccuracy, ConditionAccuracy, Modes, SlicedWasserstein]
