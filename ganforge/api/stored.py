"""Images that are read when a batch needs them: for data that exceed the memory, or the disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ganforge.api.errors import UserError


class Stored(ABC):
    """`Samples.images` of a data set that keeps them elsewhere, such as in shards.

    Batches are a function of seed and position, so a run that resumes in the middle of a shard is exact, and
    several processes share each batch; a data set only has to read the samples it is asked for.
    """

    window: ClassVar[int] = 4
    """Number of blocks among whose samples an epoch is shuffled; about as many are in use at a time."""

    shape: tuple[int, ...]
    """(M, C, H, W), or (M, D)."""
    dtype: torch.dtype = torch.uint8
    """uint8, 0 to 255; or float32, as `Samples.images` has them."""
    device = torch.device("cpu")

    @abstractmethod
    def read(self, rows: Tensor) -> Tensor:
        """The samples `rows` (int64 [n], from 0 to M - 1, in any order, maybe repeated): [n, *shape[1:]] on
        the CPU. Called from several threads at a time. Raises `UserError` for what is missing or damaged."""

    @property
    def blocks(self) -> Sequence[int]:
        """Lengths of the runs of consecutive samples that are cheap to read together, such as those of a
        shard; they sum to M. An epoch takes the blocks in random order, and shuffles the samples of each
        `window` of them. By default one block: an epoch is a random permutation of all samples."""
        return (len(self),)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Tensor | slice) -> Tensor:
        if isinstance(which, slice):
            return self.read(torch.arange(*which.indices(len(self))))
        return self.read(which.cpu().long())


Images = Tensor | Stored


def in_memory(images: Images) -> Tensor:
    """The images as a tensor. Raises `UserError` where they are only read batch by batch."""
    if isinstance(images, Stored):
        raise UserError(
            f"this needs all {len(images):,} images in memory, but the data set reads them batch by batch; "
            "use a data set that decodes them once, such as 'image_folder'"
        )
    return images
