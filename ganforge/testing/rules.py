"""The rules of the component contract: what each demands, why, and how to fix a component that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ganforge.testing.subject import Subject

EVERY = ("data", "prior", "nets", "task", "loss", "terms", "optimizer", "callbacks", "metrics", "trackers")
IN_UPDATES = ("prior", "nets", "task", "loss", "terms", "optimizer", "callbacks")
"""Kinds that take part in the update of a player."""


class Violation(AssertionError):
    """A component breaks a rule; the message says what was found."""


class NotApplicable(Exception):
    """A rule cannot be applied to a component; the message says why."""


@dataclass(frozen=True)
class Rule:
    """One rule of the contract."""

    name: str
    kinds: tuple[str, ...]
    """The kinds of components it applies to."""
    why: str
    fix: str
    check: Callable[[Subject], None]
    """Raises `Violation` or `NotApplicable`."""


RULES: dict[str, Rule] = {}
"""Every rule, by its name, in the order in which they are checked."""


def rule(
    name: str, *, why: str, fix: str, kinds: tuple[str, ...] = EVERY
) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Registers the decorated check as a rule."""

    def register(check: Callable[[Subject], None]) -> Callable[[Subject], None]:
        RULES[name] = Rule(name, kinds, why, fix, check)
        return check

    return register


def require(kept: bool, found: str) -> None:
    """Raises `Violation` with `found` unless `kept`."""
    if not kept:
        raise Violation(found)
