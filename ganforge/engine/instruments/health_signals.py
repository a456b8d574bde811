"""Inputs of the sentinel: a few numbers that are computed on the device and read only when logging."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

MAX_ROWS = 4096
"""Updates that are kept individually; more than most runs have between two rows of the log."""
CAUSES = ("adversarial/", "term/", "score/")
"""Prefixes of the parts of an objective, and of the scores they are computed from. Everything else that is
logged is derived from these."""
Names = tuple[str, ...]
Looked = tuple[Names, list[int], Tensor]
"""Names; updates [k]; for each name, the first of these in which it was non-finite, or k: int64 [n]."""


class Noted:
    """Scalars that are logged together, one row per update.

    The rows are preallocated. A small tensor per update would lie among the large ones of training for as
    long as it is kept, and fragment the memory between them: that was 8 MB per iteration for a small
    WGAN-GP.
    """

    def __init__(self, like: Tensor) -> None:
        self.values = like.new_empty(MAX_ROWS, len(like))
        """[MAX_ROWS, n], of which the first `len(updates)` are filled."""
        self.updates: list[int] = []
        """Their updates."""

    def add(self, update: int, values: Tensor) -> bool:
        """Returns whether this was the last free row."""
        self.values[len(self.updates)].copy_(values)
        self.updates.append(update)
        return len(self.updates) == MAX_ROWS


class Mark(NamedTuple):
    """State of a `FirstBad`."""

    updates: int
    rows: dict[Names, tuple[list[int], Tensor]]
    """Updates [k], and their values [k, n]."""
    looked: list[Looked]


class FirstBad:
    """For each part of the objectives, the first update in which it was non-finite.

    An update costs one row of numbers: whether any scalar was non-finite shows in the means of the log,
    and only then, or when there are many rows, are the individual updates searched.
    """

    def __init__(self) -> None:
        self.updates = 0
        """Of both players so far."""
        self._noted: dict[Names, Noted] = {}
        self._looked: list[Looked] = []
        self._known: dict[str, int] = {}

    def note(self, names: Names, values: Tensor) -> None:
        """The scalars [n] of the current update."""
        if names not in self._noted:
            self._noted[names] = Noted(values)
        if self._noted[names].add(self.updates, values):
            self._search()

    def tick(self) -> None:
        """An update, of either player, is complete."""
        self.updates += 1

    def all_well(self) -> None:
        """The means over the rows since the last call are finite, and so was each value."""
        self._looked = []
        for noted in self._noted.values():
            noted.updates = []

    def read(self) -> dict[str, int]:
        """Name -> number of updates of both players before its first non-finite one; names that were always
        finite are left out. Synchronizes the device."""
        self._search()
        for names, updates, first in self._looked:
            for name, row in zip(names, first.tolist(), strict=True):
                if row < len(updates) and name.startswith(CAUSES):
                    self._known[name] = min(updates[row], self._known.get(name, updates[row]))
        self._looked = []
        return dict(self._known)

    def restore(self, updates: int, found: Mapping[str, int]) -> None:
        """Continues after `updates` of both players, with the result of `read` at that point."""
        self.updates, self._known = updates, dict(found)
        self.all_well()

    def mark(self) -> Mark:
        """The current state, for `back_to`."""
        rows = {
            names: (noted.updates.copy(), noted.values[: len(noted.updates)].clone())
            for names, noted in self._noted.items()
        }
        return Mark(self.updates, rows, self._looked.copy())

    def back_to(self, mark: Mark) -> None:
        """Restores that state."""
        self.updates, self._looked = mark.updates, mark.looked.copy()
        for names, noted in self._noted.items():
            updates, values = mark.rows.get(names, ([], noted.values[:0]))
            noted.updates = updates.copy()
            noted.values[: len(updates)].copy_(values)

    def _search(self) -> None:
        """Searches the recorded rows, on the device."""
        for names, noted in self._noted.items():
            count = len(noted.updates)
            if count:
                rows = torch.arange(count, device=noted.values.device)[:, None]
                first = torch.where(noted.values[:count].isfinite(), count, rows).amin(0)
                self._looked.append((names, noted.updates, first))
                noted.updates = []


def bad_layer(network: nn.Module) -> str | None:
    """The first parameter, in the network's order, whose gradient or value is non-finite."""
    for name, parameter in network.named_parameters():
        gradient = parameter.grad
        if not bool(parameter.isfinite().all()):
            return name
        if gradient is not None and not bool(gradient.isfinite().all()):
            return name
    return None


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether every value is finite, with one synchronization of the device."""
    norms = torch._foreach_norm([tensor for tensor in tensors if tensor.is_floating_point()])
    return bool(torch.stack([norm.float() for norm in norms]).isfinite().all())


def separation(real: Tensor, fake: Tensor) -> Tensor:
    """The share of pairs that the discriminator ranks correctly, from its logits [N] on real samples and on
    fakes: 0.5 = chance, 1 = always. It is the area under the ROC curve, and so invariant to the scale and
    meaning of the logits; ties count half."""
    difference = real[:, None] - fake[None, :]
    return ((difference > 0).float() + 0.5 * (difference == 0).float()).mean()


def jump(before: Tensor, after: Tensor, real: Tensor) -> Tensor:
    """How far an update of the generator moves its fakes, `before` and `after` it from the same latents,
    in units of the spread of the `real` samples, or of the fakes if that is larger; all [N, ...], N > 1.

    Both lengths are root mean squares over the samples: of Euclidean distances before to after, and of
    Euclidean distances to the mean. 0 = the update changed nothing, sqrt(2) = a fake is as far from
    itself as from another one. It is invariant to the scale of the data, and independent of the
    discriminator. An untrained generator's fakes are close together, so their spread alone is no measure.
    """
    moved = (after.float() - before).flatten(1).square().sum(1).mean()
    spread = torch.stack([_variance(real), _variance(before)]).amax()
    return (moved / spread.clamp_min(torch.finfo(spread.dtype).tiny)).sqrt()


def _variance(x: Tensor) -> Tensor:
    """The mean squared Euclidean distance of the samples `x` [N, ...] to their mean, unbiased."""
    return x.float().flatten(1).var(0).sum()


def weight_norm(network: nn.Module) -> Tensor:
    """The Euclidean norm of all parameters together."""
    return nn.utils.get_total_norm([parameter.detach() for parameter in network.parameters()])
