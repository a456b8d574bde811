"""Rule: losses and terms stay finite on batches at the edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ganforge.api import Play, Role, UserError, Verdict, mapped
from ganforge.engine.data.batches import Batch
from ganforge.engine.loop import Loop
from ganforge.testing.rules import Violation, require, rule
from ganforge.testing.subject import Subject

HIGH = 1e4

EDGES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "equal logits": lambda logits: logits * 0,
    "logits of +1e4": lambda logits: logits * 0 + HIGH,
    "logits of -1e4": lambda logits: logits * 0 - HIGH,
    "logits of +1e4 and -1e4": lambda logits: logits * 0 + HIGH * _signs(logits),
}
"""What becomes of the discriminator's logits [N, ...]."""


@rule(
    "finite",
    why="the first batch of a run has nearly equal logits, a diverging one has huge ones, and the last batch "
    "of a data set may have one sample; a single NaN ends the run.",
    fix="use softplus and logsigmoid rather than log and exp, logsumexp rather than log of a sum, and "
    "`(x.square().sum() + 1e-12).sqrt()` rather than a norm of what may be 0.",
    kinds=("loss", "terms"),
)
def finite(subject: Subject) -> None:
    for batch_size in (4, 1):
        loop = subject.loop(every_update=True, batch_size=batch_size)
        few = "1 sample, " if batch_size == 1 else ""
        for edge, change in EDGES.items():
            for role in ("d", "g"):
                _check(subject, loop, role, change, f"{few}{edge}")


def _check(subject: Subject, loop: Loop, role: Role, change: Callable[[Tensor], Tensor], edge: str) -> None:
    for part, plays in parts_of(subject, loop, role):
        for play in plays:
            play.critic, play.exact_critic = (
                _changed(play.critic, change),
                _changed(play.exact_critic, change),
            )
        try:
            values = [loop.game.live.of(part, play)(play) for play in plays]
            loop.game.live.check()
        except UserError:
            raise
        except Exception as error:
            raise Violation(f"{role}'s update, {edge}: {type(error).__name__}: {error}") from error
        total = torch.stack(values).sum()
        require(bool(total.isfinite()), f"{role}'s update, {edge}: the value is {total.item()}")
        parameters = [p for p in loop.game.players[role].network.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(total, parameters, allow_unused=True) if total.requires_grad else ()
        lost = any(each is not None and not each.isfinite().all() for each in gradients)
        require(not lost, f"{role}'s update, {edge}: a gradient is not finite")


def parts_of(
    subject: Subject, loop: Loop, role: Role, batch: Batch | None = None
) -> Sequence[tuple[Any, list[Play]]]:
    """The loss or terms of this class that the objective of `role` has, each with the plays of an update,
    on the run's first batch by default."""
    live = loop.game.live
    candidates: list[Any] = [live.loss] if subject.kind == "loss" else list(live.terms)
    mine = [part for part in candidates if part.type == subject.name]
    if subject.kind == "terms":
        mine = [part for part in mine if role in part.players]
    found = []
    for part in mine:
        loop.game._begin(role)
        plays = loop.game._plays(role, loop.batches.at(0) if batch is None else batch)
        for play in plays:
            # A term may need the loss of the same update, such as an adaptive weight.
            if subject.kind == "terms":
                _play_others(loop, part, play)
        found.append((part, plays))
    return found


def _play_others(loop: Loop, part: Any, play: Play) -> None:
    """What the objective of this update has before `part`."""
    live = loop.game.live
    play.parts["adversarial"] = live.of(live.loss, play)(play)
    for name, term in loop.game.players[play.role].due().items():
        if term is part:
            break
        play.parts[name] = live.of(term, play)(play)
    for cached in ("real_verdict", "fake_verdict"):
        play.__dict__.pop(cached, None)


def _changed(critic: Any, change: Callable[[Tensor], Tensor]) -> Any:
    def changed(x: Tensor, cond: Any) -> Verdict:
        verdict: Verdict = critic(x, cond)
        return verdict._replace(logits=mapped(change, verdict.logits))

    return changed


def _signs(logits: Tensor) -> Tensor:
    """+1 and -1 in turn over the samples: [N, 1, ...]."""
    turns = 1.0 - 2.0 * (torch.arange(len(logits), device=logits.device) % 2)
    return turns.view(-1, *[1] * (logits.ndim - 1))
