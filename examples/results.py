"""Runs examples and writes what came out into the table of examples/README.md.

    python examples/results.py run RUNS toy/wgan_gp_ring8 mnist/infogan=data.root=../data/mnist
    python examples/results.py table RUNS

`run` trains each example into RUNS/<name> (an override may follow each `=`, separated by commas);
`table` reads every run folder in RUNS, so the table holds what was measured and nothing else. Rows of
runs that are not in RUNS stay as they are; to be rid of one, delete its line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

SHOWN = {
    "modes": ("modes hit", "{:.0f}"),
    "high_quality": ("samples within 3 sigma", "{:.1%}"),
    "code_accuracy": ("digits found by the code", "{:.1%}"),
    "condition_accuracy": ("conditions met", "{:.1%}"),
    "frechet_judge_distance": ("Frechet judge distance", "{:.2f}"),
}
"""Metric -> how the table calls it and writes it."""


def run(runs: Path, wanted: list[str]) -> None:
    """Trains each example that is not in `runs` yet."""
    for entry in wanted:
        name, *overrides = entry.split("=", 1)
        settings = [part for each in overrides for part in each.split(",")]
        folder = runs / "-".join(
            [name.replace("/", "-"), *(s.rpartition("=")[2] for s in settings if "root" not in s)]
        )
        if folder.exists():
            continue
        arguments = [part for setting in settings for part in ("--set", setting)]
        command = ["ganforge", "run", str(HERE / f"{name}.toml"), "--out", str(folder), *arguments]
        subprocess.run([sys.executable, "-m", *command], check=True)


HEAD = ["| run | result | images | time | device | seed |", "|---|---|---|---|---|---|"]


def table(runs: Path, before: str = "") -> str:
    """One row for each run folder in `runs`, and those of other runs in the table `before`."""
    lines: dict[str, str] = {}
    for line in before.splitlines():
        name = line.strip("|").split("|")[0].strip()
        if name.strip("-: ") not in ("", "run"):
            lines[name] = line
    for folder in sorted(path.parent for path in runs.glob("*/run.json")):
        info = json.loads((folder / "run.json").read_text())
        config = tomllib.loads((folder / "config.toml").read_text())
        log = folder / "metrics.jsonl"
        rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        if not rows:
            continue  # has only just been started
        seconds = max(row.get("seconds", 0.0) for row in rows)
        images = f"{rows[-1]['images_seen']:,}"
        cells = [folder.name, results(folder, rows), images, f"{seconds / 60:.0f} min", device(folder, info)]
        lines[folder.name] = f"| {' | '.join(cells)} | {config['train']['seed']} |"
    return "\n".join([*HEAD, *(lines[name] for name in sorted(lines))])


def results(folder: Path, rows: list[dict[str, Any]]) -> str:
    """The last value of each metric that the table shows, evaluations before training's own."""
    values: dict[str, float] = {}
    for row in rows:
        values |= {
            key.removeprefix("metric/"): value for key, value in row.items() if key.startswith("metric/")
        }
    evaluations = folder / "evaluations.jsonl"
    for line in evaluations.read_text().splitlines() if evaluations.exists() else []:
        for metric in json.loads(line)["metrics"]:
            values |= metric["values"]
    shown = []
    for name, (title, form) in SHOWN.items():
        if name in values:
            spread = f" ± {form.format(values[name + '_std'])}" if name + "_std" in values else ""
            shown.append(f"{title}: {form.format(values[name])}{spread}")
    return "; ".join(shown) or "see its grids"


def device(folder: Path, info: dict[str, Any]) -> str:
    """What the run computed on: the GPU, or how many of the CPU's threads."""
    if info["device"] != "cpu":
        return str(info.get("gpu") or info["device"])
    used, there = info["cpu"].get("used") or in_checkpoint(folder), info["cpu"]["threads"]
    # Torch takes no more of its own accord.
    return f"at most {there} CPU threads" if used is None else f"{used} of {there} CPU threads"


def in_checkpoint(folder: Path) -> int | None:
    """The threads that the newest checkpoint tells of, for runs whose run.json does not."""
    manifests = sorted(folder.glob("checkpoints/*/manifest.json"))
    if not manifests:
        return None
    stamp = json.loads(manifests[-1].read_text())["state"].get("stamp", {})
    threads = stamp.get("surroundings", {}).get("threads")
    return None if threads is None else int(threads)


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in ("run", "table"):
        sys.exit("expected: python examples/results.py run RUNS EXAMPLE ...  (or: table RUNS)")
    verb, runs, *wanted = sys.argv[1:]
    if verb == "run":
        run(Path(runs), wanted)
    page = HERE / "README.md"
    text = page.read_text()
    above, rest = text.split(BEGIN)
    before, below = rest.split(END)
    page.write_text(f"{above}{BEGIN}\n{table(Path(runs), before)}\n{END}{below}")


if __name__ == "__main__":
    main()
