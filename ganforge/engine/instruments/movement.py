"""How far a network's weights have moved since the run began."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

MAX_TENSORS = 8
PER_TENSOR = 32


class Movement:
    """Follows a few hundred weights of a network, of its largest tensors."""

    def __init__(self, network: nn.Module) -> None:
        learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._followed = sorted(learned, key=lambda each: -each.numel())[:MAX_TENSORS]
        self.first: list[float] | None = None
        """Their values at the first call of `measure`."""
        self._unknown = False

    def measure(self) -> float | None:
        """The distance of the weights from their first values, relative to the norm of these; None if all
        weights are 0, or the first values are unknown. Synchronizes the device."""
        if self._unknown:
            return None
        now = self._values()
        if self.first is None or len(self.first) != len(now):
            self.first = now
        norm = math.hypot(*self.first)
        distance = math.hypot(*(a - b for a, b in zip(now, self.first, strict=True)))
        return distance / norm if norm > 0 else None

    def restore(self, state: Mapping[str, Any], name: str) -> None:
        """Continues from the first values in a checkpoint's `state`; checkpoints of older versions have
        none."""
        self._unknown = name not in state
        first: Sequence[float] | None = state.get(name)
        self.first = None if first is None else list(first)

    @torch.no_grad()
    def _values(self) -> list[float]:
        picked = [_some(parameter) for parameter in self._followed]
        return [float(value) for value in torch.cat(picked).tolist()] if picked else []


def _some(parameter: Tensor) -> Tensor:
    """Evenly spaced elements, float32 [at most PER_TENSOR]."""
    step = max(1, parameter.numel() // PER_TENSOR)
    return parameter.detach().reshape(-1)[::step][:PER_TENSOR].float()
