"""A tiny data set and run, small enough to train in a test."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ganforge.api import Context, Dataset, DataSpec, Field, LabelKind, LabelSpec, Samples, Split, hookimpl
from ganforge.components import registry
from ganforge.components.registry import Plugin, Registry
from ganforge.config import RunConfig, validate
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from ganforge.engine.sampling.grids import Grid
from ganforge.training.build import build_loop, plan

NAMES = ("red", "green", "blue")


class Squares(Dataset):
    """Bright squares on a dark ground; the label says in which corner, or corners."""

    type: Literal["squares"] = "squares"
    size: int = Field(16, ge=1, description="Side of an image, in pixels.")
    count: int = Field(48, ge=0, description="Number of images.")
    labels: LabelKind = Field("many_of_k", description="What the labels are.")
    mirror: bool = Field(False, description="Flip at random.")
    small: int = Field(
        0, ge=0, description="Side of the images that are conditions; 0 = that of the samples."
    )
    pairs: bool = Field(True, description="An image that is a condition belongs to its sample.")

    def spec(self) -> DataSpec:
        if self.labels == "image":
            side = self.small or self.size
            return DataSpec(
                shape=(3, self.size, self.size), labels=LabelSpec(kind="image", size=(3, side, side))
            )
        names = () if self.labels == "none" else NAMES
        most = 3 if self.labels == "many_of_k" else None
        return DataSpec(
            shape=(3, self.size, self.size), labels=LabelSpec(kind=self.labels, names=names, most=most)
        )

    def build(self, split: Split, context: Context) -> Samples:
        rng = torch.Generator().manual_seed(7)
        images = torch.randint(0, 60, (self.count, 3, self.size, self.size), generator=rng, dtype=torch.uint8)
        if self.labels == "none":
            return Samples(images, None, self.mirror)
        if self.labels == "image":
            return self._with_images(images)
        labels = torch.zeros(self.count, len(NAMES), dtype=torch.uint8)
        for row in range(self.count):
            on = torch.randperm(3, generator=rng)[: 1 + row % 3 if self.labels == "many_of_k" else 1]
            labels[row, on] = 1
            for place in on.tolist():
                images[row, place, : self.size // 2, : self.size // 2] = 220
        return Samples(images, labels, self.mirror)

    def _with_images(self, images: Tensor) -> Samples:
        """Conditioned on their negatives, made small; unpaired, these are fewer."""
        images[:, 0, :, : self.size // 2] = 200
        step = self.size // (self.small or self.size)
        negatives = 255 - images[:, :, ::step, ::step]
        if self.pairs:
            return Samples(images, negatives, self.mirror)
        return Samples(images, negatives[: self.count // 2 + 1], self.mirror, paired=False)


class ToyPlugin:
    """The plugin that brings `Squares`."""

    @hookimpl
    def ganforge_components(self) -> list[type[Dataset]]:
        return [Squares]


@functools.cache
def toy_registry() -> Registry:
    """The installed components and `squares`; discovered once for all tests."""
    installed = registry.discover()
    assert not installed.broken, installed.broken
    modules = [(plugin, _Given(installed, plugin)) for plugin in installed.plugins]
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
