"""Ways through the latent space: between two samples, and a closed walk."""

from __future__ import annotations

import torch
from torch import Tensor

from ganforge.api import Prior, Tree, UserError, length, mapped, taken
from ganforge.components.faults import blame
from ganforge.engine.sampling.grids import noises
from ganforge.evaluation.sample import TrainedGenerator, condition_rows, refuse_too_many
from ganforge.evaluation.sheets import Sheet, each_in_short, latents
from ganforge.outputs.labels import Names


def between(prior: Prior, a: Tensor, b: Tensor, steps: int) -> Tensor:
    """[n, steps, Z]: latents from `a` [n, Z] to `b` [n, Z], ends included."""
    shares = torch.linspace(0, 1, steps).tolist()[1:-1]
    with blame(prior, "mixed"):
        return torch.stack([a, *(prior.mixed(a, b, share) for share in shares), b], dim=1)


def interpolation_sheet(generator: TrainedGenerator, wanted: Tree, rows: int, steps: int, seed: int) -> Sheet:
    """In each row the way from one sample to another under one condition: `wanted` [m, ...] in turn, by
    default a variety of labels. Row i ends where the latents 2i and 2i + 1 of the seed are."""
    _refuse_few(steps)
    refuse_too_many(rows * steps)
    ends = latents(generator, 2 * rows, seed, {})
    z = between(generator.sampler.prior, ends[0::2], ends[1::2], steps).flatten(0, 1)
    cond = _in_turn(generator, wanted, rows, seed)
    down = noises(rows) if cond is None else _names(generator, cond)
    cond = mapped(lambda each: each.repeat_interleave(steps, dim=0), cond)
    across = [f"{share:.0%}" for share in torch.linspace(0, 1, steps).tolist()]
    return Sheet(generator.sampler.generate(z, cond), z, cond, steps, Names(across, down))


def way(generator: TrainedGenerator, wanted: Tree, seeds: tuple[int, int], steps: int) -> Sheet:
    """In one row the way from the first sample of one seed to that of another, under the first condition."""
    _refuse_few(steps)
    first, last = (latents(generator, 1, seed, {}) for seed in seeds)
    z = between(generator.sampler.prior, first, last, steps).flatten(0, 1)
    cond = _in_turn(generator, wanted, 1, seeds[0])
    cond = mapped(lambda each: each.repeat_interleave(steps, dim=0), cond)
    return Sheet(generator.sampler.generate(z, cond), z, cond, steps)


def walk(generator: TrainedGenerator, wanted: Tree, n: int, stations: int, frames: int, seed: int) -> Sheet:
    """`frames` rows of `n` samples, each on a closed way of its own through `stations` latents of the seed,
    under the conditions in turn."""
    if stations < 2 or frames < stations:
        raise UserError(f"a walk needs 2 stations or more and a frame for each, got {stations} and {frames}")
    refuse_too_many(frames * n)
    stops = latents(generator, n * stations, seed, {}).view(n, stations, -1)
    prior = generator.sampler.prior
    rows = []
    for frame in range(frames):
        station, part = divmod(stations * frame, frames)
        with blame(prior, "mixed"):
            rows.append(prior.mixed(stops[:, station], stops[:, (station + 1) % stations], part / frames))
    z = torch.cat(rows)
    cond = _in_turn(generator, wanted, n, seed)
    cond = taken(cond, torch.arange(n).repeat(frames))
    return Sheet(generator.sampler.generate(z, cond), z, cond, n)


def mixing_sheet(
    generator: TrainedGenerator, wanted: Tree, rows: int, columns: int, share: float, seed: int
) -> Sheet:
    """Coarse styles from row to row, fine styles across, under one condition.

    Raises `UserError` if the architecture has no styles.
    """
    refuse_too_many(rows * columns)
    z = latents(generator, rows + columns, seed, {})
    coarse = z[:rows].repeat_interleave(columns, dim=0)
    fine = z[rows:].repeat(rows, 1)
    cond = _in_turn(generator, wanted, 1, seed)
    cond = taken(cond, torch.zeros(len(coarse), dtype=torch.long))
    sampler = generator.sampler
    sampler.network.eval()
    with torch.no_grad(), blame(sampler.nets, "style_mixed"):
        device = sampler.device
        on_device = mapped(lambda each: each.to(device), cond)
        images = sampler.nets.style_mixed(
            sampler.network, coarse.to(device), fine.to(device), on_device, share
        )
    if images is None:
        raise UserError(
            f"nets '{sampler.nets.type}' cannot mix styles: its layers have none of their own "
            "(those of 'stylegan2' do)"
        )
    names = Names([f"fine {i}" for i in range(1, columns + 1)], [f"coarse {i}" for i in range(1, rows + 1)])
    return Sheet(images.float().cpu(), coarse, cond, columns, names)


def _in_turn(generator: TrainedGenerator, wanted: Tree, rows: int, seed: int) -> Tree:
    """A condition for each row."""
    if wanted is None:
        return condition_rows(generator.spec.labels, [], rows, seed)
    return taken(wanted, torch.arange(rows) % length(wanted))


def _names(generator: TrainedGenerator, cond: Tree) -> list[str]:
    return each_in_short(generator.spec.labels, cond)


def _refuse_few(steps: int) -> None:
    if steps < 2:
        raise UserError(f"an interpolation needs at least 2 steps, got {steps}")
