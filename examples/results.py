"""Runs examples and writes what came out into the tables of examples/README.md, one for each task.

    python examples/results.py run RUNS toy/wgan_gp_ring8 mnist/infogan=data.root=../data/mnist
    python examples/results.py table RUNS

`run` trains each example into RUNS/<name> (an override may follow each `=`, separated by commas);
`table` reads every run folder in RUNS, so the tables hold what was measured and nothing else. Rows of
runs that are not in RUNS stay as they are; to be rid of one, delete its line. In a table the rows of one
judge are together, best first. Below it is a picture: the newest grid of the best run that has one.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import measures
import run_folders
from PIL import Image

from ganforge.components.registry import discover
from ganforge.config.load import dump, from_tables, load

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
HEAD = [
    "| run | result | judge | images | time | device | seed | command |",
    "|---|---|---|---|---|---|---|---|",
]
MAX_BYTES = 300_000
"""Of a picture."""
SMALL, MAX_WIDTH = 400, 540
"""Pixels: pictures narrower than the first are shown at twice their size, none wider than the second."""


@dataclass
class Task:
    """A table: the cells of its rows by name of the run, and the lines of its picture."""

    rows: dict[str, list[str]] = field(default_factory=dict)
    picture: list[str] = field(default_factory=list)


def run(runs: Path, wanted: list[str]) -> None:
    """Trains each example that is not in `runs` yet."""
    for entry in wanted:
        name, *overrides = entry.split("=", 1)
        changed = [part for each in overrides for part in each.split(",")]
        folder = runs / "-".join(
            [name.replace("/", "-"), *(s.rpartition("=")[2] for s in changed if "root" not in s)]
        )
        if folder.exists():
            continue
        arguments = [part for setting in changed for part in ("--set", setting)]
        command = ["ganforge", "run", str(HERE / f"{name}.toml"), "--out", str(folder), *arguments]
        subprocess.run([sys.executable, "-m", *command], check=True)


def tables(runs: Path, before: str) -> str:
    """The tables of all tasks: those in `before`, with a row for each run folder in `runs`."""
    tasks = parsed(before)
    for folder in sorted(path.parent for path in runs.glob("*/run.json")):
        found = row(folder)
        if found is None:
            continue
        for each in tasks.values():
            each.rows.pop(folder.name, None)
        title, cells = found
        tasks.setdefault(title, Task()).rows[folder.name] = cells
    parts = []
    for title, each in tasks.items():
        if each.rows:
            cells_of = measures.ranked(list(each.rows.values()))
            lines = [f"| {' | '.join(cells)} |" for cells in cells_of]
            shown = picture(title, [name_of(cells[0]) for cells in cells_of], each.picture, runs)
            parts.append("\n".join([f"### {title}", "", *HEAD, *lines, *shown]))
    return "\n\n".join(parts)


def parsed(text: str) -> dict[str, Task]:
    """The tasks of the tables in `text`, by title."""
    tasks: dict[str, Task] = {}
    for line in text.splitlines():
        if line.startswith("### "):
            tasks[line.removeprefix("### ")] = Task()
        elif line.startswith(("<img", "*`")):
            tasks[list(tasks)[-1]].picture.append(line)
        elif line.startswith("|") and line not in HEAD:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            tasks[list(tasks)[-1]].rows[name_of(cells[0])] = cells
    return tasks


def name_of(cell: str) -> str:
    """The name of a run, without its link."""
    return cell.removeprefix("[").partition("]")[0]


def row(folder: Path) -> tuple[str, list[str]] | None:
    """The task of a run and the cells of its row; None where nothing has been measured."""
    info, config = json.loads((folder / "run.json").read_text()), run_folders.read_config(folder)
    log = run_folders.read_rows(folder / "metrics.jsonl")
    images, values, metrics = measures.measured(log, run_folders.read_rows(folder / "evaluations.jsonl"))
    result = measures.result(values)
    if not result:
        return None
    example, command = origin(info["command"], config)
    return measures.task(config["data"], values), [
        f"[{folder.name}]({example})",
        *(result, run_folders.judges(metrics) or "-", f"{images:,}", run_folders.minutes(log, images)),
        *(run_folders.device(info), str(config["train"]["seed"]), command),
    ]


def origin(typed: list[str], config: dict[str, Any]) -> tuple[str, str]:
    """The example of a run, and what to change in it.

    It is the one with the fewest differences; of several, the one that the command `typed` names.
    """
    now = run_folders.settings(dump(from_tables(config, registry(), {})))
    named = {name for name in examples() if any(part.endswith(f"examples/{name}") for part in typed)}
    differ = {name: run_folders.differences(settings, now) for name, settings in examples().items()}
    nearest = min(differ, key=lambda name: (len(differ[name]), name not in named))
    changed = [
        f"`{key}` absent" if value is run_folders.ABSENT else f"`--set {key}={json.dumps(value)}`"
        for key, value in differ[nearest].items()
    ]
    return nearest, ", ".join(changed) or "as it is"


@functools.cache
def examples() -> dict[str, dict[str, Any]]:
    """The settings of each example, every default filled in, by its path in this folder."""
    files = sorted(set(HERE.rglob("*.toml")) - set(HERE.glob("sweeps/*")))
    return {
        file.relative_to(HERE).as_posix(): run_folders.settings(dump(load(file, registry())))
        for file in files
    }


registry = functools.cache(discover)


def picture(title: str, best_first: list[str], before: list[str], runs: Path) -> list[str]:
    """The lines of a task's picture: of the best run that has a grid in `runs`, or has the picture in
    `before` already."""
    for name in best_first:
        grids = sorted((runs / name).glob("grids/*.png"))
        if grids:
            grid = newest(runs / name, grids)
            file = HERE.parent / "docs" / "results" / f"{re.sub('[^a-z0-9]+', '-', title.lower())}.png"
            width = write(grid, file)
            alt = f"Samples of {name}"
            return [
                "",
                f'<img src="../docs/results/{file.name}" width="{width}" alt="{alt}">',
                "",
                f"*`{name}` after {int(grid.stem):,} images; fixed latents, not selected.*",
            ]
        if any(line.startswith(f"*`{name}`") for line in before):
            return ["", before[0], "", before[1]]
    return []


def newest(folder: Path, grids: list[Path]) -> Path:
    """The last of `grids` that the row of the run in `folder` can show: a run may have gone on since."""
    log, evaluations = (
        run_folders.read_rows(folder / f"{file}.jsonl") for file in ("metrics", "evaluations")
    )
    images, _, _ = measures.measured(log, evaluations)
    return [grid for grid in grids if int(grid.stem) <= images][-1]


def write(grid: Path, file: Path) -> int:
    """Copies a picture, smaller if it has more than `MAX_BYTES`; returns the width to show it at."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.open(grid).convert("RGB")
    image.save(file, optimize=True)
    while file.stat().st_size > MAX_BYTES:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
        image.save(file, optimize=True)
    return min(image.width * (2 if image.width < SMALL else 1), MAX_WIDTH)


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in ("run", "table"):
        sys.exit("expected: python examples/results.py run RUNS EXAMPLE ...  (or: table RUNS)")
    verb, runs, *wanted = sys.argv[1:]
    if verb == "run":
        run(Path(runs), wanted)
    page = HERE / "README.md"
    text = page.read_text()
    before = text.partition(BEGIN)[2].partition(END)[0]
    page.write_text(run_folders.replaced(text, BEGIN, END, tables(Path(runs), before)))


if __name__ == "__main__":
    main()
