"""Run by torchrun in two processes: what they must have in common, and what not, line by line."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import Any

import torch

from ganforge.api import Play, UserError
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge_losses import GradientPenalty
from ganforge_losses.r1 import R1
from support.remembering import Anchored, Last, Local
from support.scratch import scratch
from support.toys import toy_config, toy_loop

METRIC = {"type": "sliced_wasserstein", "every": 16, "samples": 40}


def say(line: str) -> None:
    if os.environ["RANK"] == "0":
        sys.stdout.write(f"{line}\n")


def fresh_loop(**sections: object) -> Loop:
    nets = {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "layer"}
    return toy_loop(scratch(), toy_config(nets=nets, **sections))[0]


def updates() -> None:
    """Steps and lazy terms are counted in updates, not in processes; weights stay equal."""
    calls: Counter[str] = Counter()
    for kind in (GradientPenalty, R1):
        plain = kind.__call__

        def counted(self: GradientPenalty | R1, play: Play, plain=plain) -> torch.Tensor:  # type: ignore[no-untyped-def]
            calls[self.type] += 1
            return plain(self, play)

        kind.__call__ = counted  # type: ignore[method-assign, assignment]
    loop = fresh_loop(
        terms=[{"type": "gradient_penalty"}, {"type": "r1", "every": 2}, {"type": "auxiliary_classifier"}],
        train={"batch_size": 8, "d_updates": 2, "accumulate": 2},
    )
    runtime = loop.game.runtime
    for _ in range(3):
        loop._iterate(measure=True)
    shares = runtime.gather(loop.batches.indices(0)).tolist()
    for role, player in loop.game.players.items():
        flat = torch.cat([parameter.detach().flatten() for parameter in player.network.parameters()])
        first, second = runtime.gather(flat)
        say(f"{role}: updates {player.updates}, ranks equal: {torch.equal(first, second)}")
    say(f"terms, by micro-batch: {dict(sorted(calls.items()))}")
    say(f"shared samples: {len(set(shares[0]) & set(shares[1]))}")


def sampling() -> None:
    """The work is shared, and the samples do not show it; BatchNorm's statistics are the main one's."""
    loop = fresh_loop()
    for _ in range(2):
        loop._iterate(measure=False)
    shared = loop.sampler
    made: list[int] = []
    shared.network.register_forward_hook(lambda _module, arguments, _output: made.append(len(arguments[0])))
    together = shared.sample(200, seed=3)
    here = sum(made)
    alone = GeneratorSampler(
        shared.network, shared.task, shared.prior, shared.nets, shared.spec, shared.device, shared.labels
    ).sample(200, seed=3)
    runtime = loop.game.runtime
    counts = runtime.gather(torch.tensor(here)).tolist()
    same = runtime.gather(torch.tensor(float(torch.equal(together, alone)))).tolist()
    say(f"samples as of one process: {same}, made {counts}")


def metrics() -> None:
    """Metrics change no weight, in any process."""
    finals = []
    for chosen in ([], [METRIC]):
        loop = fresh_loop(metrics=chosen)
        loop.run(StopRequest())
        finals.append([p.detach().clone() for p in loop.game.players["g"].network.parameters()])
    equal = all(torch.equal(a, b) for a, b in zip(*finals, strict=True))
    rows = [row for row in loop.observer.rows if any(name.startswith("metric/") for name in row)]  # type: ignore[attr-defined]
    told = loop.game.runtime.gather(torch.tensor([float(equal), float(len(rows))])).tolist()
    say(f"weights with metrics as without, rows: {told}")


def stopping() -> None:
    """One process is asked; both end after the same iteration, and know that it was a signal."""
    loop = fresh_loop(train={"batch_size": 8, "images": 800})
    stop = StopRequest()
    if loop.game.runtime.rank == 1:
        stop.adopt(by_signal=True)
    finished = loop.run(stop)
    told = [float(finished), float(stop.by_signal), float(loop.images_seen)]
    say(f"stopped: {loop.game.runtime.gather(torch.tensor(told)).tolist()}, {stop.reason}")


def remembering() -> None:
    """What is declared to be each process's own differs, and comes back to each; all else is the same."""
    remembering = {"terms": (Anchored(),), "callbacks": (Last(),)}

    def loop_of(parts: dict[str, Any]) -> Loop:
        config = toy_config(nets={"type": "mlp"}).model_copy(update=parts)
        return toy_loop(scratch(), config)[0]

    loop = loop_of(remembering)
    runtime, memory = loop.game.runtime, loop.game.live.memory
    for _ in range(3):
        loop._iterate(measure=False)
    loop.save()
    loop.saver.wait()
    means, fakes = runtime.gather(memory["terms.0._mean"]), runtime.gather(memory["callbacks.0._fake"])
    tensors, state = loop.state()
    other = loop_of(remembering)
    other.restore(tensors, state)
    back = runtime.gather(other.game.live.memory["callbacks.0._fake"])
    rows = torch.equal(tensors["memory"]["callbacks.0._fake"], fakes)
    say(f"memory: equal {bool(means[0] == means[1])}, own {bool(fakes[0] != fakes[1])}, rows {rows}, "
        f"back {torch.equal(back, fakes)}")  # fmt: skip
    undeclared = loop_of({"terms": (Local(),)})
    undeclared.game.runtime.hosts = ["left", "right"]
    undeclared._iterate(measure=False)
    try:
        undeclared.save()
    except UserError as error:
        say(str(error).partition(". ")[0])


def disagreement() -> None:
    """A weight that differs is found at the checkpoint, and none is written."""
    loop = fresh_loop()
    runtime = loop.game.runtime
    runtime.hosts = ["left", "right"]
    if runtime.rank == 1:
        with torch.no_grad():
            next(loop.game.players["d"].network.parameters()).flatten()[0] += 1e-6
    try:
        loop.save()
    except UserError as error:
        say(str(error))
    say(f"checkpoints: {len(list(loop.checkpoints.iterdir()))}")


def main() -> None:
    # As on two machines with a process each: a share by local rank would be the same in both.
    os.environ["LOCAL_RANK"] = "0"
    updates()
    sampling()
    metrics()
    stopping()
    remembering()
    disagreement()
    runtime = fresh_loop().game.runtime
    runtime.close(together=True)


if __name__ == "__main__":
    main()
