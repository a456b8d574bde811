"""The trackers that Accelerate has adapters for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ganforge.api import Field, Tracker


class Accelerate(Tracker):
    """Records the run on a service that Accelerate has an adapter for: mlflow, comet_ml, aim, clearml,
    dvclive, swanlab, trackio. The service's own package must be installed.

    None of them takes rows back: what a resumed run repeats is left out.
    """

    source: ClassVar[str] = "https://huggingface.co/docs/accelerate/usage_guides/tracking"
    sink: ClassVar[str] = "ganforge_trackers.accelerate_sink:AccelerateSink"

    type: Literal["accelerate"] = "accelerate"
    example: ClassVar[Mapping[str, Any]] = {"trackers": [{"type": "accelerate", "service": "tensorboard"}]}
    service: str = Field(min_length=1, description="The adapter's name in Accelerate, such as mlflow.")
    options: dict[str, Any] = Field(
        {}, description="Arguments of the adapter; recorded in the run folder, so no secrets."
    )
