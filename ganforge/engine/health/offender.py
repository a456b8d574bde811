"""Whose step made a run's numbers non-finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ganforge.api import Role


def offender(first_bad: Mapping[str, int], schedule: Sequence[Role]) -> Role | None:
    """The player at fault; None where nothing is bad.

    `first_bad`: part of an objective, or score -> the first update (of both players, from 0) in which it
    was not finite. `schedule`: whose turn each update of an iteration is.

    A non-finite loss need not be the fault of the player that minimizes it: after a step of D to weights
    that are infinite or enormous, the loss of G is the first to overflow. All that was computed before
    was finite, so the fault is with the only player whose weights have changed since, the one whose step
    came before. Two things depend on one player alone: D(x), with x from the data, on D, and a term on
    the player that has it.
    """
    if not first_bad:
        return None
    first = min(first_bad.values())
    names = {name for name, update in first_bad.items() if update == first}
    if "score/real" in names:
        return "d"
    if all(name.startswith("term/") for name in names):
        return "d" if any(name.startswith("term/d/") for name in names) else "g"
    if first > 0 and names != {"score/fake_after_g"}:
        return schedule[(first - 1) % len(schedule)]
    return "g" if names & {"score/fake_before_g", "score/fake_after_g", "adversarial/g"} else "d"
