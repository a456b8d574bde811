"""Keeps memory freed by CPU tensors in the process, for those of the next iteration.

The C library returns a large block to the system as soon as it is freed. Each iteration then gets fresh
pages for the same tensors, which the system has to clear and the processor to load into its caches
again: 5 to 11 % of the processor time of a small network's iteration (docs/speed.md). The peak of
memory is the same, but between iterations the process keeps it.
"""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Constants of <malloc.h>."""
NEVER = 2**31 - 1
"""Free bytes at the end of the heap above which they are returned: the maximum of an int."""
LARGEST = 32 * 2**20
"""Bytes from which a block is mapped separately, and returned when freed; the maximum allowed."""


def keep_freed_memory() -> bool:
    """No-op if the C library is not glibc. Returns whether it was applied."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # In this order: the second is rejected if it is too large for the library.
    return all([mallopt(M_TRIM_THRESHOLD, NEVER) == 1, mallopt(M_MMAP_THRESHOLD, LARGEST) == 1])
