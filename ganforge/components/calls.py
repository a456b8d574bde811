"""Calls into components outside of the update, each checked against its contract.

An exception or a wrong result of a component becomes a `UserError` that names it (see `blame`).
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from pathlib import Path

import torch
from torch import Tensor, nn

from ganforge.api import (
    Architecture,
    Context,
    Dataset,
    DataSpec,
    LabelSpec,
    Metric,
    Networks,
    Optimizer,
    Parameters,
    Prior,
    Sampler,
    Samples,
    Split,
    Stored,
    Task,
    Term,
    leaves,
)
from ganforge.components.faults import blame, fault, in_words

ROUNDING = 1e-3
"""By which float images may exceed [-1, 1]: resampling and float16 do."""


def spec_of(dataset: Dataset) -> DataSpec:
    with blame(dataset, "spec"):
        spec = dataset.spec()
    if not isinstance(spec, DataSpec):
        raise fault(dataset, f"spec returned {in_words(spec)}; expected a DataSpec")
    return spec


def open_data(dataset: Dataset, split: Split, spec: DataSpec, context: Context) -> Samples:
    """Opens a split and checks it against `spec`. Reads only the content of points and of vector labels,
    which are small; pixels may be memory-mapped."""
    with blame(dataset, "build"):
        samples = dataset.build(split, context)
    if not isinstance(samples, Samples):
        raise fault(dataset, f"build returned {in_words(samples)}; expected Samples")
    images, labels = samples.images, samples.labels
    if not isinstance(images, Tensor | Stored) or images.dtype not in (torch.uint8, torch.float32):
        raise fault(
            dataset, f"build returned images as {in_words(images)}; expected a tensor of uint8 or float32"
        )
    if tuple(images.shape[1:]) != spec.shape:
        raise fault(
            dataset, f"declared samples of shape {spec.shape}, but build returned {tuple(images.shape[1:])}"
        )
    _check_labels(dataset, spec, samples)
    for what, values in (("samples", images), *(("labels", each) for each in leaves(labels))):
        # What is read batch by batch is not read here.
        if isinstance(values, Tensor) and values.is_floating_point() and not values.isfinite().all():
            raise fault(dataset, f"build returned non-finite {what}")
    if (
        isinstance(images, Tensor)
        and spec.is_image
        and images.dtype == torch.float32
        and type(dataset).picture is Dataset.picture
    ):
        low, high = images.aminmax()
        if low < -1 - ROUNDING or high > 1 + ROUNDING:
            raise fault(
                dataset,
                f"build returned images as floats from {low:g} to {high:g}; expected [-1, 1], or uint8 from "
                "0 to 255 (for other values, such as latents of a decoder, define picture)",
            )
    return samples


def _check_labels(dataset: Dataset, spec: DataSpec, samples: Samples) -> None:
    """Checks the shape, type and number of the labels."""
    labels = samples.labels
    if spec.labels.parts or isinstance(labels, Mapping):
        _check_names(dataset, spec, samples)
    else:
        _check_label(dataset, spec.labels, labels, "")
    alone = set(samples.unpaired) if samples.paired else {*spec.labels.each}
    for name in spec.labels.each:
        each, what = (labels[name], f" '{name}'") if name else (labels, "")
        if name not in alone and len(each) != len(samples.images):
            raise fault(
                dataset,
                f"build returned {len(samples.images):,} samples, but {len(each):,} rows of labels{what}",
            )
        if name in alone and not len(each):
            raise fault(dataset, "build returned no labels for an unpaired data set; expected 1 or more")
    lengths = {len(labels[name]) for name in alone if name}
    if len(lengths) > 1:
        raise fault(
            dataset,
            f"build returned unpaired labels of {' and '.join(map(str, sorted(lengths)))} rows; expected "
            "as many of each",
        )


def _check_names(dataset: Dataset, spec: DataSpec, samples: Samples) -> None:
    """Checks labels that are a dict, or were declared as one."""
    labels, promised = samples.labels, list(spec.labels.parts)
    if not isinstance(labels, Mapping) or set(labels) != set(promised):
        given = f"those of {sorted(labels)}" if isinstance(labels, Mapping) else in_words(labels)
        what = f"labels named {promised}" if promised else f"{spec.labels.width} labels per sample"
        raise fault(dataset, f"declared {what}, but build returned {given}")
    unknown = sorted(set(samples.unpaired) - set(promised))
    if unknown:
        raise fault(dataset, f"build returned unpaired = {unknown}; expected some of {promised}")
    for name, part in spec.labels.parts.items():
        _check_label(dataset, part, labels[name], f" '{name}'")


def _check_label(dataset: Dataset, spec: LabelSpec, labels: Tensor | None, name: str) -> None:
    """Checks shape and type of the labels of one condition; `name`: in quotes if there are several."""
    shape = () if labels is None else tuple(labels.shape[1:])
    if shape != spec.shape:
        given = "none" if labels is None else f"labels of shape {tuple(labels.shape)}"
        what = f"labels{name} of shape {spec.shape}" if len(spec.shape) > 1 else f"{spec.width} labels{name}"
        raise fault(dataset, f"declared {what} per sample, but build returned {given}")
    if labels is not None and spec.kind == "image" and labels.dtype != torch.uint8:
        raise fault(
            dataset,
            f"build returned images as labels{name} as {in_words(labels)}; expected a tensor of uint8",
        )


def networks_of(
    task: Task, nets: Architecture, spec: DataSpec, z_dim: int, heads: Mapping[str, int]
) -> Networks:
    """Both sides of the game."""
    with blame(task if type(task).build is not Task.build else nets, "build"):
        networks = task.build(nets, spec, z_dim, heads)
    if not isinstance(networks, Networks) or not all(isinstance(part, nn.Module) for part in networks):
        raise fault(nets, f"build returned {in_words(networks)}; expected Networks of two modules")
    return networks


def optimizer_of(optimizer: Optimizer, parameters: Parameters) -> torch.optim.Optimizer:
    with blame(optimizer, "build"):
        built = optimizer.build(parameters)
    if not isinstance(built, torch.optim.Optimizer):
        raise fault(optimizer, f"build returned {in_words(built)}; expected a torch.optim.Optimizer")
    return built


def z_dim_of(prior: Prior) -> int:
    with blame(prior, "z_dim"):
        z_dim = prior.z_dim()
    if type(z_dim) is not int or z_dim < 1:
        raise fault(prior, f"z_dim returned {z_dim!r:.60}; expected a whole number from 1")
    return z_dim


def heads_of(term: Term, spec: DataSpec, prior: Prior) -> Mapping[str, int]:
    with blame(term, "heads"):
        heads = term.heads(spec, prior)
    if not isinstance(heads, Mapping) or not all(type(width) is int for width in heads.values()):
        raise fault(term, f"heads returned {heads!r:.60}; expected a dict of names and widths")
    return heads


def condition_lists_of(dataset: Dataset) -> Mapping[str, Path]:
    with blame(dataset, "condition_lists"):
        lists = dataset.condition_lists()
    if not isinstance(lists, Mapping) or not all(isinstance(file, Path) for file in lists.values()):
        raise fault(
            dataset, f"condition_lists returned {in_words(lists)}; expected a dict of names and paths"
        )
    return lists


def pictures_of(dataset: Dataset, samples: Tensor) -> Tensor:
    """What is drawn of samples [n, *shape]."""
    with blame(dataset, "picture"):
        pictures = dataset.picture(samples)
    if not isinstance(pictures, Tensor) or len(pictures) != len(samples) or not 2 <= pictures.ndim <= 5:
        raise fault(
            dataset, f"picture returned {in_words(pictures)}; expected one image, wave or point per sample"
        )
    return pictures


def values_of(metric: Metric, sampler: Sampler, samples: Samples) -> dict[str, float]:
    """The metric's values as plain floats; NaN if it has none."""
    with blame(metric, "compute"):
        values = metric.compute(sampler, samples)
    if not isinstance(values, Mapping):
        raise fault(metric, f"compute returned {in_words(values)}; expected a dict of numbers")
    for name, value in values.items():
        if not isinstance(name, str) or not isinstance(value, Real):
            raise fault(metric, f"compute returned {in_words(value)} for {name!r:.60}; expected a number")
    return {name: float(value) for name, value in values.items()}
