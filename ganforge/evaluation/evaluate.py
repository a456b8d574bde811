"""Metrics of a finished or stopped run, each value with what is needed to reproduce it."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ganforge
from ganforge.api import Component, Context, Draw, Images, Metric, Samples, Tree, UserError, leaves
from ganforge.api.digest import file_sha256
from ganforge.components.calls import values_of
from ganforge.components.comparability import depends_on, describe, fingerprint, tensor_sha256
from ganforge.components.faults import one_line
from ganforge.components.registry import Plugin, Registry
from ganforge.config import RunConfig, dump, validate
from ganforge.config.load import parse_override
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge.evaluation.default_metrics import default_metrics
from ganforge.evaluation.metrics_file import EXAMPLE, read_tables
from ganforge.evaluation.sample import device_of
from ganforge.evaluation.train_judge import JudgeTraining
from ganforge.evaluation.weights import weights_named
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.build import load_samples, plan
from ganforge.training.recorded import load_recorded

RECORD = "evaluations.jsonl"
"""File of a run folder, one evaluation a line."""


@dataclass(frozen=True)
class Generator:
    """A run's generator, and where its weights come from."""

    sampler: GeneratorSampler
    which: str
    """See `weights_named`."""
    images_seen: int
    sha256: str
    """SHA-256 of the safetensors file in the checkpoint."""


def _unrecorded(name: str) -> Any:
    """A field of `LazySamples` whose access is not recorded: no value depends on it alone."""
    return property(lambda samples: getattr(samples._opened, name))


class LazySamples(Samples):
    """The training data, opened on first access: most metrics of a generator need none. Records which
    parts were accessed."""

    def __init__(self, load: Callable[[], Samples]) -> None:
        self.__dict__["_load"] = load
        self.__dict__["seen"] = set[str]()
        self.__dict__["_hashes"] = dict[str, str]()

    @cached_property
    def _opened(self) -> Samples:
        opened: Samples = self.__dict__["_load"]()
        return opened

    @property
    def images(self) -> Images:
        self.__dict__["seen"].add("images")
        return self._opened.images

    @property
    def labels(self) -> Tree:
        self.__dict__["seen"].add("labels")
        return self._opened.labels

    mirror: Any = _unrecorded("mirror")
    random_crop: Any = _unrecorded("random_crop")
    paired: Any = _unrecorded("paired")
    unpaired: Any = _unrecorded("unpaired")
    groups: Any = _unrecorded("groups")

    def forget(self) -> None:
        """Resets the record of accesses."""
        self.__dict__["seen"].clear()

    def provenance(self) -> dict[str, Any] | None:
        """Identifies the parts that were accessed; None if none were."""
        seen: set[str] = self.__dict__["seen"]
        if not seen:
            return None
        hashes = {f"{part}_sha256": self._sha256(part) for part in sorted(seen)}
        return {"split": "train", "samples": len(self._opened), **hashes}

    def _sha256(self, part: str) -> str:
        kept: dict[str, str] = self.__dict__["_hashes"]
        tree: Tree = getattr(self._opened, part)
        if part not in kept:
            kept[part] = "+".join(map(tensor_sha256, leaves(tree)))
        return kept[part]


class EvaluationSampler:
    """A generator that reads the training labels only when it has to draw conditions."""

    def __init__(self, generator: GeneratorSampler, samples: Samples) -> None:
        self.generator = generator
        self.samples = samples
        self.spec = generator.spec
        self.drawn = 0
        """Samples drawn so far."""

    def sample(self, n: int, seed: int, cond: Tree = None) -> Tensor:
        return self.draw(n, seed, cond)[0]

    def draw(self, n: int, seed: int, cond: Tree = None) -> tuple[Tensor, Draw]:
        if cond is None and self.spec.labels.kind != "none":
            self.generator.labels = self.samples.labels
        self.drawn += n
        return self.generator.draw(n, seed, cond)


@dataclass(frozen=True)
class Evaluation:
    """Arguments of `ganforge evaluate`."""

    metrics_file: Path | None = None
    """TOML file with [[metrics]] tables; None = the run's own."""
    overrides: Sequence[str] = ()
    seeds: int | None = None
    """Number of seeds per metric; None = its own setting."""
    network: str | None = None
    """See `weights_named`."""
    checkpoint: str = "newest"
    """See `checkpoint.load_chosen`."""
    judge: JudgeTraining | None = None
    """How to train the judge of a run that names no metrics; None = such a run is refused."""
    device: str = "auto"
    """See `sample.device_of`."""


def evaluate(folder: Path, registry: Registry, asked: Evaluation, context: Context) -> dict[str, Any]:
    """Computes the metrics on a checkpoint of the run; `write_record` keeps the result.

    Raises `UserError` for incompatible arguments.
    """
    run = RunFolder.open(folder)
    config, metrics = read_metrics(run, registry, asked, optional=asked.judge is not None)
    generator = open_generator(run, config, asked, context.say)
    spec = generator.sampler.spec
    data = LazySamples(lambda: load_samples(config, spec, context))
    if asked.judge is not None and not metrics:
        metrics = default_metrics(config, spec, data, registry, context, asked.judge)
    sampler = EvaluationSampler(generator.sampler, data)
    rows = [
        {"plugin": _plugin(registry.provider(type(metric))), **measure(metric, sampler, data, asked.seeds)}
        for metric in metrics
    ]
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "ganforge": ganforge.__version__,
        "torch": str(torch.__version__),
        "device": str(generator.sampler.device),
        "images_seen": generator.images_seen,
        "network": generator.which,
        "generator_sha256": generator.sha256,
        # Without its paths: the location of the data changes no value.
        "data": json.loads(config.data.model_dump_json(exclude=_paths(config.data), exclude_none=True)),
        "metrics": rows,
    }


def read_metrics(
    run: RunFolder, registry: Registry, asked: Evaluation, optional: bool = False
) -> tuple[RunConfig, Sequence[Metric]]:
    """The run's settings, and the metrics to compute. Raises `UserError` if there are none, unless they are
    `optional`."""
    if asked.metrics_file is None:
        config = load_recorded(run, registry, asked.overrides)
        if not config.metrics and not optional:
            raise UserError(
                f"{run.config} has no [[metrics]]; pass some with --metrics FILE.toml, such as\n{EXAMPLE}"
            )
        return config, config.metrics
    file = asked.metrics_file
    tables, text = read_tables(file)
    for_run: list[str] = []
    for_metrics: dict[tuple[str | int, ...], str] = {}
    for override in asked.overrides:
        path, value = parse_override(override)
        if path[0] != "metrics":
            for_run.append(override)
            continue
        if len(path) != 3 or not path[1].isdecimal() or int(path[1]) >= len(tables):
            raise UserError(
                f"--set {override}: expected metrics.N.KEY=VALUE, N being one of the {len(tables)} tables of "
                f"{file}, counted from 0"
            )
        tables[int(path[1])][path[2]] = value
        for_metrics[path] = override
    config = load_recorded(run, registry, for_run)
    document = dump(config) | {"metrics": tables}
    checked = validate(document, registry, file=str(file), text=text, overrides=for_metrics)
    return config, checked.metrics


def open_generator(
    run: RunFolder, config: RunConfig, asked: Evaluation, say: Callable[[str], None]
) -> Generator:
    """The generator of the requested checkpoint. Raises `UserError` if there is none."""
    which, group = weights_named(asked.network, config.ema, run.path)
    spec = run.read_data_spec()
    tensors, state = checkpoint.load_chosen(run.checkpoints, asked.checkpoint, say, groups={group})
    images_seen = int(state["images_seen"])
    made = plan(config, spec).networks().generator
    try:
        made.load_state_dict(tensors[group])
    except checkpoint.MISFITS as error:
        raise run.misfit(one_line(error)) from error
    device = device_of(asked.device)
    sampler = GeneratorSampler(made.to(device), config.task, config.prior, config.nets, spec, device)
    file = run.checkpoints / f"{images_seen:012d}" / f"{group}.safetensors"
    return Generator(sampler, which, images_seen, _weights_sha256(file))


def measure(
    metric: Metric, sampler: EvaluationSampler, samples: LazySamples, seeds: int | None
) -> dict[str, Any]:
    """One metric's values, and what they depend on.

    With `seeds`, a metric that averages over seeds uses that many; any other is computed once per
    seed, and its values are the mean and, as `_std`, the standard deviation.
    """
    repeating = "repeats" in type(metric).model_fields
    if seeds and repeating:
        metric = metric.model_copy(update={"repeats": seeds})
    times: int = dict(metric)["repeats"] if repeating else seeds or 1
    used = [metric.seed + step for step in range(times)]
    samples.forget()
    sampler.drawn = 0
    runs = [metric] if repeating else [metric.model_copy(update={"seed": seed}) for seed in used]
    found = [values_of(run, sampler, samples) for run in runs]
    values = {name: statistics.fmean(each[name] for each in found) for name in found[0]}
    if len(found) > 1:
        values |= {f"{name}_std": statistics.stdev(each[name] for each in found) for name in found[0]}
    described = describe(metric, sampler.spec)
    real = samples.provenance()
    conditions = depends_on(metric, sampler.spec, described, generated=sampler.drawn // times, real=real)
    return {
        **described,
        "seeds": used,
        # JSON has no NaN.
        "values": {name: value if math.isfinite(value) else None for name, value in values.items()},
        "depends_on": conditions,
        "fingerprint": fingerprint(conditions),
    }


def _plugin(plugin: Plugin) -> dict[str, str]:
    return {"distribution": plugin.distribution, "version": plugin.version}


def _paths(component: Component) -> dict[str, Any]:
    """The keys that hold a path, in pydantic's form for what to leave out."""
    inner = {name: _paths(value) for name, value in component if isinstance(value, Component)}
    return {name: True for name, value in component if isinstance(value, Path)} | inner


def _weights_sha256(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read: {error.strerror}; if the run is still training, it may have just "
            "replaced this checkpoint: try again"
        ) from None
