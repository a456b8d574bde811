"""All mirrors of a run: those of `[[trackers]]`, and the one of `[wandb]`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.outputs.mirror.link import PATIENCE_S, MirrorLink
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from ganforge.api import Tracker
    from ganforge.components.registry import Registry
    from ganforge.config import RunConfig

WANDB = "wandb"


class Mirrors:
    """The mirrors of one session."""

    def __init__(self, links: Sequence[MirrorLink] = ()) -> None:
        self.links = links

    @classmethod
    def start(cls, run: RunFolder, config: RunConfig, registry: Registry, resumed: bool) -> Mirrors:
        """Starts each in the background and returns at once; see `MirrorLink.start`."""
        from ganforge.config import dump

        resolved = dump(config)
        links = [
            MirrorLink.start(run, tracker, folder, resolved, asked=asked)
            for tracker, folder, asked in trackers_of(run, config, registry, resumed)
        ]
        return cls(links)

    def finish(self, patience_s: float | None = None, ok: bool = True) -> list[str]:
        """Ends all records; returns the lines to show. Waits at most `patience_s` seconds for all."""
        end = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
        for link in self.links:
            link.end(ok)
        lines = [link.finish(max(0.0, end - time.monotonic()), ok) for link in self.links]
        return [line for line in lines if line]


def trackers_of(
    run: RunFolder, config: RunConfig, registry: Registry, resumed: bool
) -> Iterator[tuple[Tracker, Path, bool | None]]:
    """Each tracker, its folder, and whether the user asked for it (None: as when the run began)."""
    from ganforge.config import Wandb

    own, named = config.wandb, any(tracker.type == WANDB for tracker in config.trackers)
    told = own != Wandb() or ("wandb" in config.model_fields_set and not resumed)
    kind = registry.of("trackers").get(WANDB)
    # Without the plugin, [wandb] is without effect, as all of its kind.
    if kind is not None and (told or not named):
        # A resumed run reads config.toml, which has the table whether the user wrote it or not.
        tracker: Any = kind(**own.model_dump())
        yield tracker, run.wandb, True if told else None if resumed else False
    counts: dict[str, int] = {}
    for tracker in config.trackers:
        count = counts[tracker.type] = counts.get(tracker.type, 0) + 1
        yield tracker, run.trackers / (tracker.type if count == 1 else f"{tracker.type}-{count}"), True
