"""What the command lines have in common: how a work is opened."""

from __future__ import annotations

import functools
import json
import os
import platform
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import torch

import ganforge
from benchmarks.job import Job, open_job
from benchmarks.works import WORKS
from ganforge.components.registry import discover
from ganforge.outputs.provenance import cpu_model


@dataclass(frozen=True)
class Settings:
    batch: int
    device: str
    precision: str = "no"
    full: bool = False
    reuse: bool = False
    overrides: tuple[str, ...] = ()
    """KEY=VALUE of the run file, for ganforge alone: the fast paths that it is to take."""
    images: int = 0
    """Samples in the data set; 0 = the work's own."""

    def open(
        self, work: str, folder: Path, way: str, changes: dict[str, dict[str, Any]] | None = None
    ) -> Job:
        found = dict(changes or {})
        found["train"] = {**found.get("train", {}), "precision": self.precision}
        if way == "ganforge" and self.reuses(work):
            found["train"]["fakes"] = "reused"
        for override in self.overrides if way == "ganforge" else ():
            key, _, value = override.partition("=")
            section, _, name = key.partition(".")
            found[section] = {**found.get(section, {}), name: _value(value)}
        job = open_job(
            WORKS[work], discover(), folder, self.batch, self.device, self.full, found, images=self.images
        )
        return replace(job, reuse=self.reuses(work))

    def reuses(self, work: str) -> bool:
        """Whether the generator's update can do with the fakes of the discriminator's, and is to."""
        return self.reuse and WORKS[work].document.get("train", {}).get("d_updates", 1) == 1

    def options(self) -> list[str]:
        """The same, for another command line that has these `options`."""
        words = ["--batch", str(self.batch), "--device", self.device, "--precision", self.precision]
        words += ["--full"] * self.full + ["--fakes", "reused" if self.reuse else "fresh"]
        words += ["--images", str(self.images)]
        return words + [word for override in self.overrides for word in ("--set", override)]


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of `Settings.options` to a command, whose function receives them as `settings`."""

    @functools.wraps(command)
    def with_settings(
        batch: int,
        device: str,
        precision: str,
        full: bool,
        fakes: str,
        overrides: tuple[str, ...],
        images: int,
        **rest: Any,
    ) -> None:
        settings = Settings(batch, device, precision, full, fakes == "reused", overrides, images)
        command(settings=settings, **rest)

    for option in (
        click.option("--batch", default=64),
        click.option("--device", default="cpu"),
        click.option("--precision", default="no"),
        click.option("--full", is_flag=True),
        click.option("--fakes", default="fresh"),
        click.option("--set", "overrides", multiple=True),
        click.option("--images", default=0),
    ):
        with_settings = option(with_settings)
    return with_settings


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures were taken on, and how busy it was."""
    return {
        "processor": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "device": device.type,
        "gpu": torch.cuda.get_device_name() if device.type == "cuda" else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "ganforge": ganforge.__version__,
    }


def write_json(file: Path, record: dict[str, Any]) -> None:
    file.write_text(json.dumps(record, indent=2) + "\n")
