"""Compares runs setting by setting: writes the table of an ablation into examples/README.md.

    python examples/ablation.py RUN RUN ...

The first run is what the others are compared with. A row holds what a run folder has recorded: the settings
that differ, the evaluation with its judge, images, time, device and seed. There is one row for each
evaluated checkpoint. Paths are left out, as they change no result.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- ablation: begin -->", "<!-- ablation: end -->"
HEAD = [
    "| run | settings | result | judge | images | time | device | seed |",
    "|---|---|---|---|---|---|---|---|",
]
LEFT_OUT = ("train.images", "logging", "wandb", "trackers", "data.root", "metrics")
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


def settings(folder: Path) -> dict[str, Any]:
    """Those of the run in `folder` that can change its result."""
    found = flat(tomllib.loads((folder / "config.toml").read_text()))
    return {
        key: value
        for key, value in found.items()
        if not f"{key}.".startswith(tuple(f"{k}." for k in LEFT_OUT))
    }


def changes(folder: Path, first: Path) -> str:
    """The settings that differ from those of the run `first`, as they are here."""
    before, now = settings(first), settings(folder)
    differ = []
    for key in sorted(now.keys() | before.keys()):
        old, new = before.get(key, ABSENT), now.get(key, ABSENT)
        if old != new and not _is_path(old) and not _is_path(new):
            differ.append(f"{key} {'absent' if new is ABSENT else json.dumps(new)}")
    return ", ".join(f"`{each}`" for each in differ) or "-"


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and Path(value).is_absolute()


def rows(folder: Path, first: Path) -> list[str]:
    """A row for each checkpoint that was evaluated, with its latest evaluation."""
    info = json.loads((folder / "run.json").read_text())
    config = tomllib.loads((folder / "config.toml").read_text())
    log = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    evaluations = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    found = []
    for images, record in sorted({each["images_seen"]: each for each in evaluations}.items()):
        judges = {m["files"]["judge"]["sha256"][:8]: m["files"]["judge"]["accuracy"]["accuracy"]
                  for m in record["metrics"] if "judge" in m.get("files", {})}  # fmt: skip
        seconds = max((row.get("seconds", 0.0) for row in log if row["images_seen"] <= images), default=0.0)
        used = info["cpu"].get("used") or info["cpu"]["threads"]
        on = info["gpu"] or f"{used} of {info['cpu']['threads']} CPU threads"
        cells = [
            *(folder.name, changes(folder, first), results(record)),
            "; ".join(f"{name}, {accuracy:.1%}" for name, accuracy in judges.items()),
            *(f"{images:,}", f"{seconds / 60:.0f} min", on, str(config["train"]["seed"])),
        ]
        found.append(f"| {' | '.join(cells)} |")
    return found


def results(record: dict[str, Any]) -> str:
    """The accuracies of an evaluation, with their deviation over seeds."""
    shown = []
    for metric in record["metrics"]:
        for name, value in metric["values"].items():
            if name.endswith("_accuracy"):
                spread = metric["values"].get(f"{name}_std")
                over = f" ± {spread:.1%} ({len(metric['seeds'])} seeds)" if spread is not None else ""
                shown.append(f"{name.removesuffix('_accuracy')} {value:.1%}{over}")
    return "; ".join(shown)


def table(folders: list[Path]) -> str:
    """The rows of all runs, in their order."""
    return "\n".join([*HEAD, *(row for folder in folders for row in rows(folder, folders[0]))])


def main() -> None:
    if not sys.argv[1:]:
        sys.exit("expected run folders: python examples/ablation.py RUN RUN ...")
    page = HERE / "README.md"
    above, rest = page.read_text().split(BEGIN)
    _, below = rest.split(END)
    page.write_text(f"{above}{BEGIN}\n{table([Path(each) for each in sys.argv[1:]])}\n{END}{below}")


if __name__ == "__main__":
    main()
