"""Memory that tensors on the CPU give back stays in the process, for those of the next iteration.

The C library returns a large block to the system as soon as it is free. Each iteration then gets
fresh pages for the same tensors, which the system has to clear and the processor to bring into its
caches anew: 5 to 11 % of the processor time of a small network's iteration (docs/speed.md). The peak
of memory is the same, but between iterations the process keeps it.
"""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of <malloc.h>."""
NEVER = 2**31 - 1
"""Bytes free at the end of the heap above which they are given back: as many as an int can say."""
LARGEST = 32 * 2**20
"""Bytes from which a block is mapped by itself, and given back when it is free; the most that is allowed."""


def keep_freed_memory() -> bool:
    """Where the C library is glibc; elsewhere nothing is done. Returns whether it was."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # In this order: the second is refused where it is too large for the library.
    return all([mallopt(M_TRIM_THRESHOLD, NEVER) == 1, mallopt(M_MMAP_THRESHOLD, LARGEST) == 1])
