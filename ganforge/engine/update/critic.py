"""The discriminator, as losses and terms ask it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from torch import Tensor, nn

from ganforge.api import Role, Stream, Verdict
from ganforge.components.faults import blame
from ganforge.components.results import check_augmented, check_verdict
from ganforge.components.team import member_of
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.kernels.double_backward import TwiceDifferentiable
from ganforge.engine.update.live import Live
from ganforge.engine.update.player import Player
from ganforge.engine.update.precision import at_least_float32, verdict_at_least_float32


class Critic:
    """Shows samples to the discriminator, augmented by the callbacks, and checks its output."""

    def __init__(
        self, player: Player, live: Live, heads: Mapping[str, int], runtime: Runtime, rng: Stream
    ) -> None:
        self.player = player
        self.live = live
        self.heads = heads
        """Head name -> width: what the terms want from the discriminator."""
        self.runtime = runtime
        self.rng = rng
        self.fast_double_backward = True
        """Penalties are differentiated without torch's detours: more work for Python, less for the device."""

    def judge(self, member: str, x: Tensor, cond: Any) -> Verdict:
        """The verdict of a member of the discriminator's side ("" = the network) on x [N, ...], by a forward
        pass in the run's precision; float32."""
        network = self._network(member)
        with self.runtime.autocast():
            verdict = self._verdict(partial(self.player.run, network), self._augmented(x), cond)
        return verdict_at_least_float32(verdict)

    def exactly(self, role: Role, member: str, x: Tensor, cond: Any) -> Verdict:
        """The same in float32, to be differentiated with respect to x, in the update of `role`."""
        # Of a frozen critic even a slope that is the same everywhere stays on the graph, as torch has it.
        twice = TwiceDifferentiable() if role == "d" and self.fast_double_backward else nullcontext()
        with self.runtime.full_precision(), twice:
            # Not the compiled form, which cannot be differentiated twice.
            return self._verdict(self._network(member), self._augmented(at_least_float32(x)), cond)

    def _network(self, member: str) -> nn.Module:
        network = self.player.network
        # Most critics are a single network, which costs no more than this.
        if not member and not isinstance(network, nn.ModuleDict):
            return network
        with blame(self.live.task, "compare"):
            return member_of(network, member)

    def _verdict(self, network: Callable[..., Verdict], x: Tensor, cond: Any) -> Verdict:
        nets = self.live.nets
        with blame(nets, "the discriminator's forward pass"):
            verdict = network(x, cond)
        check_verdict(verdict, nets, self.heads, len(x))
        return verdict

    def _augmented(self, x: Tensor) -> Tensor:
        for callback in self.live.callbacks:
            with blame(callback, "augment"):
                shown = callback.augment(x, self.rng)
                check_augmented(shown, callback, x)
            x = shown
        return x
