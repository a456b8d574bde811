"""Batches of real samples, straight from a resident array.

The sampler has no state either: batch `i` is a slice of an endless sequence of shuffled epochs,
each a permutation seeded by (seed, epoch). Ask for batch `i` at any time, in any process, and it
is the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ganforge.api import Samples, UserError
from ganforge.engine.streams import generator_for

DEVICE_SHARE = 0.4
"""The largest part of a GPU's free memory that a resident data set may take."""


class Batch(NamedTuple):
    real: Tensor
    """[n, C, H, W] in [-1, 1], or points [n, D]."""
    cond: Tensor | None
    """[n, K] float32."""
    conds: Tensor | None = None
    """[n * world, K] float32: those of all processes, in their order; None for a single one."""


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
    ) -> None:
        """`batch_size` is the global one; `world * accumulate` must divide it. Raises `UserError`
        where there are no samples."""
        if len(samples) == 0:
            raise UserError("the data set is empty: there is nothing to learn from")
        self.total = len(samples)
        self.batch_size = batch_size
        self.seed = seed
        self.world = world
        # Each micro-batch is shared out by itself, so that it is the same for any number of processes.
        self.mine = torch.arange(batch_size).view(accumulate, world, -1)[:, rank].flatten()
        self.device = device
        self.mirror = samples.mirror
        home = device if _fits(samples.images, device) else torch.device("cpu")
        self.images = samples.images.to(home)
        self.labels = None if samples.labels is None else samples.labels.to(home)
        self._orders: dict[int, Tensor] = {}

    def reseed(self, seed: int) -> None:
        """Another order of the data from now on."""
        self.seed, self._orders = seed, {}

    def indices(self, index: int) -> Tensor:
        """Which samples this process sees in batch `index`: int64 [batch_size / world]."""
        return self._at(index * self.batch_size + self.mine)

    def _at(self, positions: Tensor) -> Tensor:
        """The samples at ascending positions in the sequence of epochs."""
        epochs = positions // self.total
        first, last = int(epochs[0]), int(epochs[-1])
        pieces = [
            self._order(epoch)[positions[epochs == epoch] % self.total] for epoch in range(first, last + 1)
        ]
        return torch.cat(pieces)

    def at(self, index: int) -> Batch:
        """Batch `index` on the device, ready for the discriminator."""
        chosen = self.indices(index).to(self.images.device)
        images = self.images.index_select(0, chosen).to(self.device, non_blocking=True)
        if images.dtype == torch.uint8:
            images = images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)
        if self.mirror:
            rng = generator_for(self.seed, "mirror", index, 0, device=self.device)
            drawn = torch.rand(self.batch_size, 1, 1, 1, device=self.device, generator=rng)
            flips = drawn.index_select(0, self.mine.to(self.device)) < 0.5
            images = torch.where(flips, images.flip(-1), images)
        if self.labels is None:
            return Batch(images, None)
        cond = self.labels.index_select(0, chosen).to(self.device, torch.float32)
        return Batch(images, cond, None if self.world == 1 else self._conds(index))

    def _conds(self, index: int) -> Tensor:
        """Of the whole batch, [batch_size, K]; labels are small."""
        assert self.labels is not None
        start = index * self.batch_size
        chosen = self._at(torch.arange(start, start + self.batch_size)).to(self.labels.device)
        return self.labels.index_select(0, chosen).to(self.device, torch.float32)

    def _order(self, epoch: int) -> Tensor:
        """The permutation of one epoch: int64 [M]. Two are kept, for batches that span epochs."""
        if epoch not in self._orders:
            self._orders = {known: order for known, order in self._orders.items() if known == epoch - 1}
            rng = generator_for(self.seed, "epoch", epoch)
            self._orders[epoch] = torch.randperm(self.total, generator=rng)
        return self._orders[epoch]


def _fits(images: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return images.numel() * images.element_size() < DEVICE_SHARE * free
