"""The gradient of a critic with respect to its input, which every gradient penalty needs."""

from __future__ import annotations

import torch
from torch import Tensor

from ganforge.api import Critic, UserError


def input_gradient(critic: Critic, x: Tensor, cond: Tensor | None, term: str) -> Tensor:
    """The gradient of each sample's output at `x` [N, ...], shaped like `x` and differentiable.

    The critic's output may have any shape [N, ...]; that of a patch critic is summed over its patches.
    Raises `UserError`, in the name of the term `term`, if its first dimension is not N.
    """
    x = x.detach().requires_grad_(True)
    logits = critic(x, cond).logits  # [N, ...]
    if logits.shape[:1] != x.shape[:1]:
        raise UserError(
            f"term '{term}' needs one output per sample: for an input of shape {list(x.shape)} the "
            f"discriminator returned logits of shape {list(logits.shape)}; their first dimension must be "
            f"{x.shape[0]}"
        )
    # Backward operations use the autocast state they are called in, not that of the forward pass.
    with torch.autocast(x.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)  # [N, ...]
    return gradient
