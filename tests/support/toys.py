"""A tiny data set and run, small enough to train in a test."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from torch import Tensor

from ganforge.api import Context, Dataset, hookimpl
from ganforge.components.registry import Plugin, Registry
from ganforge.config import RunConfig, validate
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from ganforge.engine.sampling.grids import Grid
from ganforge.testing.squares import Squares as Squares
from ganforge.training.build import build_loop, plan
from support.installed import installed


class ToyPlugin:
    """The plugin that brings `Squares`."""

    @hookimpl
    def ganforge_components(self) -> list[type[Dataset]]:
        return [Squares]


@functools.cache
def toy_registry() -> Registry:
    """The installed components and `squares`; discovered once for all tests."""
    known = installed()
    assert not known.broken, known.broken
    modules = [(plugin, _Given(known, plugin)) for plugin in known.plugins]
    return Registry.from_modules([*modules, (Plugin("toys", "tests", "0"), ToyPlugin())])


class _Given:
    """An installed plugin once more, from a registry that knows it."""

    def __init__(self, installed: Registry, plugin: Plugin) -> None:
        self.classes = [known for known, owner in installed.providers.items() if owner == plugin]

    @hookimpl
    def ganforge_components(self) -> list[Any]:
        return self.classes


def toy_document(**sections: Any) -> dict[str, Any]:
    """A run file as tables: a narrow DCGAN on 16x16 squares, a few iterations long."""
    document: dict[str, Any] = {
        "data": {"type": "squares"},
        "prior": {"type": "normal", "dim": 8},
        "nets": {"type": "dcgan", "width": 4, "condition_dim": 4},
        "train": {"images": 48, "batch_size": 8, "device": "cpu"},
        "logging": {"every": 8, "grid_every": 0, "checkpoint_every": 1000},
        "wandb": {"mode": "disabled"},
    }
    for name, value in sections.items():
        table = document.get(name)
        document[name] = {**table, **value} if isinstance(table, dict) and "type" not in value else value
    return document


def toy_config(**sections: Any) -> RunConfig:
    return validate(toy_document(**sections), toy_registry(), file="toy.toml")


class Recorder:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float | int]] = []
        self.grids: list[tuple[int, Grid]] = []
        self.lines: list[str] = []
        self.events: list[dict[str, Any]] = []

    def row(self, row: Any) -> None:
        self.rows.append(dict(row))

    def tick(self, images_seen: int) -> None:
        pass

    def grid(self, images_seen: int, grid: Grid) -> None:
        self.grids.append((images_seen, grid))

    def say(self, line: str) -> None:
        self.lines.append(line)

    def event(self, event: Any) -> None:
        self.events.append(dict(event))

    def cut(self, images_seen: int) -> None:
        self.rows = [row for row in self.rows if row["images_seen"] <= images_seen]


def toy_loop(folder: Path, config: RunConfig | None = None) -> tuple[Loop, Recorder]:
    """A loop over the toy data that checkpoints into `folder`."""
    config = config or toy_config()
    agreed = plan(config)
    samples = config.data.build(
        "train", Context(folder, lambda line: None, lambda items, total, what: iter(items))
    )
    recorder = Recorder()
    return build_loop(agreed, samples, Runtime(config.train), recorder, folder), recorder


def run(loop: Loop) -> bool:
    return loop.run(StopRequest())


def weights_of(loop: Loop) -> dict[str, Tensor]:
    """Every tensor that a checkpoint holds, by `group.name`."""
    tensors, _ = loop.state()
    return {
        f"{group}.{name}": value.clone() for group, named in tensors.items() for name, value in named.items()
    }
