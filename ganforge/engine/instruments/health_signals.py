"""What the sentinel looks at: a few numbers that are made on the device and read at log time only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

MANY = 4096
"""Updates that are kept one by one; more than most runs have between two rows of the log."""
CAUSES = ("adversarial/", "term/", "score/")
"""How the names of an objective's parts, and of the scores they are computed from, begin. All else that is
logged follows from them."""
Names = tuple[str, ...]
Looked = tuple[Names, list[int], Tensor]
"""Names; updates [k]; for each name, the first of these in which it was bad, or k: int64 [n]."""


class Noted:
    """Scalars that are logged together, one row an update.

    The rows have their place from the start. A small tensor an update would lie among the large ones of
    training for as long as it is kept, and the memory between such tensors is not used again: that was
    8 MB an iteration for a small WGAN-GP.
    """

    def __init__(self, like: Tensor) -> None:
        self.values = like.new_empty(MANY, len(like))
        """[MANY, n], of which the first are filled."""
        self.updates: list[int] = []
        """Their updates."""

    def add(self, update: int, values: Tensor) -> bool:
        """Returns whether this was the last row that there is."""
        self.values[len(self.updates)].copy_(values)
        self.updates.append(update)
        return len(self.updates) == MANY


class Mark(NamedTuple):
    """What a `FirstBad` knew at a moment."""

    updates: int
    rows: dict[Names, tuple[list[int], Tensor]]
    """Updates [k], and their values [k, n]."""
    looked: list[Looked]


class FirstBad:
    """For each part of the objectives, the first update in which it was not finite.

    An update costs a row of numbers: whether any scalar was bad is seen in the means of the log, and
    only then, or when there are many rows, are the single updates looked through.
    """

    def __init__(self) -> None:
        self.updates = 0
        """Of both players so far."""
        self._noted: dict[Names, Noted] = {}
        self._looked: list[Looked] = []
        self._known: dict[str, int] = {}

    def note(self, names: Names, values: Tensor) -> None:
        """The scalars [n] of the update that is under way."""
        if names not in self._noted:
            self._noted[names] = Noted(values)
        if self._noted[names].add(self.updates, values):
            self._look()

    def tick(self) -> None:
        """An update, of either player, is over."""
        self.updates += 1

    def all_well(self) -> None:
        """The means over what was noted since the last call are finite, and so was each of it."""
        self._looked = []
        for noted in self._noted.values():
            noted.updates = []

    def read(self) -> dict[str, int]:
        """Name -> updates of both players before its first bad one; those that were always finite
        are left out. Waits for the device."""
        self._look()
        for names, updates, first in self._looked:
            for name, row in zip(names, first.tolist(), strict=True):
                if row < len(updates) and name.startswith(CAUSES):
                    self._known[name] = min(updates[row], self._known.get(name, updates[row]))
        self._looked = []
        return dict(self._known)

    def restore(self, updates: int, found: Mapping[str, int]) -> None:
        """Goes on after `updates` of both players, with what `read` gave then."""
        self.updates, self._known = updates, dict(found)
        self.all_well()

    def mark(self) -> Mark:
        """This moment, for `back_to`."""
        rows = {
            names: (noted.updates.copy(), noted.values[: len(noted.updates)].clone())
            for names, noted in self._noted.items()
        }
        return Mark(self.updates, rows, self._looked.copy())

    def back_to(self, mark: Mark) -> None:
        """Knows what it knew then, and nothing else."""
        self.updates, self._looked = mark.updates, mark.looked.copy()
        for names, noted in self._noted.items():
            updates, values = mark.rows.get(names, ([], noted.values[:0]))
            noted.updates = updates.copy()
            noted.values[: len(updates)].copy_(values)

    def _look(self) -> None:
        """Through what was noted, on the device."""
        for names, noted in self._noted.items():
            count = len(noted.updates)
            if count:
                rows = torch.arange(count, device=noted.values.device)[:, None]
                first = torch.where(noted.values[:count].isfinite(), count, rows).amin(0)
                self._looked.append((names, noted.updates, first))
                noted.updates = []


def bad_layer(network: nn.Module) -> str | None:
    """The first parameter, in the network's order, whose gradient or value is not finite."""
    for name, parameter in network.named_parameters():
        gradient = parameter.grad
        if not bool(parameter.isfinite().all()):
            return name
        if gradient is not None and not bool(gradient.isfinite().all()):
            return name
    return None


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether every value is finite, in one wait for the device."""
    norms = torch._foreach_norm([tensor for tensor in tensors if tensor.is_floating_point()])
    return bool(torch.stack([norm.float() for norm in norms]).isfinite().all())


def separation(real: Tensor, fake: Tensor) -> Tensor:
    """The share of pairs that the discriminator puts in the right order, from its logits [N] on
    real samples and on fakes: 0.5 = it cannot tell, 1 = it always can. It is the area under the
    ROC curve, and so the same for any scale or meaning of the logits; ties count half."""
    difference = real[:, None] - fake[None, :]
    return ((difference > 0).float() + 0.5 * (difference == 0).float()).mean()


def jump(before: Tensor, after: Tensor, real: Tensor) -> Tensor:
    """How far an update of the generator moves its fakes, `before` and `after` it from the same latents,
    in units of the spread of the `real` samples, or of the fakes where that is larger; all [N, ...], N > 1.

    Both lengths are root mean squares over the samples: of Euclidean distances before to after, and of
    Euclidean distances to the mean. 0 = the update changed nothing, the root of 2 = a fake is as far from
    itself as from another one. Rescaling the data changes nothing, and no verdict of the discriminator
    comes in. A young generator's fakes lie close together, so their spread alone is no measure.
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
