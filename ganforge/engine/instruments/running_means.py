"""Running means of logged scalars that stay on the device until they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

CAPACITY = 1024
"""Capacity in names; far more than any run logs."""


WHOLE = "/whole"
"""Ends the name of the denominator of a scalar that is a share."""


def shares(means: Mapping[str, float]) -> dict[str, float]:
    """The means with each share divided by its whole; those of wholes that are 0 are left out."""
    found = {}
    for name, value in means.items():
        whole = means.get(f"{name}{WHOLE}", 1.0)
        if not name.endswith(WHOLE) and whole != 0:
            found[name] = value / whole
    return found


class Added(NamedTuple):
    """Scalars that were added together."""

    names: tuple[str, ...]
    values: Tensor
    """[n], one per name."""


class RunningMeans:
    """Mean of each named scalar since the last `take`; neither `add` nor `flush` synchronizes the device.

    The sums are one preallocated vector, changed in place with one operation per micro-batch.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.sums = torch.zeros(CAPACITY, dtype=torch.float32, device=device)
        """float32 [CAPACITY]."""
        self.counts: dict[str, int] = {}
        """Name -> scalars added; the order of the names is that of the sums."""
        self._slots: dict[tuple[str, ...], Tensor] = {}
        """Names that were added together -> their positions in the sums: a view [n] of these, float32, or
        int64 [n]."""
        self._waiting: list[tuple[str, Tensor]] = []

    def add(self, name: str, value: Tensor) -> None:
        """A scalar tensor, counted from the next `flush` on; then its graph is freed."""
        self._waiting.append((name, value))

    def flush(self) -> Added | None:
        """Adds everything since the last call in one operation. Call it before a name is added twice: a GPU
        adds duplicates in any order."""
        if not self._waiting:
            return None
        names, values = zip(*self._waiting, strict=True)
        added = Added(names, torch.stack(values).detach().float())
        if added.names not in self._slots:
            self._slots[added.names] = self._places(added.names)
        slots = self._slots[added.names]
        if slots.dtype == self.sums.dtype:
            slots.add_(added.values)
        else:
            self.sums.index_add_(0, slots, added.values)
        self._waiting = []
        self.count(added.names)
        return added

    def count(self, names: Sequence[str]) -> None:
        """Another scalar has been added per name: called where a replay changed the sums."""
        for name in names:
            self.counts[name] += 1

    def recount(self, counts: Mapping[str, int]) -> None:
        """Restores `counts`, when the sums are restored, too."""
        self._waiting = []
        # Names added since keep their positions.
        self.counts = {name: counts.get(name, 0) for name in self.counts}

    def take(self) -> dict[str, float]:
        """The means, in one transfer, and resets them."""
        self.flush()
        counts = list(self.counts.values())
        sums = self.sums[: len(counts)].tolist()
        means = (torch.tensor(sums) / torch.tensor(counts)).tolist()
        found = {name: mean for name, mean in zip(self.counts, means, strict=True) if self.counts[name]}
        self.sums.zero_()
        self.counts = dict.fromkeys(self.counts, 0)
        return found

    def merge(self, mean: Callable[[Tensor], Tensor]) -> None:
        """Replaces the sums by their `mean` over the processes: what a resumed run starts with."""
        self.flush()
        if any(self.counts.values()):
            self.sums.copy_(mean(self.sums))

    def state(self) -> dict[str, tuple[float, int]]:
        """Sums and counts so far, so that a stop in the middle of an interval loses nothing."""
        self.flush()
        sums = self.sums[: len(self.counts)].tolist()
        return {name: (total, self.counts[name]) for name, total in zip(self.counts, sums, strict=True)}

    def restore(self, state: Mapping[str, Sequence[float]]) -> None:
        """Restores `state`; exact, as a float32 passes through JSON unchanged."""
        self.counts = {name: int(count) for name, (_, count) in state.items()}
        self._slots, self._waiting = {}, []
        self.sums.zero_()
        totals = torch.tensor([float(total) for total, _ in state.values()])
        self.sums[: len(totals)].copy_(totals)

    def _places(self, names: Sequence[str]) -> Tensor:
        for name in names:
            self.counts.setdefault(name, 0)
        known = list(self.counts)
        assert len(known) <= CAPACITY, f"more than {CAPACITY} scalars are logged"
        places = [known.index(name) for name in names]
        # Adjacent if they were first added together, which is the usual case.
        if places == list(range(places[0], places[0] + len(places))):
            return self.sums[places[0] : places[0] + len(places)]
        return torch.tensor(places, device=self.sums.device)
