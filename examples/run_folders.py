"""What the tables of examples/README.md take from run folders: settings, judges, devices, times."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

LEFT_OUT = ("logging", "wandb", "trackers", "metrics", "data.root", "data.download")
"""Settings that are no part of a method."""
ABSENT = object()


def flat(table: Any, path: str = "") -> dict[str, Any]:
    """Dotted key -> value, of nested tables and lists of tables."""
    if isinstance(table, dict) and table:
        members = table.items()
    elif isinstance(table, list) and any(isinstance(each, dict) for each in table):
        members = {str(position): each for position, each in enumerate(table)}.items()
    else:
        return {path: table}
    return {
        key: value
        for name, each in members
        for key, value in flat(each, f"{path}.{name}" if path else name).items()
    }


def settings(config: dict[str, Any], left_out: tuple[str, ...] = LEFT_OUT) -> dict[str, Any]:
    """Dotted key -> value, of a run file's settings that can change its result."""
    return {
        key: value
        for key, value in flat(config).items()
        if not f"{key}.".startswith(tuple(f"{k}." for k in left_out))
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The settings `now` that are not those of `before`, by key; `ABSENT` for those that are gone. Absolute
    paths change no result, and are left out."""
    return {
        key: now.get(key, ABSENT)
        for key in sorted(now.keys() | before.keys())
        if before.get(key, ABSENT) != now.get(key, ABSENT)
        and not _is_path(before.get(key))
        and not _is_path(now.get(key))
    }


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and Path(value).is_absolute()


def read_config(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "config.toml").read_text())


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file; none if there is no file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def judges(metrics: list[dict[str, Any]]) -> str:
    """The judges of an evaluation: first digits of the hash of the weights, and their accuracy on held-out
    real images."""
    found = {metric["files"]["judge"]["sha256"][:8]: metric["files"]["judge"]["accuracy"]["accuracy"]
             for metric in metrics if "judge" in metric.get("files", {})}  # fmt: skip
    return "; ".join(f"{name}, {accuracy:.1%}" for name, accuracy in found.items())


def minutes(rows: list[dict[str, Any]], images: int) -> str:
    """Wall time of a run until it had seen `images`."""
    seconds = max((row.get("seconds", 0.0) for row in rows if row["images_seen"] <= images), default=0.0)
    return f"{seconds / 60:.0f} min"


def device(info: dict[str, Any]) -> str:
    """What a run computed on, from its run.json: the GPU, or how many of the CPU's threads."""
    if info.get("gpu"):
        return str(info["gpu"])
    used, there = info["cpu"].get("used"), info["cpu"]["threads"]
    # Torch takes no more of its own accord.
    return f"at most {there} CPU threads" if used is None else f"{used} of {there} CPU threads"


def replaced(page: str, begin: str, end: str, table: str) -> str:
    """`page` with `table` between the two markers."""
    above, rest = page.split(begin)
    _, below = rest.split(end)
    return f"{above}{begin}\n{table}\n{end}{below}"
