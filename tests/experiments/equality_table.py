"""Gradients of several processes against those of one, for every loss and term.

    cd tests && torchrun --standalone --nproc-per-node 2 -m experiments.equality_table [--all]

Each case takes two updates of either player on the whole batch in one process (rank 0, alone) and
then on the processes' shares of it. The difference is that of the gradients, relative to the norm
of the single process's, the larger of both players and updates; in float64.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganforge.api import Context, Role, Tree, mapped
from ganforge.engine.data.batches import Batch
from ganforge.engine.distributed.runtime import Runtime
from ganforge.training.build import build_loop, plan
from support.games import OF_TASK, TASKS, of_any_task, sections_of
from support.toys import Recorder, toy_config, toy_registry

CODES = {"type": "codes", "dim": 4, "categorical": [3], "continuous": 2}
MSE = {"type": "mse", "a": -1.0, "b": 1.0, "c": 0.0}
NETS = {"type": "mlp"}
R3GAN_TERMS = ({"type": "r1"}, {"type": "r2"})
NARROW = {"type": "r3gan", "width": 8, "blocks": 1, "group_width": 4}
R3GAN = {"nets": NARROW, "data": {"type": "squares", "size": 28}}
DATA = {"type": "squares", "size": 8}
STYLE_TERMS = ({"type": "path_length", "shrink": 1}, {"type": "r1"})
NARROW_STYLE = {"type": "stylegan2", "channel_base": 64, "channel_max": 8, "w_dim": 8, "mapping_layers": 2}
STYLEGAN2 = {"nets": NARROW_STYLE, "data": {"type": "squares", "size": 16}}
GROUP = {"nets": {**NARROW_STYLE, "stddev_group": 8}, "data": {"type": "squares", "size": 16}}
UPDATES = 2


class Case(NamedTuple):
    name: str
    loss: dict[str, Any]
    terms: tuple[dict[str, Any], ...] = ()
    accumulate: int = 1
    sections: Mapping[str, Any] = MappingProxyType({})


def cases() -> Iterator[Case]:
    """Every installed loss with and without a penalty, every term, each with and without
    accumulation, and what else draws random numbers."""
    kinds = toy_registry().components
    variants: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        # By default it takes every second sample of a process, of which four processes have one each.
        (name, {"type": name} | ({"shrink": 1} if name == "path_length" else {}), {})
        for name in of_any_task(kinds["terms"])
    ]
    variants += [
        ("gradient_penalty dragan", {"type": "gradient_penalty", "form": "dragan"}, {}),
        ("r1, every 2", {"type": "r1", "every": 2}, {}),
    ]
    for accumulate in (1, 2):
        for loss in sorted(kinds["loss"]):
            yield Case(loss, {"type": loss}, (), accumulate)
            yield Case(f"{loss} + r1 + r2", {"type": loss}, ({"type": "r1"}, {"type": "r2"}), accumulate)
        for name, term, sections in variants:
            yield Case(f"bce + {name}", {"type": "bce"}, (term,), accumulate, sections)
        yield Case("mse -1 1 0", MSE, (), accumulate)
        augmented = {"callbacks": [{"type": "diff_augment"}], "data": {**DATA, "mirror": True}}
        yield Case("relativistic + r1 + r2, r3gan", {"type": "relativistic"}, R3GAN_TERMS, accumulate, R3GAN)
        yield Case("hinge, augmented, mirrored", {"type": "hinge"}, ({"type": "r1"},), accumulate, augmented)
        # Noise and mixed styles in layers, and groups of the minibatch deviation over several processes.
        yield Case("bce + path_length + r1, stylegan2", {"type": "bce"}, STYLE_TERMS, accumulate, STYLEGAN2)
        yield Case("bce + r1, one group of samples", {"type": "bce"}, ({"type": "r1"},), accumulate, GROUP)
        for task in TASKS:
            sections = sections_of(task)
            loss, terms = sections.pop("loss", {"type": "bce"}), tuple(sections.pop("terms", ()))
            terms += tuple(
                {"type": term} for term, of in OF_TASK.items() if of == task and term in kinds["terms"]
            )
            if task != "generate":
                name = " + ".join([f"task {task}", *dict.fromkeys(term["type"] for term in terms)])
                yield Case(name, loss, terms, accumulate, sections)


def quick() -> Iterator[Case]:
    """A few that have, between them, every way in which samples or random numbers are shared."""
    wanted = {
        "relativistic + r1 + r2": (1,),
        "bce + mutual_information": (2,),
        "bce + feature_matching": (2,),
        "bce + gradient_penalty": (2,),
        "bce + gradient_penalty dragan": (1,),
        "bce + auxiliary_classifier": (1,),
        "hinge, augmented, mirrored": (2,),
        "task translate + l1 + r1": (2,),
        "task upscale + l1": (1,),
        "bce + path_length + r1, stylegan2": (2,),
        "bce + r1, one group of samples": (1,),
    }
    return (case for case in cases() if case.accumulate in wanted.get(case.name, ()))


def gradients(case: Case, alone: bool) -> dict[str, Tensor]:
    """`role/update` -> the gradient of that update, averaged and flat; `alone`: as if this process
    were the only one."""
    train = {"batch_size": 8, "accumulate": case.accumulate}
    # An architecture whose samples are independent of each other: BatchNorm sees its own process's alone.
    sections = {"prior": CODES, "nets": NETS, "data": DATA, **case.sections}
    config = toy_config(loss=case.loss, terms=list(case.terms), train=train, **sections)
    runtime = Runtime(config.train)
    if alone:
        runtime.rank, runtime.world = 0, 1
    context = Context(Path(), lambda line: None, lambda items, total, what: iter(items))
    samples = config.data.build("train", context)
    loop = build_loop(plan(config), samples, runtime, Recorder(), Path())
    found: dict[str, Tensor] = {}
    turns: list[Role] = ["d", "g"]
    for index in range(UPDATES):
        real, cond, conds = loop.batches.at(index)
        batch = Batch(real.double(), _double(cond), _double(conds))
        for role in turns:
            loop.game.update(role, batch)
            parameters = loop.game.players[role].network.parameters()
            found[f"{role}/{index}"] = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    return found


def difference(case: Case) -> float:
    """The largest relative difference that any process finds."""
    expected, got = gradients(case, alone=True), gradients(case, alone=False)
    assert expected.keys() == got.keys()
    norms = {name: float(gradient.norm()) for name, gradient in expected.items()}
    assert min(norms.values()) > 0, norms
    return max(float((got[name] - expected[name]).norm()) / norms[name] for name in expected)


def main() -> None:
    torch.set_default_dtype(torch.float64)
    chosen = list(cases() if "--all" in sys.argv else quick())
    runtime = Runtime(toy_config().train)
    for case in chosen:
        found = float(runtime.gather(torch.tensor(difference(case))).max())
        if runtime.is_main:
            sys.stdout.write(f"{case.name:<34}  accumulate {case.accumulate}  {found:.1e}\n")
            sys.stdout.flush()
    runtime.close()


def _double(tree: Tree) -> Tree:
    return mapped(lambda x: x.double(), tree)


if __name__ == "__main__":
    main()
