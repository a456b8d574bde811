"""`cd tests && python -m experiments.cases [NAME...]`: folders, label files and run files as people bring them.

Each case is copied, run as its README says, and compared with what is right. Prints a line for each;
exit code 1 if one is wrong.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from support.command_line import Done
from support.forked import forked
from support.paths import ROOT

CASES = Path(os.environ.get("GANFORGE_CASES", ROOT.parent / "shared" / "cases")) / "inputs"


@dataclass(frozen=True)
class Step:
    """A command, its exit code, and texts that it prints; `lacks` are texts that it does not."""

    command: str
    code: int = 0
    prints: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ("Traceback",)

    def fault(self, done: Done) -> str:
        """What is wrong with how it ended; empty if nothing is."""
        text = done.out + done.err
        if done.code != self.code:
            return f"'{self.command}' ended with {done.code}, expected {self.code}: {text.strip()[-200:]}"
        missing = [each for each in self.prints if each not in text]
        extra = [each for each in self.lacks if each in text]
        if missing or extra:
            return f"'{self.command}' printed {text.strip()[-400:]!r}: missing {missing}, unexpected {extra}"
        return ""


def run(*prints: str, code: int = 0) -> tuple[Step, ...]:
    return (Step("run run.toml", code, prints),)


def check(*prints: str, code: int = 0, lacks: tuple[str, ...] = ()) -> tuple[Step, ...]:
    return (Step("check run.toml", code, prints, ("Traceback", *lacks)),)


@dataclass(frozen=True)
class Case:
    """Commands in order; `prepare` is called before with the folder and gives the folder to run in,
    `inspect` after, and gives what is wrong."""

    steps: tuple[Step, ...]
    prepare: Callable[[Path], Path] = lambda place: place
    inspect: Callable[[Path], str] = lambda place: ""
    faults: list[str] = field(default_factory=list)


def cached(place: Path) -> list[np.ndarray]:
    """The decoded images of each entry of the cache, `[N, H, W, C]` or `[N, C, H, W]`, uint8."""
    return [np.load(entry) for entry in sorted((place / "cache" / "ganforge").glob("*.npy"))]


def mean_of(expected: float) -> Callable[[Path], str]:
    """The mean of all pixels is this, to 1 of 255."""

    def inspect(place: Path) -> str:
        mean = float(cached(place)[0].mean())
        return "" if abs(mean - expected) < 1 else f"mean pixel {mean:.1f}, expected {expected:.1f}"

    return inspect


def alike(place: Path) -> str:
    """The pictures that are not half-transparent all over show one shape on white."""
    images = cached(place)[0]
    images = images if images.shape[-1] == 3 else images.transpose(0, 2, 3, 1)
    corners = images[[0, 1, 2, 4, 5], 0, 0].min()
    return "" if corners >= 250 else f"corners as dark as {corners}, expected 255"


def relinked(place: Path) -> Path:
    """Links that a copy turned into files with the target's path become links again."""
    for file in [*place.glob("data/*"), place / "linkroot"]:
        if file.is_file() and not file.is_symlink():
            target = file.read_text()
            file.unlink()
            file.symlink_to(target)
    return place


def latin_1_class(place: Path) -> Path:
    os.rename(os.fsencode(place / "data" / "cafe"), os.fsencode(place / "data") + b"/caf\xe9")
    return place


def latin_1_folder(place: Path) -> Path:
    moved = os.fsencode(place.parent) + b"/caf\xe9"
    os.rename(os.fsencode(place), moved)
    return Path(os.fsdecode(moved))


def no_runs(place: Path) -> str:
    return "a half-made run folder is left" if (place / "runs" / "run").exists() else ""


def one_time(place: Path) -> Path:
    for file in [*place.glob("A/**/*"), *place.glob("B/**/*")]:
        os.utime(file, (0, 0))
    return place


def red_and_blue(place: Path) -> str:
    means = [
        images.reshape(-1, 3).mean(0) if images.shape[-1] == 3 else images.mean((0, 2, 3))
        for images in cached(place)
    ]
    return (
        ""
        if len(means) == 2 and {int(np.argmax(mean)) for mean in means} == {0, 2}
        else f"{len(means)} entries: {means}"
    )


def no_nan(place: Path) -> str:
    rows = (place / "runs" / "run" / "metrics.jsonl").read_text()
    return "a value is not finite" if "nonfinite" in rows or "NaN" in rows else ""


def a_jpeg(place: Path) -> str:
    with Image.open(place / "grid.jpg") as image:
        return "" if image.format == "JPEG" else f"grid.jpg is {image.format}"


THREE = "data: 3 images in"
CASES_BY_NAME: dict[str, Case] = {
    "01-rgba-transparent": Case(run("6 images have transparency, composed on #ffffff"), inspect=alike),
    "06-other-extensions": Case(run("data: 10 images in")),
    "11-symlinks": Case(
        (
            Step("run run.toml", 2, ('names = ["bird", "cat", "dog"]',)),
            Step("run names.toml", 0, ("data: 12 images in",)),
            Step("run nolabels.toml", 0, ("data: 12 images in",)),
        ),
        relinked,
    ),
    "21-csv-semicolon": Case(run(THREE)),
    "21b-csv-tab": Case(run(THREE)),
    "23b-trailing-space-label": Case(run(THREE)),
    "23c-header-space": Case(run(THREE)),
    "24-csv-pandas-index": Case(run(THREE, "a column '' of row numbers is not used")),
    "32-csv-quoted": Case(
        (
            *run(THREE),
            Step("sample runs/run --condition 'red, dark' --n 2 --out a.png"),
            Step("sample runs/run --conditions c.json --out b.png", 0, ("2 samples",)),
        )
    ),
    "33f-follow-advice": Case(run('names = ["0", "1"]', code=2)),
    "33g-follow-advice2": Case(run("'target' is one label", 'label_kind = "one_of_k"')),
    "34b-csv-multi-truefalse": Case(run(THREE)),
    "34c-csv-multi-10": Case(run(THREE)),
    "34d-csv-multi-in-cell": Case(run('names = ["big", "blue", "green", "red"]', code=2)),
    "34e-csv-blank-label": Case(run(THREE)),
    "35-csv-backslash": Case(run(THREE)),
    "40b-json-dup-silent": Case(run("labels.json:1: lists 'r.png' a second time", code=2)),
    "42-json-stylegan": Case(run('names = ["0", "1", "2"]', code=2)),
    "46-metadata-jsonl": Case(run(THREE)),
    "48-nfd-folders": Case(run("data: 2 images in")),
    "54-three-corrupt": Case(run("3 of 9 images cannot be used", "2.png", "5.png", "7.png", "data.skip_damaged = true", code=2)),
    "55-24mp": Case(run("data: 1 images in")),
    "62-root-is-image": Case(run("is one image; set data.root to the folder it is in", code=2)),
    "63-tar": Case(run("is a tar archive", "unpack it", code=2)),
    "67-grey-alpha": Case(run("1 images have transparency, composed on #ffffff"), inspect=mean_of(163)),
    "73-latin1-class-folder": Case(
        (Step("run run.toml", 2, ("is not UTF-8", "rename the folder")), Step("run nolabels.toml", 0, ("data: 8 images in",))),
        latin_1_class,
        no_runs,
    ),
    "74-latin1-cwd": Case(run("is not UTF-8", code=2), latin_1_folder, no_runs),
    "80-acgan-unlabelled": Case(
        (
            *run("data: 16 images in"),
            Step("sample runs/run --condition '' --n 2 --out a.png", 0, ("2 samples",)),
            Step("sample runs/run --conditions c.json --out b.png", 0, ("2 samples",)),
        ),
        inspect=no_nan,
    ),
    "81-stale-cache": Case((Step("run a.toml"), Step("run b.toml")), one_time, red_and_blue),
    "90-toml-bom": Case(check("everything fits together")),
    "91-env-var-path": Case(run("/gfdata does not exist", code=2)),
    "92-windows-path": Case(check("single quotes", code=2)),
    "93-batch1-fc-batchnorm": Case((*check("train.batch_size", code=2), *run("train.batch_size", code=2))),
    "94-sample-out-jpg": Case((*run(), Step("sample runs/run --out grid.jpg")), inspect=a_jpeg),
    "95-wgan-gp-batchnorm": Case(check("warning", "arXiv:1704.00028", 'nets.d_norm = "none"', lacks=("fits together\n",))),
    "97-smoothing-0.9": Case(check("warning", "smooth_real", "0.1")),
    "98-negative-penalty": Case(check("weight", code=2)),
}  # fmt: skip


def fault_of(name: str, folder: Path) -> str:
    """Runs a case in a copy inside `folder`; gives what is wrong, empty if nothing is."""
    case = CASES_BY_NAME[name]
    subprocess.run(["cp", "-a", str(CASES / name), str(folder)], check=True)
    subprocess.run(["chmod", "-R", "u+w", str(folder / name)], check=True)
    place = case.prepare(folder / name)
    environment = {"XDG_CACHE_HOME": str(place / "cache"), "HOME": str(folder)}
    if not os.fsencode(place).isascii():
        environment["XDG_CACHE_HOME"] = str(folder / "cache")
    for step in case.steps:
        if fault := step.fault(forked(place, *shlex.split(step.command), **environment)):
            return fault
    return case.inspect(place)


def main(names: list[str]) -> int:
    """Prints the table; gives the exit code."""
    wrong = 0
    for name in names or sorted(CASES_BY_NAME):
        with tempfile.TemporaryDirectory() as folder:
            try:
                fault = fault_of(name, Path(folder))
            finally:
                with contextlib.suppress(OSError):
                    subprocess.run(["chmod", "-R", "u+w", folder], check=False)
        wrong += bool(fault)
        commands = "; ".join(
            f"{step.command.split(' --')[0]} -> {step.code}" for step in CASES_BY_NAME[name].steps
        )
        sys.stdout.write(f"{name:28} {'WRONG' if fault else 'right'}  {commands}\n")
        if fault:
            sys.stdout.write(textwrap.indent(fault, "    ") + "\n")
        sys.stdout.flush()
    sys.stdout.write(f"{wrong} wrong of {len(names or CASES_BY_NAME)}\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
