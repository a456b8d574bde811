"""A run folder as an object: sample it, read its log."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.api import DataSpec, Tree, UserError, length, mapped
from ganforge.components import registry
from ganforge.config import RunConfig
from ganforge.evaluation import sheets
from ganforge.evaluation.codes import set_codes
from ganforge.evaluation.conditions import rows as rows_of
from ganforge.evaluation.named import filled, given_rows, named_rows
from ganforge.evaluation.sample import (
    TrainedGenerator,
    condition_rows,
    device_of,
    open_generator,
    refuse_too_many,
)
from ganforge.facade.drawn import DrawnSamples
from ganforge.facade.html import card
from ganforge.facade.latents import Condition, LatentSpace
from ganforge.facade.rows import Rows
from ganforge.hub import local
from ganforge.outputs.metrics_log import read_rows
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.recorded import load_recorded

MAX_TRUNCATED = 8


def load_run(
    path: str | Path, checkpoint: str | int = "newest", device: str = "cpu", network: str | None = None
) -> Run:
    """The run in a folder, or in `hf://owner/name` on the Hugging Face Hub.

    `checkpoint`: "newest", "best" (by `logging.keep_best`), or a number of images seen; `device`: "cpu",
    "cuda" or "auto"; `network`: "ema" (the moving average, and the default if the run keeps one), "raw" (the
    weights as trained), or "ema-HALFLIFE" (one of `ema.also`). The weights are read when first needed, so
    that the log of a run without a checkpoint can be read. Raises `UserError` if there is no run.
    """
    device_of(device)
    return Run(RunFolder.open(local(path)), str(checkpoint), device, network)


class Run(LatentSpace):
    """A run: its settings, its log, and samples of its generator (the moving average if it has one)."""

    def __init__(self, folder: RunFolder, checkpoint: str, device: str, network: str | None) -> None:
        self._folder = folder
        self._checkpoint = checkpoint
        self._device = device
        self._network = network
        self._generators: dict[float | None, TrainedGenerator] = {}

    @property
    def path(self) -> Path:
        return self._folder.path

    @cached_property
    def config(self) -> RunConfig:
        """The settings with every default filled in."""
        return load_recorded(self._folder, registry.discover())

    @cached_property
    def spec(self) -> DataSpec:
        """Shape and labels of the data."""
        return self._folder.read_data_spec()

    @property
    def conditions(self) -> tuple[str, ...]:
        """The labels that samples can be conditioned on; of vectors, the names of their numbers; of several
        conditions, their names."""
        return self.spec.labels.names or tuple(self.spec.labels.parts)

    @property
    def info(self) -> dict[str, Any]:
        """run.json: what ran, where, with which versions."""
        return self._folder.read_info()

    @property
    def metrics(self) -> Rows:
        """The log so far: a list of rows; `.to_frame()` is a pandas DataFrame."""
        return Rows(read_rows(self._folder.metrics))

    @property
    def finished(self) -> bool:
        """Whether the run has seen all of its images; otherwise `ganforge resume` goes on."""
        seen = [row["images_seen"] for row in self.metrics if isinstance(row.get("images_seen"), int)]
        return max(seen, default=0) >= self.config.train.images

    @property
    def images_seen(self) -> int:
        """At the checkpoint that is sampled."""
        return self._generator(None).images_seen

    def sample(
        self,
        condition: Condition | None = None,
        *,
        n: int = 8,
        seed: int = 0,
        truncation: float | None = None,
        z: Tensor | None = None,
        codes: Mapping[str, float] | None = None,
    ) -> DrawnSamples:
        """`n` samples of each condition, or without one of a variety of labels.

        The same seed gives the same samples as `ganforge sample`. `truncation`: less variety, better
        samples. `z` [n, Z] replaces `n` and `seed`: each condition gets all of these latents. `codes` sets
        the prior's codes, such as `{"c1": 3}`. Raises `UserError` for what the run cannot do.
        """
        generator = self._generator(truncation)
        wanted = self._given(condition)
        if z is not None:
            z = self._latents(generator, z, truncation)
            n = len(z)
        if wanted is None:
            cond = condition_rows(self.spec.labels, [], n, seed)
        else:
            refuse_too_many(n * length(wanted))
            cond = mapped(lambda each: each.repeat_interleave(n, dim=0), wanted)
            cond = filled(self.spec.labels, cond, length(cond), seed)
        total = n if cond is None else length(cond)
        refuse_too_many(total)
        drawn = generator.sampler.latents(total, seed).z if z is None else z.repeat(total // n, 1)
        latents = set_codes(generator.sampler.prior, drawn, codes or {})
        sheet = sheets.Sheet(generator.sampler.generate(latents, cond), latents, cond)
        return DrawnSamples(sheet, generator, seed if z is None else None)

    def condition_grid(
        self,
        conditions: Condition | None = None,
        *,
        rows: int = 8,
        seed: int = 0,
        truncation: float | None = None,
        codes: Mapping[str, float] | None = None,
    ) -> DrawnSamples:
        """The conditions across, by default each label alone; one noise a row."""
        generator = self._generator(truncation)
        sheet = sheets.condition_sheet(generator, self._rows(conditions), rows, seed, codes or {})
        return DrawnSamples(sheet, generator, seed)

    def traverse(
        self,
        code: str,
        condition: Condition | None = None,
        *,
        rows: int = 8,
        columns: int = 10,
        seed: int = 0,
        truncation: float | None = None,
        codes: Mapping[str, float] | None = None,
    ) -> DrawnSamples:
        """The values of one code of the prior across, all else (noise, condition) from row to row."""
        generator = self._generator(truncation)
        wanted = self._rows(condition)
        sheet = sheets.traversal(generator, code, wanted, rows, columns, seed, codes or {})
        return DrawnSamples(sheet, generator, seed)

    def _generator(self, truncation: float | None) -> TrainedGenerator:
        """An architecture may truncate in its generator, so each value has a generator of its own; the one
        without truncation is kept, and of the others the latest `MAX_TRUNCATED`."""
        if truncation not in self._generators:
            others = [each for each in self._generators if each is not None]
            if truncation is not None and len(others) >= MAX_TRUNCATED:
                del self._generators[others[0]]
            self._generators[truncation] = open_generator(
                *(self.path, registry.discover(), _warn, truncation, self._checkpoint, self._device),
                weights=self._network,
            )
        return self._generators[truncation]

    def _latents(self, generator: TrainedGenerator, z: Tensor, truncation: float | None) -> Tensor:
        width = generator.sampler.prior.z_dim()
        if z.ndim != 2 or z.shape[1] != width or not len(z):
            raise UserError(f"z: expected a tensor [n, {width}], got {list(z.shape)}")
        z = z.detach().to("cpu", torch.float32)
        limit = generator.sampler.truncation
        return z if truncation is None or limit is None else generator.sampler.prior.truncated(z, limit)

    def _rows(self, condition: Condition | None) -> Tree:
        """The conditions as rows [m, ...]; None if none was given and the labels are names or absent."""
        given = self._given(condition)
        return None if given is None else filled(self.spec.labels, given, length(given), 0)

    def _given(self, condition: Condition | None) -> Tree:
        """The same, without those of several by name that were not given."""
        labels = self.spec.labels
        if labels.parts:
            if isinstance(condition, Tensor):
                raise UserError(f"expected conditions by name ({', '.join(labels.parts)}), got a tensor")
            return None if condition is None else named_rows(labels, condition)
        if condition is None:
            return rows_of(labels, None, None) if labels.kind in ("vector", "image") else None
        if isinstance(condition, Mapping):
            raise UserError(f"expected a single condition ({labels.in_words()}), got a dict of several")
        if isinstance(condition, Tensor):
            return given_rows(labels, condition)
        if isinstance(condition, str | Path):
            if labels.kind in ("vector", "image"):
                return rows_of(labels, str(condition), None)
            return condition_rows(labels, [labels.parse(str(condition))], 1, 0)
        if labels.kind == "vector":
            numbers = torch.as_tensor(condition, dtype=torch.float32)
            return given_rows(labels, numbers)
        if labels.kind == "image":
            return torch.cat([rows_of(labels, str(each), None) for each in condition])
        several = [condition] if all(isinstance(each, str) for each in condition) else condition
        return condition_rows(labels, list(several), 1, 0)

    def __repr__(self) -> str:
        return f"<run {self.path}: {card(self._folder, self.spec).plain}>"

    def _repr_html_(self) -> str:
        return card(self._folder, self.spec).html


def _warn(line: str) -> None:
    sys.stderr.write(f"{line}\n")
