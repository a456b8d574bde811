"""Trees of tensors: the output of a critic with several scales or patches, and conditions of several parts.

A tree is a tensor, or a list, tuple or dict of trees. None is a tree without leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from operator import add
from typing import Any

from torch import Tensor

Tree = Any
"""Tensor | list | tuple | dict of trees | None."""


def leaves(tree: Tree) -> Iterator[Any]:
    """The leaves, depth first; whatever is neither a container nor None is one."""
    if isinstance(tree, Mapping):
        for branch in tree.values():
            yield from leaves(branch)
    elif isinstance(tree, list | tuple):
        for branch in tree:
            yield from leaves(branch)
    elif tree is not None:
        yield tree


def mapped(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """A tree of the same structure, of `function(leaf)`."""
    if isinstance(tree, Mapping):
        return {name: mapped(function, branch) for name, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)([mapped(function, branch) for branch in tree])
    return None if tree is None else function(tree)


def taken(tree: Tree, rows: Any) -> Tree:
    """The rows of every leaf: by a slice, an index, or a tensor of indices."""
    return mapped(lambda leaf: leaf[rows], tree)


def length(tree: Tree) -> int:
    """N, of a tree with leaves [N, ...]."""
    return len(next(leaves(tree)))


def total(function: Callable[..., Any], *trees: Tree) -> Any:
    """The sum over the leaves of `function(leaf, ...)`, one leaf of each tree at a time. Raises
    `ValueError` if the trees differ in their number of leaves, or have none."""
    if all(isinstance(tree, Tensor) for tree in trees):
        return function(*trees)
    values = [function(*each) for each in zip(*map(leaves, trees), strict=True)]
    if not values:
        raise ValueError("expected at least one tensor, got none")
    return reduce(add, values)


def per_sample(tree: Tree) -> Tensor:
    """[N]: for each sample, the mean over all other dimensions of a leaf [N, ...], and over the leaves."""
    means = [leaf if leaf.ndim == 1 else leaf.flatten(1).mean(1) for leaf in leaves(tree)]
    first: Tensor = means[0]
    return first if len(means) == 1 else reduce(add, means) / len(means)
