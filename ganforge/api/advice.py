"""Advice about settings that are allowed, but probably not intended.

`Component.advice` returns it, based on the component and the rest of the run. `ganforge check` shows it, and
so does a run when it starts, until the run file lists its key under `train.silence`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from ganforge.api.component import Component
    from ganforge.api.data import DataSpec
    from ganforge.api.nets import Networks


@dataclass(frozen=True)
class Advice:
    """One piece of advice."""

    key: str
    """By which a run file silences it: the component's type, a dot, and a word, as in "bce.smooth_real"."""
    text: str
    """What was got, why that hardly works, the paper that says so, and what to write instead."""
    fatal: bool = False
    """It cannot work at all: the run is refused."""


@dataclass(frozen=True)
class RunView:
    """The run that a component is part of."""

    spec: DataSpec
    batch: int
    """Samples in one forward pass: the batch over all accumulation steps and processes."""
    networks: Networks
    """Both, on the meta device: their structure, without weights."""
    components: tuple[Component, ...]
    """All that the run file names."""
    processes: int = 1
    """That share the batch."""

    def has(self, *types: str) -> bool:
        """Whether the run has a component of one of these types."""
        return any(component.type in types for component in self.components)


def batch_norms(network: nn.Module) -> list[nn.Module]:
    """The layers that normalize a sample by the others of its batch."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def has_spectral_norm(network: nn.Module) -> bool:
    """Whether a layer's weight is divided by its largest singular value, by either of torch's ways."""
    for module in network.modules():
        if type(module).__name__ == "_SpectralNorm" or hasattr(module, "weight_u"):
            return True
        if any("spectral" in type(hook).__name__.lower() for hook in module._forward_pre_hooks.values()):
            return True
    return False
