"""A work, opened: what every way starts from."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.works import DIGITS, SCENES, Work
from ganforge.api import Context, Role, Samples
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, validate
from ganforge.training.build import Plan, load_samples, plan

Order = Callable[[int], Tensor]
"""Batch number -> which samples are in it, int64 [N]."""
Rng = Callable[[Role, int], torch.Generator]
"""(player, its update) -> the random stream of that update, on the device."""


@dataclass(frozen=True)
class Job:
    config: RunConfig
    agreed: Plan
    samples: Samples
    folder: Path
    pictures: tuple[Path, ...]
    """The samples as PNG files; none for digits, which torchvision's MNIST holds in memory, too."""
    device: torch.device
    workers: int = 0
    reuse: bool = False
    """The generator's update takes the fakes of the discriminator's, as tutorials do, rather than
    fresh ones; for schedules of one update each."""
    order: Order | None = None
    """None: a fresh shuffle every epoch."""
    rng: Rng | None = None
    """None: one stream throughout."""

    @property
    def batch(self) -> int:
        return self.config.train.batch_size

    @property
    def per_iteration(self) -> int:
        """Real images shown in an iteration."""
        return self.batch * self.config.train.d_updates

    def choose(self, device: torch.device) -> Order:
        """The order of the samples, as numbers on `device`."""
        return self.order or Shuffle(len(self.samples), self.batch, device)

    def stream(self) -> Rng:
        if self.rng is not None:
            return self.rng
        only = torch.Generator(self.device).manual_seed(0)
        return lambda role, update: only

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of a forward pass."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.train.precision == "bf16")


class Shuffle:
    """Batches of shuffled epochs, without their incomplete ends."""

    def __init__(self, total: int, batch: int, device: torch.device) -> None:
        self.total, self.batch, self.device = total, batch, device
        self.per_epoch = total // batch
        self.epoch = torch.empty(0, dtype=torch.int64)
        assert self.per_epoch > 0, f"{total} samples are no batch of {batch}"

    def __call__(self, index: int) -> Tensor:
        place = index % self.per_epoch
        if place == 0:
            self.epoch = torch.randperm(self.total, device=self.device)
        return self.epoch[place * self.batch : (place + 1) * self.batch]


def open_job(
    work: Work,
    registry: Registry,
    folder: Path,
    batch: int,
    device: str = "cpu",
    full: bool = False,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    images: int = 0,
) -> Job:
    """`folder` is for the data; `changes` replaces keys by section; `images`: samples in the data set,
    at least a batch, 0 = the work's own number."""
    tables = work.tables(full)
    data = tables["data"]
    if data["type"] == "mnist":
        data["root"] = str(_write_digits(folder / "digits", max(images or DIGITS, batch)))
    else:
        data["scenes"] = -(-max(images or SCENES * 3, batch) // 3)
    # Without a moving average: neither of the other ways has one.
    tables["ema"] = {"halflife": 0}
    tables["train"] = {**tables.get("train", {}), "batch_size": batch, "device": device, "images": 10**9}
    for section, keys in (changes or {}).items():
        tables[section] = {**tables.get(section, {}), **keys}
    config = validate(tables, registry, file=work.what)
    agreed = plan(config)
    context = Context(folder / "cache", lambda line: None, lambda items, total, what: iter(items))
    samples = load_samples(config, agreed.spec, context)
    pictures = (
        () if data["type"] == "mnist" else _write_pictures(samples, folder / f"png{samples.images.shape[-1]}")
    )
    return Job(config, agreed, samples, folder, pictures, torch.device(device), work.workers)


def _write_pictures(samples: Samples, folder: Path) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    files = tuple(folder / f"{index}.png" for index in range(len(samples)))
    for file, image in zip(files, samples.images, strict=True):
        if not file.exists():
            Image.fromarray(image.movedim(0, -1).numpy()).save(file)
    return files


def _write_digits(folder: Path, count: int) -> Path:
    """Noise in MNIST's form; what is there is left, as another process may be reading it."""
    folder = folder / str(count)
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = (np.arange(count) % 10).astype(np.uint8)
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / f"train-{name}-ubyte").write_bytes(head + array.tobytes())
    return folder
