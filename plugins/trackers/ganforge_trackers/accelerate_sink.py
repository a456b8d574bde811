"""What records through one of Accelerate's adapters, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganforge.api import TrackedRun

LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class AccelerateSink:
    """An adapter of `accelerate.tracking`; the step is the number of images seen."""

    purges = False
    by_hand = ""

    def __init__(self, tracker: Any, place: str) -> None:
        self.tracker = tracker
        self.place = place

    @classmethod
    def open(cls, settings: Mapping[str, Any], run: TrackedRun) -> AccelerateSink:
        """Raises `ValueError` for a name that Accelerate has no adapter for."""
        # The adapters ask which process they are in, and would join the group that trains.
        for name in LAUNCHER:
            os.environ.pop(name, None)
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        from accelerate import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        PartialState(cpu=True)
        service = settings["service"]
        found = LOGGER_TYPE_TO_CLASS.get(service)
        if found is None:
            names = ", ".join(sorted(map(str, LOGGER_TYPE_TO_CLASS)))
            raise ValueError(f"Accelerate has no tracker '{service}' (it has: {names})")
        options = dict(settings["options"])
        if found.requires_logging_directory:
            options["logging_dir"] = str(run.folder)
        tracker = found(run.name, **options)
        if hasattr(tracker, "start"):
            tracker.start()
        if not run.resume:
            tracker.store_init_configuration(flat(run.config))
        return cls(tracker, f"recorded on {service}")

    @classmethod
    def retreat(cls, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return None

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            values = {key: value for key, value in row.items() if key != "images_seen"}
            self.tracker.log(values, step=row["images_seen"])

    def image(self, name: str, images_seen: int, path: Path) -> None:
        """Where the adapter takes images."""
        import numpy as np
        from PIL import Image

        if hasattr(self.tracker, "log_images"):
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))[None]
            options = {"dataformats": "NHWC"} if self.tracker.name == "tensorboard" else {}
            self.tracker.log_images({f"grids/{name}": pixels}, step=images_seen, **options)

    def event(self, event: Mapping[str, Any]) -> None:
        """The adapters have no place for text."""

    def purge(self, images_seen: int) -> None:
        raise NotImplementedError

    def close(self, ok: bool) -> None:
        self.tracker.finish()


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys; what the adapters do not take as it is becomes text."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value if isinstance(value, bool | int | float | str) else str(value)
    return found
