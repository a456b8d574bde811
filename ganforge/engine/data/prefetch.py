"""Brings the images of a batch to the device: from a resident array, or by prefetching.

Prefetching uses threads rather than processes: most data sets decode nothing during training, so all there
is to do is to copy rows of an array, for which numpy releases the interpreter's lock; so do the decoders of
images that are read batch by batch (`Stored`). A process would have to send
the same bytes once more. Each prefetched batch has a thread of its own, which ends with it: none idles,
none needs a shutdown signal, and all are daemons, so that an exiting process does not wait for its disk.
Rows are copied by numpy, not by torch, each of whose threads would start a thread pool of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ganforge.api import Images, Stored

DEPTH = 2
"""Prefetch depth: batches read ahead of the current one."""

Choose = Callable[[int], Tensor]
"""Batch index -> its samples, int64 [n]; a pure function."""


class Feed(Protocol):
    """A source of batches of images."""

    def rows(self, index: int, choose: Choose) -> Tensor:
        """The samples [n, ...] of batch `index` on the device, in their storage type."""
        ...

    def forget(self) -> None:
        """From now on `choose` returns something else."""


class Resident:
    """Images that are resident on the device, or that the CPU uses in place."""

    def __init__(self, images: Tensor, device: torch.device) -> None:
        self.images = images.to(device)

    def rows(self, index: int, choose: Choose) -> Tensor:
        chosen = choose(index).to(self.images.device, non_blocking=True)
        return self.images.index_select(0, chosen)

    def forget(self) -> None:
        pass


class Streamed:
    """Streamed images, with the next `DEPTH` batches prefetched while training uses this one.

    Prefetching assumes that batches are requested in order. Any other is read at once, and what was
    prefetched is dropped.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        # A non-contiguous array would be copied by numpy as a whole, for each batch.
        self.images = images if isinstance(images, Stored) else images.contiguous()
        self.device = device
        self._ahead: dict[int, _Reading] = {}

    def rows(self, index: int, choose: Choose) -> Tensor:
        """Raises any error from reading this batch."""
        wanted = range(index, index + 1 + DEPTH)
        self._ahead = {each: self._ahead.get(each) or self._read(choose(each)) for each in wanted}
        # The pinned buffer is returned to torch, which reuses it once the copy is done.
        return self._ahead.pop(index).result().to(self.device, non_blocking=True)

    def forget(self) -> None:
        self._ahead = {}

    def _read(self, chosen: Tensor) -> _Reading:
        shape = (len(chosen), *self.images.shape[1:])
        into = torch.empty(shape, dtype=self.images.dtype, pin_memory=self.device.type == "cuda")
        return _Reading(self.images, chosen, into)


class _Reading(threading.Thread):
    """Copies the rows `chosen` of `images` to `into`."""

    def __init__(self, images: Images, chosen: Tensor, into: Tensor) -> None:
        super().__init__(name="read ahead", daemon=True)
        self._images, self._chosen, self._into = images, chosen, into
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            gather(self._images, self._chosen, self._into)
        except BaseException as error:
            self._error = error

    def result(self) -> Tensor:
        """`into`, once it is filled."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._into


def gather(images: Images, chosen: Tensor, into: Tensor) -> None:
    """Copies the rows `chosen` of `images`, on the CPU, to `into`. Indices are trusted: any other mode than
    "clip" makes numpy copy the rows twice."""
    if isinstance(images, Stored):
        into.copy_(images.read(chosen))
        return
    np.take(images.numpy(), chosen.numpy(), axis=0, out=into.numpy(), mode="clip")
