"""What components must return in an update: types, shapes and graphs.

Checked in every update, because it is free: no content is read, so the device is not synchronized.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ganforge.api import (
    Architecture,
    Callback,
    Comparison,
    Component,
    Draw,
    Play,
    Prior,
    Role,
    Share,
    Task,
    Tree,
    Verdict,
    leaves,
)
from ganforge.components.faults import blame, fault, in_words

PLAYERS: Mapping[Role, str] = {"d": "discriminator", "g": "generator"}


def check_objective(value: object, component: Component, method: str, role: Role) -> None:
    """A loss or a term: a scalar through which its player can learn."""
    # Not silently broadcast: (N, 1) minus (N,) would become (N, N).
    check_scalar(value, component, method)
    if isinstance(value, Tensor) and not value.requires_grad:
        raise fault(
            component,
            f"{method} returned a tensor off the graph (requires_grad is False), from which the "
            f"{PLAYERS[role]} cannot learn",
        )


def check_scalar(value: object, component: Component, method: str) -> None:
    if not isinstance(value, Tensor) or value.ndim != 0 or not value.is_floating_point():
        raise fault(component, f"{method} returned {in_words(value)}; expected a scalar tensor of floats")


def check_estimates(values: object, component: Component) -> None:
    """Name -> scalar, or a share."""
    if not isinstance(values, Mapping):
        raise fault(component, f"estimates returned {in_words(values)}; expected a dict of scalar tensors")
    for name, value in values.items():
        for part in value if isinstance(value, Share) else (value,):
            check_scalar(part, component, f"estimates ('{name}')")


def draw_of(prior: Prior, n: int, cond: Tree, generator: torch.Generator) -> Draw:
    """A prior's sample, with latents [n, z_dim]."""
    with blame(prior, "sample"):
        draw = prior.sample(n, cond, generator)
        z_dim = prior.z_dim()
    if not isinstance(draw, Draw):
        raise fault(prior, f"sample returned {in_words(draw)}; expected a Draw")
    _check(draw.z, (n, z_dim), prior, "sample returned latents")
    return draw


def check_samples(samples: object, nets: Architecture, shape: tuple[int, ...]) -> None:
    """A generator's output."""
    _check(samples, shape, nets, "the generator returned")


def check_compared(found: object, task: Task, nets: Architecture, attached: bool) -> None:
    """What a task compares in an update: fakes shaped as the real samples, `attached` to the weights."""
    if not isinstance(found, Mapping) or not found:
        raise fault(task, f"compare returned {in_words(found)}; expected a dict of Comparisons")
    for name, each in found.items():
        if not isinstance(each, Comparison) or not isinstance(each.real, Tensor):
            raise fault(task, f"compare returned {in_words(each)} for '{name}'; expected a Comparison")
        check_samples(each.fake, nets, tuple(each.real.shape))
        if attached and not each.fake.requires_grad:
            raise fault(
                nets,
                "the generator returned a tensor off the graph (requires_grad is False), from which it "
                "cannot learn",
            )


def check_verdict(verdict: object, nets: Architecture, heads: Mapping[str, int], n: int) -> None:
    """A discriminator's logits [n, ...], and the requested heads."""
    if not isinstance(verdict, Verdict):
        raise fault(nets, f"the discriminator returned {in_words(verdict)}; expected a Verdict")
    outputs = list(leaves(verdict.logits))
    for logits in outputs or [None]:
        if not isinstance(logits, Tensor) or logits.shape[:1] != (n,) or not logits.is_floating_point():
            raise fault(
                nets,
                f"the discriminator returned logits as {in_words(logits)}; expected floats of shape "
                f"({n},), or ({n}, ...) for patches",
            )
    for name, width in heads.items():
        _check(verdict.heads.get(name), (n, width), nets, f"the discriminator's head '{name}' returned")


def check_replaced(play: Play, callback: Callback, like: Tensor) -> None:
    """Fakes that a callback has replaced."""
    _check(play.fake, tuple(like.shape), callback, "before put fakes in place as")


def check_augmented(x: object, callback: Callback, like: Tensor) -> None:
    _check(x, tuple(like.shape), callback, "augment returned")


def _check(value: object, shape: tuple[int, ...], component: Component, said: str) -> None:
    if not isinstance(value, Tensor) or value.shape != shape or not value.is_floating_point():
        raise fault(component, f"{said} {in_words(value)}; expected floats of shape {shape}")
