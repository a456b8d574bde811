"""The losses of the works, written as a script has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LAMBDA = 10.0
"""Weight of the gradient penalty."""
CONTINUOUS = 0.1
"""Weight of InfoGAN's continuous codes."""


class Objective(NamedTuple):
    """Each a function of logits [N] that returns a scalar."""

    on_real: Callable[[Tensor], Tensor]
    on_fake: Callable[[Tensor], Tensor]
    for_g: Callable[[Tensor], Tensor]


def _says_real(logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def _says_fake(logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


OBJECTIVES: dict[str, Objective] = {
    "bce": Objective(_says_real, _says_fake, _says_real),
    "wasserstein": Objective(lambda x: -x.mean(), lambda x: x.mean(), lambda x: -x.mean()),
}


def penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """WGAN-GP's, weighted."""
    t = torch.rand(len(real), 1, 1, 1, generator=rng, device=real.device)
    between = (t * real + (1 - t) * fake).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return LAMBDA * (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def r1(critic: Callable[[Tensor], Tensor], real: Tensor, weight: float) -> Tensor:
    """Weighted: gamma / 2 E |grad D|^2 at real images."""
    real = real.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(real).sum(), real, create_graph=True)
    return weight / 2 * gradient.square().flatten(1).sum(1).mean()


def surprise(heads: Mapping[str, Tensor], codes: Mapping[str, Tensor]) -> Tensor:
    """InfoGAN's, -log Q of the codes, weighted; a Gaussian of variance 1 for the continuous ones."""
    parts = []
    for name, code in codes.items():
        if code.is_floating_point():
            parts.append(CONTINUOUS * 0.5 * (code - heads[name]).square().sum(1).mean())
        else:
            parts.append(F.cross_entropy(heads[name], code))
    return torch.stack(parts).sum()
