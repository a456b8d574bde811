"""The configuration of an existing run, and the plugins that it was made with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganforge.api import UserError
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, load
from ganforge.outputs.run_folder import RunFolder


def load_recorded(
    run: RunFolder, registry: Registry, overrides: Sequence[str] = (), file: Path | None = None
) -> RunConfig:
    """The run's config.toml, or `file` in its place. Raises `UserError` for what is wrong in it; if a plugin
    of the run is missing, that says which one to install."""
    try:
        return load(file or run.config, registry, overrides)
    except UserError as error:
        missing = missing_plugins(run, registry)
        if not missing:
            raise
        raise UserError("\n".join(missing)) from error


def missing_plugins(run: RunFolder, registry: Registry) -> list[str]:
    """A line for each plugin that the run was made with and that cannot be used here."""
    try:
        recorded = run.read_info().get("plugins", [])
    except (UserError, OSError):
        return []
    here = {(plugin.name, plugin.distribution) for plugin in registry.plugins}
    broken = {(b.plugin.name, b.plugin.distribution): b for b in registry.broken}
    lines = []
    for plugin in recorded if isinstance(recorded, list) else []:
        if not isinstance(plugin, dict):
            continue
        name, distribution, version = (str(plugin.get(k)) for k in ("name", "distribution", "version"))
        if (name, distribution) in here:
            continue
        made = f"{run.path} was made with plugin '{name}' ({distribution} {version})"
        if (name, distribution) in broken:
            lines.append(f"{made}, which cannot be used here: {broken[name, distribution].reason}")
        else:
            lines.append(
                f"{made}, which is not installed here; install it: pip install {distribution}=={version}"
            )
    return lines
