"""Moving averages of the generator.

With a half-life of H images, the contribution of a weight is halved every H images: the decay over a step
of n images is 0.5 ** (n / H). Early in the run, H is limited to a share of the images seen
(Karras et al., 2020, arXiv:2006.06676, table "EMA rampup").
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ganforge.api import Ramp
from ganforge.config import Ema

AVERAGED_BUFFERS = ("running_mean", "running_var")
"""BatchNorm's statistics belong to the weights and are averaged with them. Other buffers are copied: the
unit vectors of spectral normalization, for example, have no meaningful mean."""

GROUP = "generator"
"""The file of a checkpoint that has the average which is sampled from; the others add their half-life."""


def averages_of(network: nn.Module, config: Ema) -> dict[str, MovingAverage]:
    """The averages that a run keeps of `network`, by their file in a checkpoint; the first is sampled."""
    halflives: dict[str, int | Ramp] = {GROUP: config.halflife} if config.halflife else {}
    halflives |= {f"{GROUP}_{halflife}": halflife for halflife in config.also}
    return {group: MovingAverage(network, each, config.rampup) for group, each in halflives.items()}


class MovingAverage:
    """A copy of a network whose weights are a moving average."""

    def __init__(self, network: nn.Module, halflife: int | Ramp, rampup: float) -> None:
        self.halflife = halflife
        self.rampup = rampup
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        # To walk through the modules takes longer than to update a small network. Parameters stay what they
        # are; a buffer may be replaced by another tensor, so only their absence is remembered.
        self._parameters = list(self.network.parameters())
        self._has_buffers = next(self.network.buffers(), None) is not None
        self._followed: tuple[nn.Module, list[Tensor]] | None = None

    @torch.no_grad()
    def update(self, network: nn.Module, images: int, images_seen: int) -> None:
        """Updates the average toward `network` after `images` more images, `images_seen` in total."""
        rate = 1.0 - self.decay(images, images_seen)
        if self._followed is None or self._followed[0] is not network:
            self._followed = network, [parameter.detach() for parameter in network.parameters()]
        averaged: list[Tensor] = [*self._parameters]
        current = [*self._followed[1]]
        if self._has_buffers:
            for (name, mine), theirs in zip(self.network.named_buffers(), network.buffers(), strict=True):
                if name.rpartition(".")[2] in AVERAGED_BUFFERS:
                    averaged.append(mine)
                    current.append(theirs)
                else:
                    mine.copy_(theirs)
        torch._foreach_lerp_(averaged, current, rate)

    def decay(self, images: int, images_seen: int) -> float:
        """The weight of the old average over a step of `images` images."""
        given = self.halflife
        halflife = given.at(images_seen) if isinstance(given, Ramp) else float(given)
        if self.rampup:
            halflife = min(halflife, self.rampup * images_seen)
        return 0.5 ** (images / halflife) if halflife > 0 else 0.0
