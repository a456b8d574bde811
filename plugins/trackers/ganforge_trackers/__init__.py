"""Trackers, two files each: the table of a run file, and the sink, which runs in a process of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ganforge.api import Component

# As ganforge.api.hookimpl, without its import of torch: the sinks in this package start without.
hookimpl = pluggy.HookimplMarker("ganforge")


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    from ganforge_trackers.accelerate import Accelerate
    from ganforge_trackers.tensorboard import TensorBoard
    from ganforge_trackers.wandb import Wandb

    return [Accelerate, TensorBoard, Wandb]
