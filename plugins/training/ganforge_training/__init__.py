"""Priors, optimisers and callbacks, one per file."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_training.adam import Adam
from ganforge_training.adamw import AdamW
from ganforge_training.codes import Codes
from ganforge_training.diff_augment import DiffAugment
from ganforge_training.normal import Normal
from ganforge_training.rmsprop import RMSprop
from ganforge_training.sgd import Sgd
from ganforge_training.uniform import Uniform
from ganforge_training.weight_clip import WeightClip


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [Codes, Normal, Uniform, Adam, AdamW, RMSprop, Sgd, DiffAugment, WeightClip]
