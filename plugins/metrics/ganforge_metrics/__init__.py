"""Metrics that need no further dependency, one per file."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_metrics.code_accuracy import CodeAccuracy
from ganforge_metrics.condition_accuracy import ConditionAccuracy
from ganforge_metrics.fjd import FrechetJudgeDistance
from ganforge_metrics.mmd import MMD
from ganforge_metrics.modes import Modes
from ganforge_metrics.mutual_information import MutualInformation
from ganforge_metrics.pair_error import PairError
from ganforge_metrics.prdc import PRDC
from ganforge_metrics.sliced_wasserstein import SlicedWasserstein
from ganforge_metrics.stacked_mnist import StackedMNIST


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [
        CodeAccuracy,
        ConditionAccuracy,
        FrechetJudgeDistance,
        MMD,
        Modes,
        MutualInformation,
        PairError,
        PRDC,
        SlicedWasserstein,
        StackedMNIST,
    ]
