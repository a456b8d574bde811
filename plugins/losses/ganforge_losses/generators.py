"""The members of a generator's side, as terms ask for them."""

from __future__ import annotations

from torch import nn

from ganforge.api import Play, UserError


def member(play: Play, name: str, term: str) -> nn.Module:
    """The network `name` of the generator's side. Raises `UserError`, on behalf of the term called `term`,
    with the networks there are."""
    side = play.generator
    there = list(side) if isinstance(side, nn.ModuleDict) else []
    if not isinstance(side, nn.ModuleDict) or name not in side:
        got = ", ".join(there) if there else "a single network"
        raise UserError(
            f"term '{term}' needs a generator with a network '{name}', got {got}; use the task 'cycle', or "
            "remove the term"
        )
    return side[name]


def opposite(play: Play, term: str) -> tuple[str, str]:
    """Of a comparison of the task `cycle`: the generator that makes its fakes, and the one back. Raises
    `UserError` for a comparison of another task."""
    ways = {"a": ("ba", "ab"), "b": ("ab", "ba")}
    if play.name not in ways:
        raise UserError(
            f"term '{term}' needs comparisons 'a' and 'b', got '{play.name}'; use the task 'cycle', or "
            "remove the term"
        )
    return ways[play.name]
