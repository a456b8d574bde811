"""What leaves a network in half precision, for losses and terms, which compute in float32 at least."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganforge.api import Comparison, Verdict, mapped


def at_least_float32(x: Tensor) -> Tensor:
    """`x`, in float32 where it was in less; integers stay."""
    return x.to(torch.promote_types(x.dtype, torch.float32)) if x.is_floating_point() else x


def tree_at_least_float32(tree: Any) -> Any:
    """The same for a tree of tensors."""
    return at_least_float32(tree) if isinstance(tree, Tensor) else mapped(_leaf, tree)


def verdict_at_least_float32(verdict: Verdict) -> Verdict:
    """The same for logits, heads and features."""
    return Verdict(*map(tree_at_least_float32, verdict))


def comparison_at_least_float32(comparison: Comparison) -> Comparison:
    """The same for all that is compared, and what came with it."""
    return Comparison(*map(tree_at_least_float32, comparison))


def detached(comparison: Comparison) -> Comparison:
    """The same values without a graph."""
    return Comparison(*(mapped(_off_the_graph, part) for part in comparison))


def _leaf(x: Any) -> Any:
    return at_least_float32(x) if isinstance(x, Tensor) else x


def _off_the_graph(x: Any) -> Any:
    return x.detach() if isinstance(x, Tensor) and x.requires_grad else x
