"""TensorBoard's own reader finds metrics.jsonl in the event files, whatever happened to the run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.outputs.events import append_event
from ganforge.outputs.metrics_log import MetricsLog, truncate_after
from ganforge.outputs.mirror.files import MirrorStatus
from ganforge.outputs.mirror.link import MirrorLink
from ganforge.outputs.run_folder import RunFolder
from ganforge.training import session
from ganforge.training.run import resume, start
from ganforge_trackers.tensorboard import TensorBoard
from support.toys import toy_config, toy_registry

if TYPE_CHECKING:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take long to start a process."""
    monkeypatch.setattr(session, "MIRROR_PATIENCE_S", 300.0)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", {"seed": 1}, {})


@pytest.fixture
def begin(run: RunFolder) -> Iterator[Callable[[], MirrorLink]]:
    links = []

    def one() -> MirrorLink:
        links.append(MirrorLink.start(run, TensorBoard(), place(run), {"seed": 1}))
        return links[-1]

    yield one
    for link in links:
        if link.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(link.process.pid, signal.SIGKILL)
            link.process.wait()


def place(run: RunFolder) -> Path:
    return run.trackers / "tensorboard"


def read(run: RunFolder) -> EventAccumulator:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(place(run)), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    found.Reload()
    return found


def single(value: float) -> float:
    """In single precision, in which TensorBoard keeps numbers."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def recorded(run: RunFolder) -> dict[str, list[tuple[int, float]]]:
    found = read(run)
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def logged(run: RunFolder) -> dict[str, list[tuple[int, float]]]:
    series: dict[str, list[tuple[int, float]]] = {}
    for line in run.metrics.read_text().splitlines():
        row = json.loads(line)
        for key, value in row.items():
            if key != "images_seen":
                series.setdefault(key, []).append((row["images_seen"], single(value)))
    return series


def write(run: RunFolder, *seen: int, value: float = 0.1) -> None:
    for each in seen:
        MetricsLog(run.metrics).append({"images_seen": each, "loss/d": value, "seconds": each * value})


def test_rows_grids_events_and_settings(run: RunFolder, begin: Any) -> None:
    link = begin()
    write(run, 64, 128)
    Image.new("RGB", (16, 12)).save(run.grid(128))
    assert link.finish(300) == f"TensorBoard: tensorboard --logdir {place(run).absolute()}"
    assert recorded(run) == logged(run)
    found = read(run)
    (image,) = found.Images("grids/samples")
    assert (image.step, image.width, image.height) == (128, 16, 12)
    assert image.encoded_image_string == run.grid(128).read_bytes()
    (text,) = found.Tensors("config")
    assert b'"seed": 1' in text.tensor_proto.string_val[0]


def test_events_are_texts(run: RunFolder, begin: Any) -> None:
    link = begin()
    while MirrorStatus.load(place(run) / "status.json").state == "starting":
        assert link.process.poll() is None
    append_event(
        run.events, {"event": "finding", "images_seen": 64, "diagnosis": "mode_collapse", "what": "alike"}
    )
    link.finish(300)
    (text,) = read(run).Tensors("events")
    assert (text.step, text.tensor_proto.string_val[0]) == (64, b"mode_collapse: alike")


def test_a_resumed_run_has_no_row_twice(run: RunFolder, begin: Any) -> None:
    write(run, 64, 128, 192)
    begin().finish(300)
    truncate_after(run.metrics, 64)
    link = begin()
    write(run, 128, 192, 256, value=0.7)
    link.finish(300)
    assert [step for step, _ in recorded(run)["loss/d"]] == [64, 128, 192, 256]
    assert recorded(run) == logged(run)


def test_a_mirror_that_was_killed_before_it_noted_what_it_had_sent(run: RunFolder, begin: Any) -> None:
    write(run, 64, 128, 192)
    begin().finish(300)
    status = MirrorStatus.load(place(run) / "status.json")
    status.images_seen = 64
    status.save(place(run) / "status.json")
    write(run, 256)
    begin().finish(300)
    assert recorded(run) == logged(run)


TRAINER = """
import os, sys
from pathlib import Path
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.outputs.metrics_log import MetricsLog
from ganforge.training.run import start
from support.toys import toy_config, toy_registry
append = MetricsLog.append
def dying(self, row):
    append(self, row)
    if row["images_seen"] >= 40:
        os.kill(os.getpid(), 9)
MetricsLog.append = dying
config = toy_config(
    train={"images": 64}, logging={"checkpoint_every": 16, "grid_every": 16}, trackers=[{"type": "tensorboard"}]
)
start(config, Path(sys.argv[1]), toy_registry(), StopRequest(), "test")
"""


def test_a_killed_and_resumed_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = subprocess.run([sys.executable, "-c", TRAINER, str(folder)], check=False, env=environment())
    assert done.returncode == -signal.SIGKILL
    outcome = resume(folder, toy_registry(), StopRequest())
    run = RunFolder(folder)
    assert outcome.finished
    assert outcome.lines == [f"TensorBoard: tensorboard --logdir {place(run).absolute()}"]
    assert recorded(run) == logged(run)
    assert [image.step for image in read(run).Images("grids/samples")] == [0, 16, 32, 48, 64]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_a_run_and_its_record(tmp_path: Path) -> None:
    config = toy_config(trackers=[{"type": "tensorboard", "images": False}], logging={"grid_every": 16})
    start(config, tmp_path / "run", toy_registry(), StopRequest(), "test")
    run = RunFolder(tmp_path / "run")
    assert recorded(run) == logged(run)
    assert read(run).Tags()["images"] == []


def test_the_sinks_start_without_torch() -> None:
    code = (
        "import sys; import ganforge.outputs.mirror.process, ganforge_trackers.wandb_sink as w, "
        "ganforge_trackers.tensorboard_sink; assert not {'torch', 'pydantic', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())
