"""The decision that health findings lead to: continue, stop, or roll back to a healthy checkpoint.

A pure function of plain values. The loop gathers them from all processes and carries the decision out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganforge.api import Role
from ganforge.config import Health

PLAYERS: tuple[Role, ...] = ("d", "g")


@dataclass(frozen=True)
class Findings:
    """The active findings of the sentinel, the same in every process."""

    players: tuple[Role, ...]
    """The players at fault; empty in a healthy run."""
    summary: str
    """The findings in one line."""
    images_seen: int
    """Images seen."""


@dataclass(frozen=True)
class History:
    """The rollbacks of a run so far."""

    rollbacks: int = 0
    lr: Mapping[Role, float] = field(default_factory=lambda: dict.fromkeys(PLAYERS, 1.0))
    """The factor on each player's learning rate."""
    failed_at: int | None = None
    """Images seen when the latest rollback was decided on; None before the first."""

    def state(self) -> dict[str, Any]:
        """As plain data."""
        return {"rollbacks": self.rollbacks, "lr": dict(self.lr), "failed_at": self.failed_at}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> History:
        """From what `state` returned; checkpoints of older versions have no `failed_at`."""
        return cls(state["rollbacks"], dict(state["lr"]), state.get("failed_at"))


@dataclass(frozen=True)
class Continue:
    """The run continues unchanged."""


@dataclass(frozen=True)
class Stop:
    """The run ends."""

    reason: str
    gave_up: bool = False
    """The policy is to roll back, but it cannot."""


@dataclass(frozen=True)
class GoBack:
    """The run returns to its last healthy checkpoint."""

    reason: str
    lowered: tuple[Role, ...]
    """The players whose learning rate is lowered."""
    history: History
    """Including this rollback."""
    limit: int
    """Maximum number of rollbacks in a run."""

    def event(self) -> dict[str, Any]:
        """For the record of the run."""
        history = self.history
        counts = {"from": history.failed_at, "rollback": history.rollbacks, "of": self.limit}
        return {"event": "rollback", "what": self.reason, **counts, "lr_factor": dict(history.lr)}

    def line(self, images_seen: int) -> str:
        """For the user; `images_seen` at the checkpoint that was restored."""
        factors = ", ".join(f"{role} x {self.history.lr[role]:g}" for role in self.lowered)
        return (
            f"health: back at {images_seen:,} images (rollback {self.history.rollbacks} of {self.limit}), "
            f"with new random numbers and learning rates {factors}"
        )


Decision = Continue | Stop | GoBack


def decide(findings: Findings, history: History, policy: Health, healthy_checkpoint: bool = True) -> Decision:
    """The decision of `policy` on `findings`; `healthy_checkpoint`: whether there is one to roll back to.

    A rollback lowers the learning rate of the player at fault. If a run fails again before it has
    passed the point of its last failure, that did not help: the fault may be the rival's, so both are
    lowered.
    """
    if not findings.players or policy.policy not in ("stop", "rollback"):
        return Continue()
    if policy.policy == "stop":
        return Stop(findings.summary)
    if history.rollbacks >= policy.rollbacks:
        limit = f"after {history.rollbacks} rollbacks, the maximum of health.rollbacks"
        return Stop(f"{findings.summary} ({limit})", gave_up=True)
    if not healthy_checkpoint:
        return Stop(f"{findings.summary} (there is no healthy checkpoint to roll back to)", gave_up=True)
    no_progress = history.failed_at is not None and findings.images_seen <= history.failed_at
    lowered = PLAYERS if no_progress else findings.players
    factor = {role: policy.lr_factor if role in lowered else 1.0 for role in PLAYERS}
    lr = {role: history.lr[role] * factor[role] for role in PLAYERS}
    after = History(history.rollbacks + 1, lr, findings.images_seen)
    return GoBack(findings.summary, lowered, after, policy.rollbacks)
