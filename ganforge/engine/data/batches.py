"""Batches of real samples, straight from an array.

The sampler is stateless, too: batch `i` is a slice of an endless sequence of shuffled epochs, each a
permutation seeded by (seed, epoch). Batch `i` is the same at any time and in any process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, overload

import torch
from torch import Tensor

from ganforge.api import Samples, Stored, Tree, UserError, in_memory, leaves, mapped
from ganforge.config.sections import Placement
from ganforge.engine.data.conditions import as_conditions, by_name, unpaired
from ganforge.engine.data.flip_crop import views
from ganforge.engine.data.placement import why_streamed
from ganforge.engine.data.prefetch import Feed, Resident, Streamed
from ganforge.engine.random import generator_for


class Batch(NamedTuple):
    real: Tensor
    """[n, C, H, W] in [-1, 1], or points [n, D]."""
    cond: Tree
    """[n, K] float32, images [n, C, H, W] in [-1, 1], a dict of such by name, or None."""
    conds: Tree = None
    """[n * world, ...] float32: those of all processes, in rank order; None for a single one."""


class Batches:
    """This process's share of every batch."""

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        seed: int,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
        placement: Placement = "auto",
    ) -> None:
        """`batch_size` is the global one; `world * accumulate` must divide it. Raises `UserError` if there
        are no samples, or if they do not fit where `placement` requests them."""
        if len(samples) == 0:
            raise UserError("the data set is empty")
        self.batch_size = batch_size
        self.seed = seed
        # Each micro-batch is divided among the processes, so that it is the same for any number of them.
        mine = torch.arange(batch_size).view(accumulate, world, -1)[:, rank].flatten()
        self._mine = None if world == 1 else mine
        self._mine_there = None if world == 1 else mine.to(device)
        self.device = device
        self.mirror = samples.mirror
        self.random_crop = _crop_of(samples)
        self.streams = why_streamed(samples.images, device, placement)
        """Why the images are streamed, in a line for the user; None if they are resident."""
        streamed = self.streams is not None
        self._feed: Feed = (
            Streamed(samples.images, device) if streamed else Resident(in_memory(samples.images), device)
        )
        self.labels = mapped(lambda each: each.to(device), samples.labels)
        self.unpaired = unpaired(samples)
        stored = samples.images if isinstance(samples.images, Stored) else None
        blocks, window = (stored.blocks, stored.window) if stored else ((), 1)
        self._order = Order(len(samples), batch_size, "epoch", blocks, window)
        self._own_order = self._order
        if self.unpaired:
            self._own_order = Order(_own(samples), batch_size, "conditions")

    def reseed(self, seed: int) -> None:
        """Changes the order of the data from now on."""
        self.seed = seed
        self._feed.forget()

    def indices(self, index: int) -> Tensor:
        """Indices of this process's samples in batch `index`: int64 [batch_size / world]."""
        whole = self._order.batch(self.seed, index)
        return whole if self._mine is None else whole[self._mine]

    def at(self, index: int) -> Batch:
        """Batch `index` on the device, ready for the discriminator."""
        images = self._feed.rows(index, self.indices)
        flips, moves = self._drawn(index, 0) if images.ndim == 4 else (None, None)
        if images.ndim == 4:
            images = views(images, self._share(flips), self._share(moves))
        if images.dtype == torch.uint8:
            images = images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)
        if self.labels is None:
            return Batch(images, None)
        conds = self._conditions(index, flips, moves)
        return Batch(images, mapped(self._share, conds), None if self._mine is None else conds)

    def _conditions(self, index: int, flips: Tensor | None, moves: Tensor | None) -> Tree:
        """Conditions of batch `index` in all processes. A condition image is flipped and shifted like its
        sample, or on its own if they are not paired."""

        def chosen(name: str, labels: Tensor) -> Tensor:
            alone = name in self.unpaired
            order = self._own_order if alone else self._order
            whole = order.batch(self.seed, index).to(self.device, non_blocking=True)
            found = labels.index_select(0, whole)
            if found.ndim == 4:
                found = views(found, *(self._drawn(index, 1) if alone else (flips, moves)))
            return found

        return as_conditions(by_name(chosen, self.labels))

    def _drawn(self, index: int, what: int) -> tuple[Tensor | None, Tensor | None]:
        """Which images of batch `index` are flipped, in all processes [batch_size], and by how much they are
        shifted [batch_size, 2]; None if none is. `what`: 0 for samples, 1 for conditions of their own."""
        flips = moves = None
        if self.mirror:
            rng = generator_for(self.seed, "mirror", index, what, device=self.device)
            flips = torch.rand(self.batch_size, device=self.device, generator=rng) < 0.5
        if self.random_crop:
            rng = generator_for(self.seed, "crop", index, what, device=self.device)
            ends, size = (-self.random_crop, self.random_crop + 1), (self.batch_size, 2)
            moves = torch.randint(*ends, size, device=self.device, generator=rng)
        return flips, moves

    @overload
    def _share(self, whole: Tensor) -> Tensor: ...
    @overload
    def _share(self, whole: Tensor | None) -> Tensor | None: ...
    def _share(self, whole: Tensor | None) -> Tensor | None:
        """This process's rows of a tensor for the whole batch, on the device."""
        if whole is None or self._mine_there is None:
            return whole
        return whole.index_select(0, self._mine_there)


class Order:
    """An endless sequence of shuffled epochs over `total` samples, cut into batches."""

    def __init__(
        self, total: int, batch_size: int, name: str, blocks: Sequence[int] = (), window: int = 1
    ) -> None:
        """`blocks`, `window`: see `Stored`; without blocks all samples are shuffled."""
        if blocks and sum(blocks) != total:
            raise UserError(f"the blocks of the data have {sum(blocks):,} samples, expected {total:,}")
        self._ranges = torch.split(torch.arange(total), list(blocks)) if len(blocks) > 1 else ()
        self._window = window
        self.total = total
        self.batch_size = batch_size
        self.name = name
        """Name of its random stream."""
        self._epochs: dict[tuple[int, int], Tensor] = {}

    def batch(self, seed: int, index: int) -> Tensor:
        """Indices of batch `index` in all processes: int64 [batch_size], across epochs where necessary."""
        epoch, start = divmod(index * self.batch_size, self.total)
        piece = self._epoch(seed, epoch)[start : start + self.batch_size]
        pieces, missing = [piece], self.batch_size - len(piece)
        while missing:
            epoch += 1
            pieces.append(self._epoch(seed, epoch)[:missing])
            missing -= len(pieces[-1])
        return torch.cat(pieces) if len(pieces) > 1 else piece

    def _epoch(self, seed: int, epoch: int) -> Tensor:
        """Its permutation: int64 [total]. Two are cached, for batches that span epochs."""
        if (seed, epoch) not in self._epochs:
            self._epochs = {at: order for at, order in self._epochs.items() if at == (seed, epoch - 1)}
            rng = generator_for(seed, self.name, epoch)
            self._epochs[seed, epoch] = self._shuffled(rng)
        return self._epochs[seed, epoch]

    def _shuffled(self, rng: torch.Generator) -> Tensor:
        """All samples once: int64 [total]. Of blocks, in an order in which few are in use at a time."""
        if not self._ranges:
            return torch.randperm(self.total, generator=rng)
        order = torch.randperm(len(self._ranges), generator=rng).tolist()
        pieces = []
        for start in range(0, len(order), self._window):
            rows = torch.cat([self._ranges[block] for block in order[start : start + self._window]])
            pieces.append(rows[torch.randperm(len(rows), generator=rng)])
        return torch.cat(pieces)


def _own(samples: Samples) -> int:
    """The length of the collection of conditions that belong to no sample."""
    labels, names = samples.labels, unpaired(samples)
    assert labels is not None, "an unpaired data set has conditions"
    return min(len(labels[name]) for name in names) if isinstance(labels, Mapping) else len(labels)


def _crop_of(samples: Samples) -> int:
    """Raises `UserError` if the images are too small for their random crops, or are points."""
    crop, shape = samples.random_crop, tuple(samples.images.shape[1:])
    if crop and (len(shape) != 3 or not 0 < crop < min(shape[1:])):
        raise UserError(
            f"data.random_crop = {crop} needs images larger than that, but the samples have the shape "
            f"{shape}; lower it, or set it to 0"
        )
    for labels in leaves(samples.labels):
        if crop and labels.ndim == 4 and labels.shape[2:] != samples.images.shape[2:]:
            raise UserError(
                f"random_crop = {crop} shifts a sample and its condition by the same pixels, but the "
                f"condition is {labels.shape[3]}x{labels.shape[2]} and the sample {shape[2]}x{shape[1]}; "
                "set random_crop = 0"
            )
    return crop
