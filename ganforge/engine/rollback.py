"""What a finding does to a run: nothing, its end, or its return to the last healthy checkpoint."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from ganforge.api import Role, UserError
from ganforge.engine.checkpoint import checkpoint

if TYPE_CHECKING:
    from ganforge.engine.distributed.stop_request import StopRequest
    from ganforge.engine.health.guard import Guard
    from ganforge.engine.loop import Loop

ELSEWHERE = "the run is not healthy"
PLAYERS: tuple[Role, ...] = ("d", "g")


def heed(loop: Loop, stop: StopRequest) -> bool:
    """Does what the policy wants of the present findings, in all processes alike. True where the
    run went back; where it has to end, `loop.diagnosis` says why and `stop` has a reason."""
    guard, runtime = loop.guard, loop.game.runtime
    if not guard.acts:
        return False
    mine = guard.at_fault() if runtime.is_main else []
    at_fault = [role for role in PLAYERS if runtime.any(role in mine)]
    if not at_fault:
        return False
    because = guard.blame() or ELSEWHERE
    end = "stop"
    if guard.config.policy == "rollback":
        if guard.may_go_back and _go_back(loop, at_fault, because):
            return True
        because, end = f"{because} ({_why_no_further(guard)})", "gave up"
    loop.diagnosis = because
    stop.reason = stop.reason or f"health.policy = '{guard.config.policy}'"
    loop.tell_event({"event": end, "what": because})
    return False


def _go_back(loop: Loop, at_fault: list[Role], because: str) -> bool:
    """To the newest sound checkpoint that was healthy; False where there is none."""
    guard, runtime = loop.guard, loop.game.runtime
    loop.saver.wait()
    # Nobody looks for checkpoints before the main process has written its last.
    runtime.any(False)
    found = _last_healthy(loop)
    if runtime.any(found is None) or found is None:
        return False
    left, rollbacks, lr = loop.images_seen, guard.rollbacks, dict(guard.lr)
    spent = loop.seconds
    loop.restore(*found)
    loop.seconds = spent
    guard.go_back(at_fault, rollbacks, lr)
    loop.reseed()
    # At once, so that a run that is killed now knows, when it is resumed, that it went back.
    loop.save()
    loop.saver.wait()
    if runtime.is_main:
        for newer in checkpoint.complete(loop.checkpoints):
            if int(newer.name) > loop.images_seen:
                shutil.rmtree(newer)
        loop.observer.cut(loop.images_seen)
        loop.tell_event(
            {
                "event": "rollback",
                "what": because,
                "from": left,
                "rollback": guard.rollbacks,
                "of": guard.config.rollbacks,
                "lr_factor": dict(guard.lr),
            }
        )
        factors = ", ".join(f"{role} x {guard.lr[role]:g}" for role in at_fault)
        loop.observer.say(
            f"health: back at {loop.images_seen:,} images (rollback {guard.rollbacks} of "
            f"{guard.config.rollbacks}), with other random numbers and the learning rate of {factors}"
        )
    return True


def _why_no_further(guard: Guard) -> str:
    if guard.may_go_back:
        return "there is no healthy checkpoint to go back to"
    return f"after {guard.rollbacks} rollbacks, the most that health.rollbacks allows"


def _last_healthy(loop: Loop) -> tuple[checkpoint.Tensors, checkpoint.Document] | None:
    for candidate in reversed(checkpoint.complete(loop.checkpoints)):
        try:
            _, state = checkpoint.load(candidate, groups=())
            if (state["health"] or {}).get("healthy_at") == state["images_seen"]:
                return checkpoint.load(candidate)
        except UserError as error:
            loop.say(f"warning: {error}")
    return None
