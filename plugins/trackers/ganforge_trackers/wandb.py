"""Weights & Biases."""

from __future__ import annotations

import os
from typing import ClassVar, Literal, Self

from ganforge.api import Field, Tracker

Mode = Literal["offline", "online", "disabled"]


class Wandb(Tracker):
    """Records the run on Weights & Biases, or offline for a later upload with `wandb sync`.

    The API key comes from WANDB_API_KEY or from W&B's own files, and is written to no file of the run. A
    server that cannot be reached is replaced by an offline record.
    """

    source: ClassVar[str] = "https://docs.wandb.ai"
    sink: ClassVar[str] = "ganforge_trackers.wandb_sink:WandbSink"
    title: ClassVar[str] = "W&B"
    package: ClassVar[str] = "wandb"

    type: Literal["wandb"] = "wandb"
    mode: Mode = Field(
        "offline", description="offline needs no account and can be uploaded later with 'wandb sync'."
    )
    project: str = Field("ganforge", min_length=1, description="W&B project.")
    entity: str = Field("", description="W&B team or user; empty = your default.")
    name: str = Field("", description="W&B run name; empty = that of the run folder.")
    tags: tuple[str, ...] = Field((), description="W&B tags.")
    init_timeout_s: float = Field(
        60.0, gt=0, description="Seconds to wait for the server before recording offline."
    )

    def wanted(self) -> Self | None:
        mode = wished_mode(self.mode)
        return None if mode == "disabled" else self.copied(mode=mode)


def wished_mode(mode: Mode) -> Mode:
    """The mode of the run file, or the lesser one that W&B's own variables ask for: WANDB_MODE, and
    WANDB_DISABLED. "online" there does not overrule a run file that says less."""
    variable = os.environ.get("WANDB_MODE", "").strip().lower()
    disabled = os.environ.get("WANDB_DISABLED", "").strip().lower() in ("true", "1", "yes")
    if disabled or variable == "disabled":
        return "disabled"
    return "offline" if mode == "online" and variable in ("offline", "dryrun") else mode
