"""Where the images are during training: resident on the device, or streamed."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ganforge.api import Images, Stored, UserError
from ganforge.config.sections import Placement

DEVICE_SHARE = 0.4
"""Maximum share of a GPU's free memory for resident images."""
MEMORY_SHARE = 0.5
"""Maximum share of free RAM for memory-mapped images to count as resident: the page cache then holds all of
them, and prefetching gains nothing."""
MAPS = Path("/proc/self/maps")
MEMINFO = Path("/proc/meminfo")


def why_streamed(images: Images, device: torch.device, wish: Placement) -> str | None:
    """Why the images are streamed, in a line for the user; None if they are resident.

    Raises `UserError` if resident images are requested but exceed the GPU's free memory.
    """
    if isinstance(images, Stored):
        if wish == "resident":
            raise UserError(
                'train.placement = "resident" needs the images in memory, but this data set reads them batch '
                'by batch; use "auto" or "streamed"'
            )
        return f"data: {len(images):,} images are read from {len(images.blocks):,} blocks while training runs"
    size = images.numel() * images.element_size()
    if wish == "streamed":
        return f'data: {_size(size)} of images are streamed, because train.placement = "streamed"'
    if device.type == "cuda":
        return _for_gpu(size, torch.cuda.mem_get_info(device)[0], wish)
    if wish == "resident":
        return None
    free = _free_memory()
    if free is None or size <= MEMORY_SHARE * free or not is_mapped(images):
        return None
    return (
        f"data: {_size(size)} of images are streamed from their file: they exceed {MEMORY_SHARE:.0%} of the "
        f"{_size(free)} of free memory"
    )


def is_mapped(images: Tensor) -> bool:
    """Whether the images are memory-mapped from a file, according to Linux; elsewhere False."""
    start = images.data_ptr()
    if not MAPS.exists():
        return False
    for line in MAPS.read_text(errors="replace").splitlines():
        span, _, _, _, inode, *_ = line.split()
        first, last = (int(end, 16) for end in span.split("-"))
        if first <= start < last:
            return inode != "0"
    return False


def _for_gpu(size: int, free: int, wish: Placement) -> str | None:
    """As `why_streamed`, for a GPU with `free` bytes."""
    if wish == "resident":
        if size > free:
            raise UserError(
                f'train.placement = "resident" needs {_size(size)} of GPU memory for the images, but only '
                f'{_size(free)} are free; use "auto" or "streamed"'
            )
        return None
    if size <= DEVICE_SHARE * free:
        return None
    return (
        f"data: {_size(size)} of images are streamed: they exceed {DEVICE_SHARE:.0%} of the {_size(free)} of "
        "free GPU memory"
    )


def _free_memory() -> int | None:
    """Bytes available without swapping, including the page cache; None where the system does not report
    it."""
    if not MEMINFO.exists():
        return None
    lines = MEMINFO.read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _size(size: int) -> str:
    return f"{size / 2**30:.3g} GiB" if size >= 2**30 else f"{size / 2**20:.3g} MiB"
