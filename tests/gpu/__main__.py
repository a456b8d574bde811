"""Everything that is claimed of a GPU, measured on this one.

    cd tests && python -m gpu --out FOLDER [--data FOLDER] [--minutes 10]

Tests (`pytest -m gpu`), exact resume, the table of speeds, and a short training on real images, in this
order; what the time does not suffice for is left out, and said. Writes report.md and report.json.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import torch

from benchmarks.settings import machine
from gpu import exact, speed
from support.paths import ROOT

PARTS = ("tests", "exact", "speed", "training")


class Report:
    """What was found so far, on the disk after each part."""

    def __init__(self, folder: Path, device: str) -> None:
        self.folder = folder
        self.found: dict[str, Any] = {"machine": machine(torch.device(device))}
        self.text = [
            f"# Measured on {self.found['machine']['gpu'] or self.found['machine']['processor']}",
            "",
        ]

    def add(self, name: str, found: Any, text: str) -> None:
        self.found[name] = found
        self.text += [f"## {name}", "", text, ""]
        click.echo(f"== {name}\n{text}", nl=True)
        (self.folder / "report.json").write_text(json.dumps(self.found, indent=1) + "\n")
        (self.folder / "report.md").write_text("\n".join(self.text))


def run_tests(workers: int) -> str:
    """The closing lines of `pytest -m gpu`."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "--tb=short", "-p", "no:cacheprovider"]
    command += ["-n", str(workers)] if workers else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    start = next((at for at, line in enumerate(lines) if "FAILURES" in line), len(lines) - 12)
    return "\n".join(["```", *lines[max(0, start) :][:120], "```"])


def run_exact(folder: Path, data: Path | None, device: str, iterations: int) -> list[dict[str, Any]]:
    """Each case, some side by side."""

    def one(name: str) -> dict[str, Any]:
        try:
            return exact.measure(name, folder, data, iterations, device=device)
        except RuntimeError as error:
            return {"case": name, "failed": str(error)}

    # Scenes are drawn where there are no data, digits are not.
    names = [name for name, (example, _) in exact.CASES.items() if data is not None or "mnist" not in example]
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(one, names))


def run_training(out: Path, data: Path | None, device: str, seconds: float) -> str:
    """The main example, for that long: its last row of the log, and its last grid as grid.png."""
    settings = ["wandb.mode=disabled", f"train.device={device}", "logging.every=20_000"]
    settings += ["train.precision=bf16"] if device == "cuda" else []
    settings += [f"data.root={data / 'iclevr'}"] if data is not None else []
    with TemporaryDirectory() as place:
        words = ["run", ROOT / "examples" / "cgan_iclevr.toml", "--out", Path(place, "run")]
        minutes = ["--max-minutes", f"{seconds / 60:.3f}"]
        command = [sys.executable, "-m", "ganforge", *map(str, words), *exact.sets(*settings), *minutes]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        rows = Path(place, "run", "metrics.jsonl").read_text().splitlines()
        grids = sorted(Path(place, "run", "grids").rglob("*.png"))
        if grids:
            shutil.copy(grids[-1], out / "grid.png")
    return "\n".join(["```", f"exit code {done.returncode}", rows[-1], *done.stderr.splitlines()[-5:], "```"])


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the report.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder with iclevr/ and mnist/; else drawn images."
)
@click.option("--minutes", default=10.0, help="Whatever has not started by then is skipped.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Parts; repeatable.  [default: all]")
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", help="cpu: to try this script.")
@click.option("--seconds", default=2.0, help="For each way of each work.")
def main(
    out: Path, data: Path | None, minutes: float, only: tuple[str, ...], device: str, seconds: float
) -> None:
    """Measure what is claimed of a GPU."""
    out, end = out.absolute(), time.monotonic() + 60 * minutes
    data = None if data is None else data.absolute()
    out.mkdir(parents=True, exist_ok=True)
    report, parts = Report(out, device), only or PARTS
    small = device == "cpu"
    if "tests" in parts:
        closing = run_tests(0 if small else 6)
        report.add("tests", closing, closing)
    with TemporaryDirectory() as place:
        if "exact" in parts:
            resumed = run_exact(Path(place), data, device, 4 if small else 60)
            report.add("exact", resumed, "\n".join(f"- {each}" for each in resumed))
        results: list[dict[str, Any]] = []
        cases = speed.CASES[3:4] if small else speed.CASES
        for found in speed.measure(cases, device, seconds, full=not small) if "speed" in parts else ():
            results.append(found)
            report.add("speed", results, speed.table(results))
            if time.monotonic() > end:
                click.echo(f"no time for the other {len(cases) - len(results)} cases")
                break
        left = end - time.monotonic()
        if "training" in parts and left > 0:
            text = run_training(out, data, device, min(left, 120.0))
            report.add("training", text, text)


if __name__ == "__main__":
    main()
