"""The gradient of a critic with respect to its input, which every gradient penalty needs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganforge.api import Advice, Critic, RunView, UserError, batch_norms, leaves, total


def mixed_samples(run: RunView, term: str, paper: str) -> list[Advice]:
    """Advice where one sample's gradient, which the term penalizes, depends on the rest of its batch."""
    layers = batch_norms(run.networks.discriminator)
    if not layers:
        return []
    return [
        Advice(
            f"{term}.batch_norm",
            f"term '{term}' penalizes each sample's gradient, and {len(layers)} batch normalizations mix "
            f"the samples in the discriminator ({paper}); use one without (nets.d_norm = "
            '"none", where the nets have this key)',
        )
    ]


def input_gradient(critic: Critic, x: Tensor, cond: Any, term: str) -> Tensor:
    """The gradient of each sample's output at `x` [N, ...], shaped like `x` and differentiable.

    The critic's output may have any shape [N, ...]; that of a critic of patches, or of several
    scales, is summed over them. Raises `UserError`, on behalf of the term called `term`, if its first
    dimension is not N.
    """
    x = x.detach().requires_grad_(True)
    logits = critic(x, cond).logits
    for output in leaves(logits):
        if output.shape[:1] != x.shape[:1]:
            raise UserError(
                f"term '{term}' needs one output per sample: for an input of shape {list(x.shape)} the "
                f"discriminator returned logits of shape {list(output.shape)}; expected {x.shape[0]} as "
                "their first dimension"
            )
    # Backward operations obey the autocast state they are called in, not that of the forward pass.
    with torch.autocast(x.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(total(Tensor.sum, logits), x, create_graph=True)
    return gradient
