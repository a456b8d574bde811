"""Rules about one call of a component: data, priors, metrics, networks, and devices."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from ganforge.api import Draw, LabelSpec, Networks, Play, Sampler, Tree, UserError, Verdict, leaves
from ganforge.components.calls import open_data, spec_of, values_of
from ganforge.testing.audit import audited
from ganforge.testing.rules import NotApplicable, Violation, require, rule
from ganforge.testing.subject import Subject
from ganforge.training.build import plan

N = 3


@rule(
    "spec",
    why="a run is checked and planned before anything is opened, and needs the shape of the data then.",
    fix="derive shape and labels from the keys; what only the files know must be a key.",
    kinds=("data",),
)
def spec(subject: Subject) -> None:
    with audited() as opened:
        first = spec_of(subject.instance)
    require(not opened, f"spec() opens {', '.join(where for _, where in opened[:3])}")
    require(spec_of(subject.instance) == first, "two calls of spec() differ")


@rule(
    "data",
    why="batches are taken by position, so the same data must come in the same order at each start.",
    fix="return the shape, type and number of labels that spec() declares, in sorted order, without"
    " random numbers.",
    kinds=("data",),
)
def data(subject: Subject) -> None:
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(open_data(subject.instance, "train", spec_of(subject.instance), subject.context))
    one, two = found
    equal = len(one) == len(two) and torch.equal(one.images[:64], two.images[:64])
    for a, b in zip(leaves(one.labels), leaves(two.labels), strict=True):
        equal = equal and torch.equal(a, b)
    require(equal, "opened twice, the data differ")


@rule(
    "prior",
    why="resume and several processes rely on the same generator giving the same latents.",
    fix="draw from `generator` only: `torch.randn(n, self.dim, generator=generator, "
    "device=generator.device)`.",
    kinds=("prior",),
)
def prior(subject: Subject) -> None:
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        rng = torch.Generator().manual_seed(7)
        drawn.append(subject.instance.sample(N, torch.eye(N), rng))
    require(torch.equal(drawn[0].z, drawn[1].z), "the same generator gives other latents")
    width = subject.instance.z_dim()
    require(tuple(drawn[0].z.shape) == (N, width), f"z_dim() is {width}, but z is {tuple(drawn[0].z.shape)}")
    declared = {code.name for code in subject.instance.codes()}
    require(
        set(drawn[0].codes) == declared,
        f"codes() declares {declared}, but sample gives {set(drawn[0].codes)}",
    )


@rule(
    "metric",
    why="a metric that draws from the global random state changes the run it measures, and one that gives "
    "two values for the same samples measures nothing.",
    fix="use a generator seeded by `self.seed`, and return plain numbers.",
    kinds=("metrics",),
)
def metric(subject: Subject) -> None:
    loop = subject.loop()
    sampler: Sampler = loop.sampler
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.append(values_of(subject.instance, sampler, loop.samples))
        require(torch.equal(torch.get_rng_state(), before), "compute draws from torch's global generator")
    # As text: a value may be NaN.
    require(str(found[0]) == str(found[1]), f"computed twice: {found[0]}, then {found[1]}")
    require(bool(found[0]), "compute returns no value")


@rule(
    "sink",
    why="the sink is imported by name in a process of its own, where a fault is found only during a run.",
    fix='write `sink: ClassVar[str] = "package.module:Class"`, and all methods of `ganforge.api.Sink`.',
    kinds=("trackers",),
)
def sink(subject: Subject) -> None:
    module, _, name = subject.instance.sink.partition(":")
    found = getattr(importlib.import_module(module), name, None)
    require(found is not None, f"module {module} has no class '{name}'")
    wanted = ("open", "retreat", "rows", "image", "event", "close")
    missing = [each for each in wanted if not hasattr(found, each)]
    if getattr(found, "purges", False) and not hasattr(found, "purge"):
        missing.append("purge")
    require(not missing, f"{name} lacks {', '.join(missing)}")


@rule(
    "heads",
    why="terms ask the discriminator for outputs of their own; an architecture without them cannot "
    "train these.",
    fix="add one linear output of the given width per entry of `heads`, and return them as Verdict.heads.",
    kinds=("nets",),
)
def heads(subject: Subject) -> None:
    agreed = plan(subject.config)
    try:
        networks = subject.instance.build(agreed.spec, agreed.z_dim, {"kit": 3})
    except UserError as error:
        raise NotApplicable(f"it refuses heads: {error}") from None
    x, cond = torch.zeros(N, *agreed.spec.shape), _conditions(agreed.spec.labels, "cpu")
    verdict = networks.discriminator(x, cond)
    got = verdict.heads.get("kit")
    require(
        got is not None and tuple(got.shape) == (N, 3),
        f"a head of width 3 was asked for, and the verdict has {_shapes(verdict)}",
    )


@rule(
    "device",
    why="a tensor made on the CPU fails on a GPU, or costs a transfer and a synchronization in each update.",
    fix="make tensors with `x.new_zeros(...)` or `device=x.device`; register constants of networks "
    "as buffers.",
    kinds=("loss", "nets"),
)
def device(subject: Subject) -> None:
    agreed = plan(subject.config)
    networks = agreed.networks("meta")
    try:
        _check_networks(subject, networks, agreed.spec, agreed.z_dim) if subject.kind == "nets" else _on_meta(
            subject.instance
        )
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise Violation(f"on another device than the CPU: {' '.join(str(error).split())}") from error


def _check_networks(subject: Subject, networks: Networks, spec: Any, z_dim: int) -> None:
    stray = [
        name
        for network in networks
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
        if tensor.device.type != "meta"
    ]
    require(not stray, f"built on another device, {stray[:3]} are on the CPU")
    cond = _conditions(spec.labels, "meta")
    with torch.no_grad():
        task = subject.config.task
        if type(task).__name__ == "Generate":
            fake = networks.generator(torch.empty(N, z_dim, device="meta"), cond)
            require(fake.device.type == "meta", "the generator's output is on the CPU")
            networks.discriminator(fake, cond)


def _on_meta(loss: Any) -> None:
    for role in ("d", "g"):
        real = torch.empty(N, 4, device="meta", requires_grad=True)
        fake = torch.empty(N, 4, device="meta", requires_grad=True)
        draw = Draw(torch.empty(N, 1, device="meta"), None, {})

        def critic(x: Tensor, cond: Any) -> Verdict:
            return Verdict(x.sum(1))

        # Memory is put on the device by the engine; here it stays, and only scalars go with any device.
        play = Play(role, real, None, fake, draw, critic, critic, torch.Generator())
        value = loss(play)
        require(value.device.type == "meta", f"{role}_loss is on the CPU, whatever the device of the logits")


def _conditions(labels: LabelSpec, device: str) -> Tree:
    return labels.mapped(lambda part: torch.zeros(N, *part.shape, device=device))


def _shapes(verdict: Verdict) -> str:
    found = {name: tuple(each.shape) for name, each in verdict.heads.items()}
    return f"heads {found} and logits {[tuple(each.shape) for each in leaves(verdict.logits)]}"
