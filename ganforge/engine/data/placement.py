"""Where the images live during training: on the device, or where the data set has them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ganforge.api import UserError
from ganforge.config.sections import Residence

DEVICE_SHARE = 0.4
"""The largest part of a GPU's free memory that resident images may take."""
MEMORY_SHARE = 0.5
"""The largest part of the free main memory that images mapped from a file may take and still count as
resident: the system's cache then holds all of them, and nothing is worth reading ahead."""
MAPS = Path("/proc/self/maps")
MEMINFO = Path("/proc/meminfo")


def why_streamed(images: Tensor, device: torch.device, wish: Residence) -> str | None:
    """Why the images are read batch by batch, in a line for the user; None where they are resident.

    Raises `UserError` for a wish to have more on a GPU than is free there.
    """
    size = images.numel() * images.element_size()
    if wish == "streamed":
        return f'data: {_size(size)} of images are streamed, because train.data = "streamed"'
    if device.type == "cuda":
        return _for_gpu(size, torch.cuda.mem_get_info(device)[0], wish)
    if wish == "resident":
        return None
    free = _free_memory()
    if free is None or size <= MEMORY_SHARE * free or not is_mapped(images):
        return None
    return (
        f"data: {_size(size)} of images are streamed from their file: they are more than {MEMORY_SHARE:.0%} "
        f"of the {_size(free)} of memory that are free"
    )


def is_mapped(images: Tensor) -> bool:
    """Whether the images lie in a file that is mapped into memory. As Linux tells; elsewhere False."""
    start = images.data_ptr()
    if not MAPS.exists():
        return False
    for line in MAPS.read_text(errors="replace").splitlines():
        span, _, _, _, inode, *_ = line.split()
        first, last = (int(end, 16) for end in span.split("-"))
        if first <= start < last:
            return inode != "0"
    return False


def _for_gpu(size: int, free: int, wish: Residence) -> str | None:
    """As `why_streamed`, for a GPU with `free` bytes."""
    if wish == "resident":
        if size > free:
            raise UserError(
                f'train.data = "resident" wants {_size(size)} of images on the GPU, of whose memory '
                f'{_size(free)} are free; use "auto" or "streamed"'
            )
        return None
    if size <= DEVICE_SHARE * free:
        return None
    return (
        f"data: {_size(size)} of images are streamed: they are more than {DEVICE_SHARE:.0%} of the "
        f"{_size(free)} that are free on the GPU"
    )


def _free_memory() -> int | None:
    """Bytes that could be had without swapping, the system's cache of files among them; None where
    the system does not tell."""
    if not MEMINFO.exists():
        return None
    lines = MEMINFO.read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _size(size: int) -> str:
    return f"{size / 2**30:.3g} GiB" if size >= 2**30 else f"{size / 2**20:.3g} MiB"
