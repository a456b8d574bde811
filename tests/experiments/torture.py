"""Kills a run again and again, and compares what comes out with a run that was left alone.

    cd tests && python -m experiments.torture --kills 20 --data path/to/iclevr

Each time the run is started by the same command (`train.resume = "auto"`) in a process of its own,
and killed with SIGKILL: at a random moment, after a random iteration, or inside a checkpoint write.
In between a disk fills, and a bit of the newest checkpoint flips.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from support.records import logged, numbers
from support.torture_report import Report

BATCH = 16
EVERY = 8
"""Iterations between two checkpoints."""
GIVE_UP_S = 600.0
PRELOADED = [
    "ganforge.training.run",
    "ganforge_architectures",
    "ganforge_datasets",
    "ganforge_losses",
    "ganforge_metrics",
]


class Survived(Exception):
    """The run is no longer what it would have been."""


def run_file(data: Path | None, iterations: int) -> str:
    """A narrow conditional DCGAN, with a term, an average, a metric and a schedule."""
    source = f'root = "{data.absolute()}"' if data else "scenes = 20"
    step = BATCH
    return f"""
[data]
type = "iclevr"
image_size = {64 if data else 16}
{source}
[prior]
type = "normal"
dim = 16
[nets]
type = "dcgan"
width = 8
max_width = 32
spectral_norm = true
d_norm = "none"
[loss]
type = "hinge"
[[terms]]
type = "r1"
every = 4
[[metrics]]
type = "sliced_wasserstein"
samples = 32
projections = 8
every = {12 * step}
[train]
images = {iterations * step}
batch_size = {step}
device = "cpu"
resume = "auto"
[lr]
decay = "linear"
[ema]
halflife = 500
[logging]
every = {step}
grid_every = {20 * step}
grid_samples = 8
checkpoint_every = {EVERY * step}
keep_checkpoints = 3
[wandb]
mode = "disabled"
"""


class Torturer:
    """Does it all to one run file, in the folder `work`."""

    def __init__(self, work: Path, text: str, kills: int, seed: int) -> None:
        self.work = work
        self.kills = kills
        self.rng = random.Random(seed)
        self.report = Report(EVERY)
        self.config = work / "torture.toml"
        self.config.write_text(text)
        self.run = work / "disk" / "tortured"
        self.run.parent.mkdir()
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOADED)
        self.furthest = 0
        """The most images seen that any process has logged."""

    def torture(self) -> Report:
        """Raises `Survived` where a run does not end as it should."""
        began = time.monotonic()
        straight = self.work / "straight"
        self._finish(self._start(straight))
        self.report.straight_s = time.monotonic() - began
        self.report.iterations = logged(straight)[-1]["iteration"]
        mounted = self._mount()
        try:
            began = time.monotonic()
            between: list[Callable[[], None]] = [self._flip, lambda: self._fill(mounted)]
            while self.report.kills < self.kills or between:
                self._kill_once()
                share = self.report.kills / self.kills
                # The one after a third of the kills, the other after two thirds.
                if between and share > (3 - len(between)) / 3 and len(self._complete()) > 1:
                    between.pop(0)()
            self._finish(self._start(self.run))
            self.report.tortured_s = time.monotonic() - began
            self._compare(straight)
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", str(self.run.parent)], check=False)
        return self.report

    def _start(self, run: Path, file_bytes: int | None = None) -> BaseProcess:
        command = ["run", str(self.config), "--out", str(run)]
        process = self.context.Process(target=child, args=(command, self.work, file_bytes), daemon=True)
        process.start()
        return process

    def _finish(self, process: BaseProcess, code: int = 0) -> None:
        process.join(GIVE_UP_S)
        if process.exitcode != code:
            process.kill()
            raise Survived(
                f"exit code {process.exitcode} instead of {code}; the end of its output:\n{self._said()}"
            )

    def _kill_once(self) -> None:
        """One process, from its start to its death."""
        left = self.report.iterations - self.furthest // BATCH
        kills = max(2, self.kills - self.report.kills)
        new = self.rng.randint(1, max(1, 2 * left // (3 * kills)))
        how = self.rng.choice(["any moment", "iteration", "write", "write"])
        moment = self.rng.uniform(0.0, 1.5 * max(self.report.recoveries_s, default=2.0))
        goal, started, recovered = self.furthest + new * BATCH, time.monotonic(), False
        process = self._start(self.run)
        while process.is_alive() and time.monotonic() < started + GIVE_UP_S:
            seen = self._seen()
            if seen > self.furthest and not recovered:
                recovered = True
                self.report.recoveries_s.append(time.monotonic() - started)
            if how == "any moment" and time.monotonic() > started + moment:
                break
            if seen >= goal and (how == "iteration" or self._half_written()):
                break
            time.sleep(0.0005)
        if not process.is_alive():
            raise Survived(f"ended by itself, with exit code {process.exitcode}:\n{self._said()}")
        process.kill()
        process.join()
        self._take_stock()

    def _take_stock(self) -> None:
        """What the kill has cost."""
        report = self.report
        report.kills += 1
        half = [each for folder in self._half_written() for each in folder.rglob("*")]
        report.inside_a_write += bool(self._half_written())
        report.bytes_half_written += sum(each.stat().st_size for each in half if each.is_file())
        complete = self._complete()
        report.before_the_first_checkpoint += not complete
        saved = int(complete[-1].name) if complete else 0
        seen = self._seen()
        report.recomputed += max(0, seen - saved) // BATCH
        log = self.run / "metrics.jsonl"
        if log.exists():
            lines = log.read_bytes().split(b"\n")
            kept = [row for row in logged(self.run) if row["images_seen"] <= saved]
            report.bytes_of_rows += sum(len(line) + 1 for line in lines[len(kept) :] if line)
        self.furthest = max(self.furthest, seen)

    def _flip(self) -> None:
        """One bit, anywhere in the newest checkpoint; the run has to notice and go back to the one before."""
        file = self.rng.choice(sorted(self._complete()[-1].iterdir()))
        content = bytearray(file.read_bytes())
        bit = self.rng.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)
        self._kill_once()
        if "falling back to the previous checkpoint" not in self._said():
            raise Survived(f"a flipped bit in {file} was not noticed")
        self.report.flipped = f"bit {bit:,} of {file.name}: noticed; went on from the checkpoint before"

    def _fill(self, mounted: bool) -> None:
        """A disk without room for a checkpoint, or else a limit on the size of a file."""
        files = sorted((self.run / "checkpoints").glob("[0-9]*/*.safetensors"))
        largest = max(file.stat().st_size for file in files)
        log = self.run / "metrics.jsonl"
        if mounted:
            for half in self._half_written():
                shutil.rmtree(half)  # the run itself would, and have that room
            ballast = self.run.parent / "ballast"
            space = os.statvfs(self.run.parent)
            # The file that truncates the log is written next to it.
            ballast.write_bytes(bytes(space.f_bavail * space.f_bsize - 2 * log.stat().st_size - largest))
            self._finish(self._start(self.run), code=2)
            ballast.unlink()
            self.report.disk = "a tmpfs: one message, exit code 2; went on when there was room"
        else:
            limit = max(largest // 2, log.stat().st_size + 4096)
            if limit >= largest:
                self.report.disk = (
                    "skipped: no tmpfs can be mounted here, and the log is longer than a checkpoint"
                )
                return
            self._finish(self._start(self.run, limit), code=2)
            self.report.disk = (
                "skipped, as no tmpfs can be mounted here; in its place a limit on the size of a file: one message, "
                "exit code 2; went on without the limit"
            )
        self.furthest = max(self.furthest, self._seen())

    def _mount(self) -> bool:
        """Whether the run's disk is a small one of its own."""
        if os.geteuid() != 0 or shutil.which("mount") is None:
            return False
        options = ["-t", "tmpfs", "-o", "size=64m", "tmpfs", str(self.run.parent)]
        return subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0

    def _compare(self, straight: Path) -> None:
        """Byte for byte, but for what the clock says."""
        name = f"{logged(straight)[-1]['images_seen']:012d}"
        for file in sorted((straight / "checkpoints" / name).glob("*.safetensors")):
            if file.read_bytes() != (self.run / "checkpoints" / name / file.name).read_bytes():
                raise Survived(f"{file.name} is not the same")
        if numbers(logged(straight)) != numbers(logged(self.run)):
            raise Survived("the rows of metrics.jsonl are not the same")
        left = [*self.run.glob(".*"), *(self.run / "checkpoints").glob(".*")]
        if left:
            raise Survived(f"left behind: {left}")

    def _seen(self) -> int:
        return max((row["images_seen"] for row in logged(self.run)[-1:]), default=0)

    def _complete(self) -> list[Path]:
        return sorted((self.run / "checkpoints").glob("[0-9]*"))

    def _half_written(self) -> list[Path]:
        return list((self.run / "checkpoints").glob(".[0-9]*.tmp"))

    def _said(self) -> str:
        return (self.work / "output.txt").read_text()[-4000:]


def child(command: Sequence[str], work: Path, file_bytes: int | None) -> None:
    """`ganforge` with these arguments, in a fresh process; its output goes to `work/output.txt`."""
    import torch

    from ganforge.cli import main

    torch.set_num_threads(1)
    output = os.open(work / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    sys.argv = ["ganforge", *command]
    main()


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--iterations", type=int, help="of the whole run  [default: 20 a kill]")
    parser.add_argument("--data", type=Path, help="folder with the real i-CLEVR  [default: drawn scenes]")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        text = run_file(asked.data, asked.iterations or 20 * asked.kills)
        sys.stdout.write(f"{Torturer(work, text, asked.kills, asked.seed).torture()}\n")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
