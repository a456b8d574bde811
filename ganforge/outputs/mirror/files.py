"""How the trainer and its W&B mirror communicate: two small files in RUN/wandb.

mirror.json goes from the trainer to the mirror, status.json back. Neither contains an API key: W&B
reads it from WANDB_API_KEY or from the user's netrc.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganforge.outputs.atomic import write_json

if TYPE_CHECKING:
    from ganforge.config import RunConfig

Mode = Literal["online", "offline", "disabled"]


def wished_mode(mode: Mode) -> Mode:
    """The mode of the run file, or the lesser one that W&B's own variables ask for: WANDB_MODE, and
    WANDB_DISABLED. "online" there does not overrule a run file that says less."""
    variable = os.environ.get("WANDB_MODE", "").strip().lower()
    disabled = os.environ.get("WANDB_DISABLED", "").strip().lower() in ("true", "1", "yes")
    if disabled or variable == "disabled":
        return "disabled"
    return "offline" if mode == "online" and variable in ("offline", "dryrun") else mode


@dataclass(frozen=True)
class WandbSettings:
    """Arguments of `wandb.init`. None leaves the choice to W&B and its environment variables."""

    mode: Mode
    project: str | None = None
    entity: str | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()
    run_id: str | None = None
    """None: the id of the run's first mirror, so that a resumed run is one run in W&B too."""
    config: Mapping[str, Any] = field(default_factory=dict)
    init_timeout_s: float = 60.0
    """Seconds to wait for the server before recording offline."""

    @classmethod
    def of(cls, config: RunConfig, folder: Path) -> WandbSettings:
        """From the table `[wandb]`, for a run in `folder`, whose name is the default run name."""
        # Imported here, because the mirror, which reads these files too, must start without torch.
        from ganforge.config import dump

        section = config.wandb
        return cls(
            mode=wished_mode(section.mode),
            project=section.project,
            entity=section.entity or None,
            name=section.name or folder.absolute().name,
            tags=section.tags,
            config=dump(config),
        )

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> WandbSettings:
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**data, "tags": tuple(data["tags"])})


@dataclass
class MirrorStatus:
    """The mirror's state and progress."""

    pid: int = 0
    """Id of the mirror that wrote this; another id is left over from before a resume."""
    mode: Literal["starting", "online", "offline", "failed"] = "starting"
    url: str | None = None
    folder: str | None = None
    """Name of this mirror's record folder in RUN/wandb."""
    reason: str | None = None
    """Why the mode differs from the requested one, in one line."""
    finished: bool = False
    images_seen: int = -1
    rows_there: int = 0
    """Number of rows at `images_seen` that are mirrored; all rows before it are."""
    grid_images_seen: int = -1

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> MirrorStatus:
        """The status in `path`; an empty one if there is none."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()
