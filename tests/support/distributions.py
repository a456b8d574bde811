"""Plugins that are not installed, for processes that a test starts."""

from __future__ import annotations

import tomllib
from pathlib import Path

from support.paths import ROOT


def install(site: Path, name: str, version: str, entries: dict[str, str]) -> None:
    """Writes what pip writes about the distribution `name`; its modules are found on the path."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{plugin} = {module}\n" for plugin, module in entries.items()]
    (info / "entry_points.txt").write_text("".join(["[ganforge]\n", *lines]))


def install_ours(site: Path, name: str) -> None:
    """The distribution in `plugins/<name>`, as its pyproject.toml declares it, with its package."""
    folder = ROOT / "plugins" / name
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    install(site, name, str(project.get("version", "0")), project["entry-points"]["ganforge"])
    package = name.replace("-", "_")
    (site / package).symlink_to(folder / package, target_is_directory=True)
