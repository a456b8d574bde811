"""Compares runs setting by setting: writes the table of an ablation into examples/README.md.

    python examples/ablation.py RUN RUN[=OTHER] ...

A run is compared with the first one, or with the run OTHER. A row holds what a run folder has recorded: the
settings that differ, the evaluation with its judge, images, time, device and seed. There is one row for each
evaluated checkpoint. Paths are left out, as they change no result.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import run_folders
from run_folders import ABSENT, differences, read_config, read_rows

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- ablation: begin -->", "<!-- ablation: end -->"
HEAD = [
    "| run | settings | result | judge | images | time | device | seed |",
    "|---|---|---|---|---|---|---|---|",
]
LEFT_OUT = (*run_folders.LEFT_OUT, "train.images")
"""The length has a column of its own."""


def changes(folder: Path, other: Path) -> str:
    """The settings that differ from those of the run `other`, as they are here."""
    before, now = (run_folders.settings(read_config(each), LEFT_OUT) for each in (other, folder))
    differ = [
        f"`{key} {'absent' if value is ABSENT else json.dumps(value)}`"
        for key, value in differences(before, now).items()
    ]
    return ", ".join(differ) or "-"


def rows(folder: Path, other: Path, shown_as: str = "") -> list[str]:
    """A row for each checkpoint that was evaluated, with its latest evaluation; `shown_as`: what the settings
    of the run `other` are called in front of what differs from them."""
    info = json.loads((folder / "run.json").read_text())
    seed = str(read_config(folder)["train"]["seed"])
    log, evaluations = read_rows(folder / "metrics.jsonl"), read_rows(folder / "evaluations.jsonl")
    settings = f"{shown_as}{changes(folder, other)}"
    found = []
    for images, record in sorted({each["images_seen"]: each for each in evaluations}.items()):
        cells = [
            *(folder.name, settings, results(record), run_folders.judges(record["metrics"])),
            *(f"{images:,}", run_folders.minutes(log, images), run_folders.device(info), seed),
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


def table(runs: list[str]) -> str:
    """The rows of all runs, in their order; each is RUN, or RUN=OTHER."""
    lines = list(HEAD)
    for each in runs:
        folder, given, other = each.partition("=")
        lines += rows(Path(folder), Path(other or runs[0]), f"{Path(other).name}, and " if given else "")
    return "\n".join(lines)


def main() -> None:
    if not sys.argv[1:]:
        sys.exit("expected run folders: python examples/ablation.py RUN RUN[=OTHER] ...")
    page = HERE / "README.md"
    page.write_text(run_folders.replaced(page.read_text(), BEGIN, END, table(sys.argv[1:])))


if __name__ == "__main__":
    main()
