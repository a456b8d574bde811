"""Which process holds a lock, for the message that asks to stop it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

UNLISTED = "one that this machine does not list"
LOCKS = Path("/proc/locks")


def holder(descriptor: int) -> str:
    """The process of this machine that has a `flock` lock on the open file or folder, in words."""
    inode = str(os.fstat(descriptor).st_ino)
    try:
        lines = LOCKS.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeError):
        return UNLISTED
    for line in lines:
        # 12: FLOCK  ADVISORY  WRITE 4711 fd:01:131 0 EOF
        fields = line.split()
        if len(fields) == 8 and fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
            # A process outside this container has no number here.
            return (
                f"pid {fields[4]} on {platform.node()}"
                if int(fields[4]) > 0
                else "one outside this container"
            )
    return UNLISTED
