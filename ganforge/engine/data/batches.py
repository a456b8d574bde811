"""Batches of real samples, straight from an array.

The sampler is stateless, too: batch `i` is a slice of an endless sequence of shuffled epochs, each a
permutation seeded by (seed, epoch). Batch `i` is the same at any time and in any process.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ganforge.api import Samples, UserError
from ganforge.config.sections import Residence
from ganforge.engine.data.flip_crop import views
from ganforge.engine.data.placement import why_streamed
from ganforge.engine.data.prefetch import Feed, Resident, Streamed
from ganforge.engine.random import generator_for


class Batch(NamedTuple):
    real: Tensor
    """[n, C, H, W] in [-1, 1], or points [n, D]."""
    cond: Tensor | None
    """[n, K] float32."""
    conds: Tensor | None = None
    """[n * world, K] float32: those of all processes, in rank order; None for a single one."""


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
        data: Residence = "auto",
    ) -> None:
        """`batch_size` is the global one; `world * accumulate` must divide it. Raises `UserError` if there
        are no samples, or if they do not fit where `data` requests them."""
        if len(samples) == 0:
            raise UserError("the data set is empty")
        self.total = len(samples)
        self.batch_size = batch_size
        self.seed = seed
        # Each micro-batch is divided among the processes, so that it is the same for any number of them.
        mine = torch.arange(batch_size).view(accumulate, world, -1)[:, rank].flatten()
        self._mine = None if world == 1 else mine
        self._mine_there = None if world == 1 else mine.to(device)
        self.device = device
        self.mirror = samples.mirror
        self.random_crop = _crop_of(samples)
        self.streams = why_streamed(samples.images, device, data)
        """Why the images are streamed, in a line for the user; None if they are resident."""
        feed = Streamed if self.streams else Resident
        self._feed: Feed = feed(samples.images, device)
        self.labels = None if samples.labels is None else samples.labels.to(device)
        self._orders: dict[int, Tensor] = {}

    def reseed(self, seed: int) -> None:
        """Changes the order of the data from now on."""
        self.seed, self._orders = seed, {}
        self._feed.forget()

    def indices(self, index: int) -> Tensor:
        """Indices of this process's samples in batch `index`: int64 [batch_size / world]."""
        whole = self._whole(index)
        return whole if self._mine is None else whole[self._mine]

    def _whole(self, index: int) -> Tensor:
        """Indices of the samples of batch `index` in all processes: int64 [batch_size], across the
        boundaries of epochs where necessary."""
        epoch, start = divmod(index * self.batch_size, self.total)
        piece = self._order(epoch)[start : start + self.batch_size]
        pieces, missing = [piece], self.batch_size - len(piece)
        while missing:
            epoch += 1
            pieces.append(self._order(epoch)[:missing])
            missing -= len(pieces[-1])
        return torch.cat(pieces) if len(pieces) > 1 else piece

    def at(self, index: int) -> Batch:
        """Batch `index` on the device, ready for the discriminator."""
        images = self._feed.rows(index, self.indices)
        if images.ndim == 4:
            images = views(images, *self._drawn(index))
        if images.dtype == torch.uint8:
            images = images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)
        if self.labels is None:
            return Batch(images, None)
        whole = self._whole(index).to(self.device, non_blocking=True)
        conds = self.labels.index_select(0, whole).to(torch.float32)
        return Batch(images, self._share(conds), None if self._mine is None else conds)

    def _drawn(self, index: int) -> tuple[Tensor | None, Tensor | None]:
        """Which of this process's images in batch `index` are flipped [n], and by how much they are shifted
        [n, 2]; None if none is."""
        flips = moves = None
        if self.mirror:
            rng = generator_for(self.seed, "mirror", index, 0, device=self.device)
            flips = self._share(torch.rand(self.batch_size, device=self.device, generator=rng)) < 0.5
        if self.random_crop:
            rng = generator_for(self.seed, "crop", index, 0, device=self.device)
            ends, size = (-self.random_crop, self.random_crop + 1), (self.batch_size, 2)
            moves = self._share(torch.randint(*ends, size, device=self.device, generator=rng))
        return flips, moves

    def _share(self, whole: Tensor) -> Tensor:
        """This process's rows of a tensor for the whole batch, on the device."""
        return whole if self._mine_there is None else whole.index_select(0, self._mine_there)

    def _order(self, epoch: int) -> Tensor:
        """The permutation of one epoch: int64 [M]. Two are cached, for batches that span epochs."""
        if epoch not in self._orders:
            self._orders = {known: order for known, order in self._orders.items() if known == epoch - 1}
            rng = generator_for(self.seed, "epoch", epoch)
            self._orders[epoch] = torch.randperm(self.total, generator=rng)
        return self._orders[epoch]


def _crop_of(samples: Samples) -> int:
    """Raises `UserError` if the images are too small for their random crops, or are points."""
    crop, shape = samples.random_crop, tuple(samples.images.shape[1:])
    if crop and (len(shape) != 3 or not 0 < crop < min(shape[1:])):
        raise UserError(
            f"data.random_crop = {crop} needs images larger than that, but the samples have the shape "
            f"{shape}; lower it, or set it to 0"
        )
    return crop
