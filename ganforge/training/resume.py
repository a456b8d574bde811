"""Whether a resumed run goes on exactly: its settings and surroundings against those it had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ganforge.api import UserError
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, validate
from ganforge.config.drift import MAY_CHANGE, Change, changes, within
from ganforge.outputs.run_folder import RunFolder


def settings_before(run: RunFolder, state: Mapping[str, Any], registry: Registry) -> RunConfig:
    """The settings that the checkpoint was written under, with the defaults of today for keys that
    there were not yet; those of config.toml where the checkpoint does not say."""
    known = state["stamp"].get("config")
    document = run.read_config() if known is None else known
    return validate(document, registry, file=f"{run.path}, as checkpointed")


def refuse_drift(
    run: RunFolder, before: RunConfig, now: RunConfig, allowed: Sequence[str]
) -> Sequence[Change]:
    """The differences in settings, all of them `allowed` by the user. Raises `UserError` with a line
    for each that is not."""
    found = changes(before, now)
    refused = [change for change in found if not within(change.key, allowed)]
    if refused:
        lines = "".join(f"\n  {change}" for change in refused)
        options = " ".join(f"--override {change.key}" for change in refused)
        raise UserError(
            f"{run.path} goes on with the settings it has; these differ:{lines}\n"
            f"start a new run for other settings, or allow them with {options}; the run is then no longer "
            f"exact (free to change: {', '.join(MAY_CHANGE)}, and where files lie)"
        )
    return found


def remark(images_seen: int, because: Sequence[str]) -> str:
    """The line that says how a run goes on."""
    if because:
        return f"continues at {images_seen:,} images; not exact, because: {'; '.join(because)}"
    return f"continues exactly at {images_seen:,} images"


def record(run: RunFolder, images_seen: int, because: Sequence[str]) -> None:
    """Adds this continuation to `resumes` in run.json."""
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "images_seen": images_seen,
        "not_exact_because": list(because),
    }
    run.update_info({"resumes": [*run.read_info().get("resumes", []), entry]})
