"""A sweep with a program that stands in for the training, so that hundreds of iterations take a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.sweep import child
from ganforge.sweep.worker import Outcome, sweep
from support.installed import installed

RUN = """
[data]
type = "toy2d"

[nets]
type = "mlp"

[generator.optimizer]
type = "adam"

[discriminator.optimizer]
type = "adam"

[train]
images = 640

[[metrics]]
type = "modes"
every = 64
"""

SWEEP = """
run = "run.toml"
trials = 6

[objective]
metric = "high_quality"
direction = "maximize"

[sampler]
type = "random"
seed = 3

[storage]
grace_s = 60.0

[[parameters]]
key = "generator.optimizer.lr"
kind = "float"
low = 1e-5
high = 1e-2
log = true
"""

STUB = '''
"""Stands in for `ganforge run`: writes rows whose metric is highest for lr = 1e-3. `train.seed` says
what happens on the way."""
import json, math, os, signal, sys, time
from pathlib import Path

out = Path(sys.argv[sys.argv.index("--out") + 1])
given = dict(word.removeprefix("--set=").split("=", 1) for word in sys.argv if word.startswith("--set="))
lr, fate = float(given["generator.optimizer.lr"]), int(given.get("train.seed", 0))
assert given["train.resume"] == "auto"
out.mkdir(parents=True, exist_ok=True)
log = out / "metrics.jsonl"
with (out / "starts").open("a") as starts:
    starts.write("start\\n")
times = len((out / "starts").read_text().splitlines())
rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def end(number, frame):
    sys.exit(75)


def save(seen):
    folder = out / "checkpoints" / f"{seen:012d}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")


signal.signal(signal.SIGTERM, end)
if fate == 2:
    sys.stderr.write("run.toml:3: train.images: no good\\n")
    sys.exit(2)
if fate == 7:
    raise RuntimeError("out of memory")
for seen in range(64 * len(rows) + 64, 641, 64):
    row = {"images_seen": seen, "loss/d": 1.0, "metric/high_quality": seen / 640 - (math.log10(lr) + 3) ** 2}
    if fate == 1 and seen == 128:
        row |= {"loss/d": None, "nonfinite": ["loss/d"]}
    with log.open("a") as file:
        file.write(json.dumps(row) + "\\n")
    if fate == 1 and seen == 128:
        time.sleep(60)
    if fate == 3 and seen == 128:
        sys.exit(3)
    if fate == 4 and seen in (128, 384) and times < 3:
        save(seen)
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if (fate == 6 and lr < 5e-4) or (fate == 8 and times == 1 and seen == 192):
        time.sleep(600)
'''


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run file, a sweep file and the stub in place of the training."""
    (tmp_path / "run.toml").write_text(RUN)
    (tmp_path / "s.toml").write_text(SWEEP)
    (tmp_path / "stub.py").write_text(STUB)
    monkeypatch.setattr(child, "PROGRAM", (str(tmp_path / "stub.py"),))
    monkeypatch.setattr("ganforge.sweep.trial.POLL_S", 0.02)
    monkeypatch.setattr("ganforge.sweep.worker.WAIT_S", 0.05)
    return tmp_path


class Stop(StopRequest):
    """Comes as soon as `when` holds."""

    def __init__(self, when: Callable[[], bool]) -> None:
        super().__init__()
        self.when = when

    def __bool__(self) -> bool:
        self.reason = "enough" if self.when() else None
        return self.reason is not None


def work(
    place: Path, said: list[str] | None = None, when: Callable[[], bool] = lambda: False, **options: Any
) -> Outcome:
    stop = Stop(when)
    say = (said if said is not None else []).append
    return sweep(place / "s.toml", installed(), stop, say, place / "out", **options)


def fated(place: Path, *fates: int) -> None:
    """A grid with one trial for each fate, all with the best learning rate."""
    text = SWEEP.split("[[parameters]]")[0].replace('"random"', '"grid"')
    text += f'[[parameters]]\nkey = "train.seed"\nkind = "choice"\nchoices = {list(fates)}\n'
    text = text.replace("trials", 'set = ["generator.optimizer.lr=1e-3"]\ntrials')
    (place / "s.toml").write_text(text)


def has_begun(place: Path) -> Callable[[], bool]:
    """Whether trial 0 has written a row."""
    return (place / "out" / "trials" / "0000" / "metrics.jsonl").exists


def starts(place: Path, number: int) -> int:
    return len((place / "out" / "trials" / f"{number:04d}" / "starts").read_text().splitlines())
