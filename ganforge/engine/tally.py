"""Running means of logged scalars that stay on the device until they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor


class Tally:
    """Mean of each named scalar since the last `take`; adding never synchronises the device."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Adds a scalar tensor; its graph is let go."""
        value = value.detach().float()
        self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means, in one transfer, and a fresh start."""
        if not self._sums:
            return {}
        values = torch.stack([self._sums[name] / self._counts[name] for name in self._sums]).tolist()
        means = dict(zip(self._sums, values, strict=True))
        self._sums, self._counts = {}, {}
        return means

    def merge(self, mean: Callable[[Tensor], Tensor]) -> None:
        """Replaces the sums by their `mean` over the processes: what a resumed run begins with."""
        if self._sums:
            merged = mean(torch.stack(list(self._sums.values())))
            self._sums = dict(zip(self._sums, merged.unbind(), strict=True))

    def state(self) -> dict[str, tuple[float, int]]:
        """Sums and counts so far, so that a stop in the middle of an interval loses nothing."""
        return {name: (float(total), self._counts[name]) for name, total in self._sums.items()}

    def restore(self, state: Mapping[str, Sequence[float]]) -> None:
        """Puts back what `state` gave; exact, as a float32 passes through JSON unchanged."""
        self._sums = {name: torch.tensor(total) for name, (total, _) in state.items()}
        self._counts = {name: int(count) for name, (_, count) in state.items()}
