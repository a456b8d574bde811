"""What a loss or term sees in one update of one player."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganforge.api.nets import Draw, Verdict
from ganforge.api.tree import leaves

Role = Literal["d", "g"]
Critic = Callable[[Tensor, Any], Verdict]
Mean = Callable[[Tensor], Tensor]


class Play:
    """One move: real samples, fakes, and a critic to ask about them.

    The verdicts are computed when first read and kept, so a loss and five terms share one
    forward pass, and a generator whose loss needs no verdict on real samples pays for none.
    """

    def __init__(
        self,
        role: Role,
        real: Tensor,
        cond: Any,
        fake: Tensor,
        draw: Draw,
        critic: Critic,
        exact_critic: Critic,
        rng: torch.Generator,
        mean: Mean = lambda x: x,
        *,
        name: str = "",
        fake_cond: Any = ...,
        extra: Mapping[str, Any] | None = None,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
    ) -> None:
        self.role = role
        self.name = name
        """Of the comparison (`Task.compare`); "" in a plain GAN."""
        self.real = real
        """[N, C, H, W] in [-1, 1], or points [N, D]."""
        self.cond = cond
        """[N, K], an image [N, C, H, W], or None: what the critic is told of `real`."""
        self.fake = fake
        """Like `real`; attached to the generator's graph only in the generator's own update."""
        self.fake_cond = draw.cond if fake_cond is ... else fake_cond
        """Like `cond`: what the critic is told of `fake`."""
        self.draw = draw
        """The latents of this update, and the conditions they were drawn for."""
        self.extra = extra or {}
        """What else the task has made on the way, by name."""
        self.critic = critic
        """The discriminator in the run's precision; the verdict comes back in float32."""
        self.exact_critic = exact_critic
        """The discriminator in float32 whatever the run's precision, for terms that
        differentiate with respect to its input. In the discriminator's update its gradient is cheap
        to differentiate; a second derivative with respect to the input may then be absent where it is
        0 everywhere (`torch.autograd.grad(..., materialize_grads=True)`)."""
        self.generator = generator
        """The generator's side, as the module that its task has built: in float32, never compiled."""
        self.discriminator = discriminator
        """The discriminator's side, in the same way."""
        self.rng = rng
        """The random stream of this update; use it and no other, so that resume is exact. What
        belongs to single samples is best drawn through `ganforge.api.rows`."""
        self.mean = mean
        """The mean of a tensor over the processes, differentiable; all of them must ask for it. For
        a statistic of the batch, such as its center: of one process it sees that one's share alone."""
        self.parts: dict[str, Tensor] = {}
        """The objective's parts so far in this update, without their weights: "adversarial", then the terms
        by name in the order of the run file."""

    @property
    def both_learn(self) -> bool:
        """The real side is the generator's work, too, such as the code of a real sample (BiGAN)."""
        parts = [self.real, *leaves(self.cond)]
        return self.role == "g" and any(part.requires_grad for part in parts)

    @cached_property
    def real_verdict(self) -> Verdict:
        return self.critic(self.real, self.cond)

    @cached_property
    def fake_verdict(self) -> Verdict:
        return self.critic(self.fake, self.fake_cond)
