"""Stops at a chosen iteration."""

from __future__ import annotations

from ganforge.engine.distributed.stop_request import StopRequest


class StopAfter(StopRequest):
    """Requests a stop once it has been read this many times."""

    def __init__(self, iterations: int) -> None:
        super().__init__()
        self.left = iterations

    def __bool__(self) -> bool:
        self.left -= 1
        self.reason = "enough" if self.left <= 0 else None
        return self.reason is not None
