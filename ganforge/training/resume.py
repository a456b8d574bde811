"""What a resumed run continues from, and whether it continues exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ganforge.api import UserError
from ganforge.components.faults import one_line
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, dump, validate
from ganforge.config.drift import MAY_CHANGE, Change, changes, within
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.checkpoint.environment import differences, inexact
from ganforge.engine.loop import Loop
from ganforge.outputs.events import cut
from ganforge.outputs.metrics_log import truncate_after
from ganforge.outputs.run_folder import RunFolder

RENAMED = {"plugin training": ("plugin callbacks", "plugin optimizers", "plugin priors")}
"""Names in the environment of older checkpoints -> current names."""


def renamed(then: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """The environment `then`, of an older checkpoint, with the names of `now`."""
    found = dict(then)
    for old, names in RENAMED.items():
        if old in found:
            found |= dict.fromkeys([name for name in names if name in now], found.pop(old))
    return found


@dataclass(frozen=True)
class Saved:
    """The newest readable checkpoint of a run, checked against the settings to resume with."""

    folder: RunFolder
    config: RunConfig
    """Settings to resume with."""
    tensors: checkpoint.Tensors
    state: Mapping[str, Any]
    drift: Sequence[Change]
    """Settings that differ from those of the checkpoint, as allowed by the user."""
    surroundings: Mapping[str, str]
    """Device, versions, data and threads before; empty if the checkpoint does not record them."""

    @classmethod
    def load(
        cls,
        folder: RunFolder,
        config: RunConfig,
        registry: Registry,
        allowed: Sequence[str],
        say: Callable[[str], None],
    ) -> Saved:
        """Raises `UserError` if there is none, and with one line per setting that differs and is neither
        free to change nor `allowed`."""
        tensors, state = checkpoint.load_newest(folder.checkpoints, say)
        if state.get("published"):
            raise UserError(
                f"{folder.path} was exported without training state, so it can be sampled but not resumed; "
                "resume the run that it was exported from"
            )
        # With the current defaults for newer keys; a checkpoint of format 1 does not record it.
        document = state["stamp"].get("config")
        before = validate(
            folder.read_config() if document is None else document,
            registry,
            file=f"{folder.path}, as checkpointed",
        )
        drift = changes(before, config)
        refused = [change for change in drift if not within(change.key, allowed)]
        if refused:
            lines = "".join(f"\n  {change}" for change in refused)
            options = " ".join(f"--override {change.key}" for change in refused)
            raise UserError(
                f"{folder.path} can only be resumed with its own settings; these differ:{lines}\n"
                f"start a new run for other settings, or allow them with {options}; the run is then no "
                f"longer exact (free to change: {', '.join(MAY_CHANGE)}, and paths of files)"
            )
        return cls(folder, config, tensors, state, drift, state["stamp"].get("surroundings", {}))

    def retain(self, keep: int) -> None:
        """Deletes older checkpoints, if the run was killed after it had written its newest and before it did.
        Where that one is damaged, the older ones are what is left."""
        newest = checkpoint.complete(self.folder.checkpoints)[-1]
        if int(newest.name) == self.state["images_seen"]:
            checkpoint.retain(self.folder.checkpoints, keep, self.state)

    def restore(self, loop: Loop) -> str:
        """Restores the state into a stamped loop and, in the main process, truncates the folder's files to it
        and adds an entry to `resumes` in run.json. Returns the line that says how the run continues.

        Raises `UserError` if the checkpoint is of other networks.
        """
        try:
            loop.restore(self.tensors, self.state)
        except checkpoint.MISFITS as error:
            raise self.folder.misfit(one_line(error)) from error
        because = [f"{change.key} was {change.old} and is {change.new}" for change in self.drift]
        now = loop.stamp["surroundings"]
        because += differences(renamed(self.surroundings, now), now)
        because += self.state.get("undeclared", ())
        because += inexact(self.config.train, loop.game.runtime.device)
        if loop.game.runtime.is_main:
            truncate_after(self.folder.metrics, loop.images_seen, loop.owes_metrics)
            loop.events = cut(self.folder.events, self.state.get("events"), loop.images_seen)
            self.folder.write_config(dump(self.config))
            entry = {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "images_seen": loop.images_seen,
                "not_exact_because": because,
            }
            self.folder.update_info({"resumes": [*self.folder.read_info().get("resumes", []), entry]})
        how = f"continues at {loop.images_seen:,} images; not exact, because: {'; '.join(because)}"
        return how if because else f"continues exactly at {loop.images_seen:,} images"
