"""The losses and terms of the literature, one per file."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_losses.auxiliary_classifier import AuxiliaryClassifier
from ganforge_losses.bce import Bce
from ganforge_losses.feature_matching import FeatureMatching
from ganforge_losses.gradient_penalty import GradientPenalty
from ganforge_losses.hinge import Hinge
from ganforge_losses.mse import Mse
from ganforge_losses.mutual_information import MutualInformation
from ganforge_losses.r1 import R1
from ganforge_losses.r2 import R2
from ganforge_losses.relativistic import Relativistic
from ganforge_losses.wasserstein import Wasserstein


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [
        Bce,
        Hinge,
        Mse,
        Relativistic,
        Wasserstein,
        AuxiliaryClassifier,
        FeatureMatching,
        GradientPenalty,
        MutualInformation,
        R1,
        R2,
    ]
