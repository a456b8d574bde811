"""The losses and terms of the literature, one per file."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_losses.adaptive_weight import AdaptiveWeight
from ganforge_losses.auxiliary_classifier import AuxiliaryClassifier
from ganforge_losses.bce import Bce
from ganforge_losses.began import Began
from ganforge_losses.boundary_seeking import BoundarySeeking
from ganforge_losses.cycle_consistency import CycleConsistency
from ganforge_losses.discriminative_classifier import DiscriminativeClassifier
from ganforge_losses.dual_contrastive import DualContrastive
from ganforge_losses.ebgan import Ebgan
from ganforge_losses.feature_matching import FeatureMatching
from ganforge_losses.gradient_penalty import GradientPenalty
from ganforge_losses.guide import Guide
from ganforge_losses.hinge import Hinge
from ganforge_losses.identity import Identity
from ganforge_losses.l1 import L1
from ganforge_losses.lecam import LeCam
from ganforge_losses.mse import Mse
from ganforge_losses.mutual_information import MutualInformation
from ganforge_losses.path_length import PathLength
from ganforge_losses.perceptual import Perceptual
from ganforge_losses.r1 import R1
from ganforge_losses.r2 import R2
from ganforge_losses.reconstruction import Reconstruction
from ganforge_losses.relativistic import Relativistic
from ganforge_losses.softmax import Softmax
from ganforge_losses.wasserstein import Wasserstein
from ganforge_losses.wgan_div import WassersteinDivergence


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [
        Bce,
        Began,
        BoundarySeeking,
        DualContrastive,
        Ebgan,
        Hinge,
        Mse,
        Relativistic,
        Softmax,
        Wasserstein,
        AdaptiveWeight,
        AuxiliaryClassifier,
        CycleConsistency,
        DiscriminativeClassifier,
        FeatureMatching,
        GradientPenalty,
        Guide,
        Identity,
        L1,
        LeCam,
        MutualInformation,
        PathLength,
        Perceptual,
        R1,
        Reconstruction,
        R2,
        WassersteinDivergence,
    ]
