"""Sheets of samples: one thing varies across, another from row to row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganforge.api import LabelSpec, Tree, UserError, length, taken
from ganforge.api.data import quoted
from ganforge.engine.sampling.grids import MAX_LABELS, noises
from ganforge.evaluation.codes import find_code, set_codes
from ganforge.evaluation.sample import TrainedGenerator, condition_rows, refuse_too_many
from ganforge.outputs.labels import Names


@dataclass(frozen=True)
class Sheet:
    """Samples to be shown together, row by row, and what they were made from."""

    images: Tensor
    """[n, *shape]"""
    z: Tensor
    """[n, Z]"""
    cond: Tree
    """[n, K], an image [n, C, H, W], a dict of such by name, or None."""
    columns: int = 8
    names: Names = field(default_factory=Names)


def condition_sheet(
    generator: TrainedGenerator, wanted: Tree, rows: int, seed: int, codes: Mapping[str, float]
) -> Sheet:
    """The conditions [m, ...] across, by default each label alone; one noise a row.

    Raises `UserError` for data without labels.
    """
    labels = generator.spec.labels
    if wanted is None:
        wanted = _each_label(labels)
    columns = length(wanted)
    refuse_too_many(rows * columns)
    z = latents(generator, rows, seed, codes).repeat_interleave(columns, dim=0)
    cond = taken(wanted, torch.arange(columns).repeat(rows))
    names = Names(each_in_short(labels, wanted), noises(rows))
    return Sheet(generator.sampler.generate(z, cond), z, cond, columns, names)


def traversal(
    generator: TrainedGenerator,
    name: str,
    wanted: Tree,
    rows: int,
    columns: int,
    seed: int,
    codes: Mapping[str, float],
) -> Sheet:
    """The values of one code across, all else from row to row: the noise, and the conditions `wanted`, in
    turn. Raises `UserError` if the prior has no such code."""
    prior = generator.sampler.prior
    code = find_code(prior, name)
    values = prior.code_values(code, columns)
    refuse_too_many(rows * len(values))
    base = latents(generator, rows, seed, codes)
    z = torch.stack([prior.with_code(base, code, value) for value in values], dim=1).flatten(0, 1)
    labels = generator.spec.labels
    if wanted is None and (labels.kind in ("one_of_k", "many_of_k") or labels.parts):
        wanted = condition_rows(labels, [], rows, seed)
    down, cond = list(noises(rows)), None
    if wanted is not None:
        per_row = taken(wanted, torch.arange(rows) % length(wanted))
        cond = taken(per_row, torch.arange(rows).repeat_interleave(len(values)))
        down = each_in_short(labels, per_row)
    names = Names([f"{name} = {value:.3g}" for value in values], down)
    return Sheet(generator.sampler.generate(z, cond), z, cond, len(values), names)


def latents(generator: TrainedGenerator, n: int, seed: int, codes: Mapping[str, float]) -> Tensor:
    """`n` latents [n, Z] by their seed, with these codes."""
    return set_codes(generator.sampler.prior, generator.sampler.latents(n, seed).z, codes)


def each_in_short(labels: LabelSpec, rows: Tree) -> list[str]:
    """Each of the conditions [m, ...] as the name of a column or a row."""
    return [in_short(labels, taken(rows, place), place + 1) for place in range(length(rows))]


def in_short(labels: LabelSpec, row: Tree, place: int) -> str:
    """A condition as the name of a column or a row; an image by its place."""
    if labels.parts:
        return "; ".join(
            f"{name} = {in_short(part, row[name], place)}" for name, part in labels.parts.items()
        )
    if labels.kind == "image":
        return f"condition {place}"
    if labels.kind == "vector":
        return ", ".join(f"{value:.3g}" for value in row.tolist())
    return ", ".join(map(quoted, labels.decode(row))) or "(no label)"


def _each_label(labels: LabelSpec) -> Tensor:
    if labels.kind == "none":
        raise UserError(
            "the data has no labels, so there is no grid of conditions; omit --grid, or vary one of the "
            "prior's codes with --traverse NAME"
        )
    if labels.parts:
        raise UserError(
            f"there are several conditions ({', '.join(labels.parts)}), so a grid needs a list of them: "
            "--conditions FILE.json, with an object such as "
            f'{{"{next(iter(labels.parts))}": ...}} for each column'
        )
    if labels.kind not in ("one_of_k", "many_of_k"):
        raise UserError(
            "a grid of conditions that are not names needs a list of them: pass --condition or --conditions"
        )
    return torch.eye(labels.width)[:MAX_LABELS]
