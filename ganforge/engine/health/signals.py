"""What the sentinel looks at: a few numbers that are made on the device and read at log time only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

NEVER = 2**62
CAUSES = ("adversarial/", "term/")
"""How the names of an objective's parts begin. All else that is logged follows from them."""


class FirstBad:
    """For each scalar of the objectives, the first update in which it was not finite.

    Kept on the device and changed in place: it costs a handful of tiny kernels an update, never a
    synchronisation, and is exact though nobody looks before the next row of the log.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._clock = torch.zeros((), dtype=torch.int64, device=device)
        self._first: dict[tuple[str, ...], Tensor] = {}

    def note(self, names: tuple[str, ...], values: Tensor) -> None:
        """Looks at the scalars [n] of one update; as terms may be lazy, not each has the same names."""
        if names not in self._first:
            self._first[names] = self._fresh([NEVER] * len(names))
        first = self._first[names]
        torch.minimum(first, torch.where(values.isfinite(), NEVER, self._clock), out=first)

    def tick(self) -> None:
        """An update, of either player, is over."""
        self._clock.add_(1)

    def read(self) -> dict[str, int]:
        """Name -> updates of both players before its first bad one; those that were always finite
        are left out. Waits for the device."""
        found: dict[str, int] = {}
        for names, first in self._first.items():
            for name, update in zip(names, first.tolist(), strict=True):
                if update < NEVER and name.startswith(CAUSES):
                    found[name] = min(update, found.get(name, NEVER))
        return found

    def tensors(self) -> list[Tensor]:
        """All that changes."""
        return [self._clock, *self._first.values()]

    def restore(self, updates: int, found: Mapping[str, int]) -> None:
        """Goes on after `updates` of both players, with what `read` gave then."""
        self._clock.fill_(updates)
        self._first = {(name,): self._fresh([update]) for name, update in found.items()}

    def _fresh(self, updates: Sequence[int]) -> Tensor:
        return torch.tensor(updates, dtype=torch.int64, device=self.device)


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


def weight_norm(network: nn.Module) -> Tensor:
    """The Euclidean norm of all parameters together."""
    return nn.utils.get_total_norm([parameter.detach() for parameter in network.parameters()])
