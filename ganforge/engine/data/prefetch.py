"""The images of a batch, brought to the device: from an array that lies there, or read ahead of training.

Reading ahead takes threads rather than processes: nothing is decoded during training, so all there is to do
is to copy rows out of an array, which numpy does outside of the interpreter's lock. A process would have to
send the same bytes once more. Each batch in advance has a thread of its own, which ends with it: none idles,
none has to be told to end, and all are daemons, so that a process that is told to end does not wait for its
disk. Rows are copied by numpy, not by torch, each of whose threads would gather a team of others around it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

DEPTH = 2
"""Batches that are read in advance of the one that is asked for."""

Choose = Callable[[int], Tensor]
"""Number of a batch -> its samples, int64 [n]; the same whenever it is asked."""


class Feed(Protocol):
    """Where batches get their images from."""

    def rows(self, index: int, choose: Choose) -> Tensor:
        """The samples [n, ...] of batch `index` on the device, as they are at rest."""
        ...

    def forget(self) -> None:
        """From now on `choose` gives something else."""


class Resident:
    """Images that lie on the device, or that the CPU computes with where they are."""

    def __init__(self, images: Tensor, device: torch.device) -> None:
        self.images = images.to(device)

    def rows(self, index: int, choose: Choose) -> Tensor:
        chosen = choose(index).to(self.images.device, non_blocking=True)
        return self.images.index_select(0, chosen)

    def forget(self) -> None:
        pass


class Streamed:
    """Images that are read batch by batch, the next `DEPTH` while training is busy with this one.

    What is read in advance is a guess that the next batch will be asked for next. Any other is read at once,
    and the guesses are dropped.
    """

    def __init__(self, images: Tensor, device: torch.device) -> None:
        # Of an array that is not contiguous numpy would copy all, for each batch.
        self.images = images.contiguous()
        self.device = device
        self._ahead: dict[int, _Reading] = {}

    def rows(self, index: int, choose: Choose) -> Tensor:
        """Raises what went wrong while this batch was read."""
        wanted = range(index, index + 1 + DEPTH)
        self._ahead = {each: self._ahead.get(each) or self._read(choose(each)) for each in wanted}
        # The pinned buffer is handed back to torch, which gives it out again once the copy is made.
        return self._ahead.pop(index).result().to(self.device, non_blocking=True)

    def forget(self) -> None:
        self._ahead = {}

    def _read(self, chosen: Tensor) -> _Reading:
        shape = (len(chosen), *self.images.shape[1:])
        into = torch.empty(shape, dtype=self.images.dtype, pin_memory=self.device.type == "cuda")
        return _Reading(self.images, chosen, into)


class _Reading(threading.Thread):
    """Copies the rows `chosen` of `images` to `into`."""

    def __init__(self, images: Tensor, chosen: Tensor, into: Tensor) -> None:
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
        """`into`, when it is filled."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._into


def gather(images: Tensor, chosen: Tensor, into: Tensor) -> None:
    """The rows `chosen` of `images`, on the CPU, to `into`. The numbers are trusted: any other mode than
    "clip" makes numpy copy the rows twice."""
    np.take(images.numpy(), chosen.numpy(), axis=0, out=into.numpy(), mode="clip")
