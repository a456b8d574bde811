"""What a loss or term sees in one update of one player."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganforge.api.nets import Draw, Verdict
from ganforge.api.stream import Stream
from ganforge.api.tree import leaves

Role = Literal["d", "g"]
Critic = Callable[[Tensor, Any], Verdict]
Mean = Callable[[Tensor], Tensor]


class Play:
    """The state of one update: real samples, fakes, and the critic.

    Verdicts (discriminator outputs) are computed on first access and cached, so a loss and five terms
    share one forward pass, and a generator whose loss needs no logits of real samples pays for none.
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
        """Name of the comparison (`Task.compare`); "" in a plain GAN."""
        self.real = real
        """[N, C, H, W] in [-1, 1], or points [N, D]."""
        self.cond = cond
        """[N, K], an image [N, C, H, W], a dict of such by name, or None: the condition of `real`."""
        self.fake = fake
        """Like `real`; attached to the generator's graph only in the generator's own update."""
        self.fake_cond = draw.cond if fake_cond is ... else fake_cond
        """Like `cond`: the condition of `fake`."""
        self.draw = draw
        """The latents of this update, and the conditions they were drawn for."""
        self.extra = extra or {}
        """Other intermediate results of the task, by name."""
        self.critic = critic
        """The discriminator in the run's precision; its output is converted to float32."""
        self.exact_critic = exact_critic
        """The discriminator in float32 whatever the run's precision, for terms that
        differentiate with respect to its input. In the discriminator's update its gradient is cheap
        to differentiate; a second derivative with respect to the input may then be absent where it is
        0 everywhere (`torch.autograd.grad(..., materialize_grads=True)`)."""
        self.generator = generator
        """The generator's side, as the module built by the task: in float32, never compiled."""
        self.discriminator = discriminator
        """The discriminator's side, likewise."""
        self.rng = rng
        """The random stream of this update; use it and no other, so that resume is exact. Draw per-sample
        numbers through `ganforge.api.rows`."""
        self.mean = mean
        """The mean of a tensor over the processes, differentiable; all of them must call it. For a statistic
        of the batch, such as its center: a single process sees only its share of the batch."""
        self.parts: dict[str, Tensor] = {}
        """The objective's parts so far in this update, without their weights: "adversarial", then the terms
        by name in the order of the run file."""

    @property
    def world(self) -> int:
        """The number of processes that share the batch; `mean(x.sum()) * world` is the sum over all of it."""
        return self.rng.world if isinstance(self.rng, Stream) else 1

    @property
    def both_learn(self) -> bool:
        """The real side depends on the generator, too, such as the code of a real sample (BiGAN)."""
        parts = [self.real, *leaves(self.cond)]
        return self.role == "g" and any(part.requires_grad for part in parts)

    @cached_property
    def real_verdict(self) -> Verdict:
        return self.critic(self.real, self.cond)

    @cached_property
    def fake_verdict(self) -> Verdict:
        return self.critic(self.fake, self.fake_cond)
