"""A component under test, and the small runs it takes part in."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState
from torch import Tensor

from ganforge.api import Component, Context, Samples, hookimpl
from ganforge.components.registry import Plugin, Registry
from ganforge.config import RunConfig, validate
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.loop import Loop
from ganforge.testing.observer import Silent
from ganforge.testing.squares import Squares
from ganforge.training.build import build_loop, plan

LISTS = ("terms", "callbacks", "metrics", "trackers")
PLAYERS = ("generator", "discriminator")
BASE: dict[str, Any] = {
    "data": {"type": "squares", "count": 16},
    "prior": {"type": "normal", "dim": 8},
    "nets": {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none"},
    "train": {"images": 1_000_000, "batch_size": 4, "device": "cpu", "cuda_graphs": "off"},
    "logging": {"every": 1_000_000, "grid_every": 0, "checkpoint_every": 1_000_000},
    "health": {"policy": "off"},
    "wandb": {"mode": "disabled"},
}
"""The run in which a component is tested: a narrow DCGAN on 16x16 drawings, under one or several labels."""

Weights = dict[str, Tensor]
"""Every tensor of a checkpoint, by `group.name`."""


@dataclass(frozen=True)
class Subject:
    """A component class, and the registry that knows it."""

    component: type[Component]
    registry: Registry
    folder: Path
    """An empty folder that runs may use."""
    example: Mapping[str, Any] | None = None
    """Sections of a run file in place of the class's own `example`."""

    @property
    def kind(self) -> str:
        return self.component.kind

    @property
    def name(self) -> str:
        return self.component.type_name()

    @cached_property
    def document(self) -> dict[str, Any]:
        """The run file."""
        return self.document_with({})

    @cached_property
    def config(self) -> RunConfig:
        """Raises `UserError` if the run file is not valid."""
        return validate(self.document, self.registry, file=f"example of '{self.name}'")

    @property
    def instance(self) -> Any:
        """The component, as the run file configures it."""
        if self.kind == "optimizer":
            return self.config.generator.optimizer
        found = getattr(self.config, self.kind)
        if self.kind in LISTS:
            return next(each for each in found if each.type == self.name)
        return found

    @property
    def table(self) -> dict[str, Any]:
        """The component's table of the run file."""
        if self.kind == "optimizer":
            found: Any = self.document["generator"]["optimizer"]
        elif self.kind in LISTS:
            found = next(table for table in self.document[self.kind] if table["type"] == self.name)
        else:
            found = self.document[self.kind]
        return dict(found)

    def document_with(self, train: Mapping[str, Any]) -> dict[str, Any]:
        """The run file with other keys of `[train]`."""
        document = copy.deepcopy(BASE)
        example = dict(self.component.example if self.example is None else self.example)
        document.update(copy.deepcopy(example))
        mine = {"type": self.name}
        if self.kind == "optimizer":
            for player in PLAYERS:
                document.setdefault(player, {}).setdefault("optimizer", mine)
        elif self.kind in LISTS:
            tables = document.setdefault(self.kind, [])
            if all(table["type"] != self.name for table in tables):
                tables.append(mine)
        elif self.kind not in example:
            document[self.kind] = mine
        document["train"] = {**BASE["train"], **example.get("train", {}), **train}
        return document

    def samples(self, config: RunConfig) -> Samples:
        """The training data of the run."""
        return config.data.build("train", self.context)

    @property
    def context(self) -> Context:
        return Context(self.folder / "cache", lambda line: None, lambda items, total, what: iter(items))

    def loop(self, every_update: bool = False, **train: Any) -> Loop:
        """A fresh loop of the run with these keys of `[train]`; with `every_update`, lazy terms apply to
        each. Raises `UserError`."""
        document = self.document_with(train)
        if every_update:
            for table in document.get("terms", []):
                table["every"] = 1
        config = validate(document, self.registry, file=f"example of '{self.name}'")
        agreed = plan(config)
        # Accelerate has one state per process, and each loop expects its own.
        AcceleratorState._reset_state(reset_partial_state=True)
        return build_loop(agreed, self.samples(config), Runtime(config.train), Silent(), self.folder)


def iterate(loop: Loop, iterations: int) -> None:
    """That many iterations, without logging."""
    for _ in range(iterations):
        loop._iterate(measure=False)


def weights_of(loop: Loop) -> Weights:
    """A copy of every tensor that a checkpoint of `loop` would hold."""
    tensors, _ = loop.state()
    return {f"{group}.{name}": t.clone() for group, named in tensors.items() for name, t in named.items()}


def differing(one: Weights, other: Weights) -> list[str]:
    """Names of the tensors that differ, or that only one of them has."""
    shared = [name for name in one if name in other and not torch.equal(one[name], other[name])]
    return shared + sorted(one.keys() ^ other.keys())


class _Provided:
    """A module with these components."""

    def __init__(self, classes: list[Any]) -> None:
        self.classes = classes

    @hookimpl
    def ganforge_components(self) -> list[Any]:
        return self.classes


def with_squares(installed: Registry, *more: type[Component]) -> Registry:
    """The installed components, the drawings that the kit trains on, and `more`."""
    modules: list[tuple[Plugin, object]] = []
    for plugin in installed.plugins:
        known = [each for each, owner in installed.providers.items() if owner == plugin]
        modules.append((plugin, _Provided(known)))
    known_already = set(installed.providers)
    own = [each for each in (Squares, *more) if each not in known_already]
    modules.append((Plugin("ganforge.testing"), _Provided(own)))
    return Registry.from_modules(modules, installed.broken)
