"""Optimizers, one per file."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_optimizers.adam import Adam
from ganforge_optimizers.adamw import AdamW
from ganforge_optimizers.rmsprop import RMSprop
from ganforge_optimizers.sgd import Sgd


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [Adam, AdamW, RMSprop, Sgd]
