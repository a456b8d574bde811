"""Going on: changed settings, changed surroundings, `train.resume = "auto"`, and being interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from test_cli_main import EXAMPLE, TINY, Done, call, contents, sets

from ganforge.api import Metric, Sampler, Samples
from ganforge.config import validate
from ganforge.config.drift import changes
from ganforge.engine import Interrupted, StopRequest, checkpoint
from ganforge.engine.surroundings import differences, fingerprint
from ganforge.outputs.run_folder import RunFolder
from support.records import logged, numbers
from support.toys import Recorder, toy_config, toy_document, toy_loop, toy_registry, weights_of

AUTO = "train.resume=auto"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run `mine` of 64 images, and the cache of its data."""
    folder = tmp_path_factory.mktemp("trained")
    assert call(folder, "run", EXAMPLE, "--out", "mine", *sets(*TINY)).code == 0
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def said(done: Done) -> list[str]:
    """The lines about how a run goes on."""
    return [line for line in done.err.splitlines() if line.startswith("continues")]


def resumes(place: Path) -> list[tuple[int, list[str]]]:
    entries = json.loads((place / "mine" / "run.json").read_text())["resumes"]
    return [(entry["images_seen"], entry["not_exact_because"]) for entry in entries]


def edit_manifest(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = checkpoint.complete(place / "mine" / "checkpoints")[-1] / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest["state"])
    file.write_text(json.dumps(manifest))


# --- settings ---------------------------------------------------------------------------------


def test_all_that_differs_is_named_at_once() -> None:
    old = toy_config(terms=[{"type": "r1"}], logging={"every": 8})
    new = toy_config(
        terms=[{"type": "r1", "weight": 2.0}, {"type": "r2"}],
        loss={"type": "hinge"},
        prior={"type": "normal", "dim": 16},
        train={"images": 99, "batch_size": 16},
        logging={"every": 16},
        wandb={"project": "other"},
    )
    r2 = [str(change) for change in changes(old, new) if change.key.startswith("terms.1.")]
    assert 'terms.1.type: (absent) -> "r2"' in r2
    assert [str(change) for change in changes(old, new) if not change.key.startswith("terms.1.")] == [
        "prior.dim: 8 -> 16",
        'loss.type: "bce" -> "hinge"',
        f"terms.0.weight: {old.terms[0].weight} -> 2.0",
        "train.batch_size: 8 -> 16",
    ]
    assert changes(old, old) == []


def test_a_file_may_lie_elsewhere_but_not_come_or_go() -> None:
    def config(**data: Any) -> Any:
        return validate(
            toy_document(data={"type": "iclevr", "image_size": 16, **data}), toy_registry(), file="x"
        )

    assert changes(config(root="/a"), config(root="/b")) == []
    assert [str(each) for each in changes(config(), config(root="/b"))] == ['data.root: (absent) -> "/b"']


def test_a_changed_file_is_refused_key_by_key(place: Path) -> None:
    text = EXAMPLE.read_text().replace('type = "bce"', 'type = "hinge"').replace("dim = 100", "dim = 101")
    (place / "new.toml").write_text(text)
    before = contents(place)
    done = call(place, "resume", "mine", "--config", "new.toml", *sets(*TINY, "train.images=96"))
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "mine goes on with the settings it has; these differ:",
        "  prior.dim: 100 -> 101",
        '  loss.type: "bce" -> "hinge"',
        "start a new run for other settings, or allow them with --override prior.dim --override loss.type; the run is "
        "then no longer exact (free to change: train.images, train.resume, train.device, train.data, train.timeout_s, logging, "
        "wandb, health, and where files lie)",
    ]
    assert contents(place) == before


def test_an_overridden_key_is_taken_said_and_recorded(place: Path) -> None:
    done = call(place, "resume", "mine", *sets("train.images=96", "train.clip_grad_norm=1.0"))
    assert done.code == 2
    done = call(place, "resume", "mine", "--override", "train.clip_grad_norm",
                *sets("train.images=96", "train.clip_grad_norm=1.0"))  # fmt: skip
    why = "train.clip_grad_norm was 0.0 and is 1.0"
    assert done.code == 0
    assert said(done) == [f"continues at 64 images; not exact, because: {why}"]
    # What was allowed once is the run's own from now on.
    done = call(place, "resume", "mine", *sets("train.images=128"))
    assert said(done) == ["continues exactly at 96 images"]
    assert resumes(place) == [(64, [why]), (96, [])]


def test_a_config_edited_by_hand_is_found_out(place: Path) -> None:
    config = place / "mine" / "config.toml"
    config.write_text(config.read_text().replace("batch_size = 32", "batch_size = 16"))
    done = call(place, "resume", "mine", *sets("train.images=96"))
    assert done.code == 2
    assert done.err.splitlines()[1] == "  train.batch_size: 32 -> 16"


def test_a_key_that_an_older_ganforge_did_not_have_is_no_difference(place: Path) -> None:
    edit_manifest(place, lambda state: state["stamp"]["config"]["train"].pop("clip_grad_norm"))
    assert said(call(place, "resume", "mine", *sets("train.images=96"))) == ["continues exactly at 64 images"]


# --- surroundings -----------------------------------------------------------------------------


def test_other_surroundings_are_said_and_the_run_goes_on(place: Path) -> None:
    edit_manifest(
        place, lambda state: state["stamp"]["surroundings"].update(device="cuda (X)", processes="2")
    )
    done = call(place, "resume", "mine", *sets("train.images=96"))
    (line,) = said(done)
    assert done.code == 0
    assert line.startswith("continues at 64 images; not exact, because: device was cuda (X) and is cpu (")
    assert line.endswith("; processes was 2 and is 1")


def test_another_number_of_threads_is_a_difference(place: Path) -> None:
    try:
        torch.set_num_threads(2)
        done = call(place, "resume", "mine", *sets("train.images=96"))
    finally:
        torch.set_num_threads(1)
    assert said(done) == ["continues at 64 images; not exact, because: threads was 1 and is 2"]


def test_a_checkpoint_that_does_not_say_is_not_accused(place: Path) -> None:
    edit_manifest(place, lambda state: state.update(stamp={}))
    assert said(call(place, "resume", "mine", *sets("train.images=96"))) == ["continues exactly at 64 images"]


def test_a_fingerprint_sees_a_changed_image_and_a_changed_label() -> None:
    images = torch.randint(0, 255, (1000, 3, 4, 4), dtype=torch.uint8)
    labels = torch.zeros(1000, 2, dtype=torch.uint8)
    first = fingerprint(Samples(images, labels))
    assert first.startswith("1000 samples, ")
    assert fingerprint(Samples(images.clone(), labels.clone())) == first
    changed = images.clone()
    changed[0, 0, 0, 0] ^= 1
    relabelled = labels.clone()
    relabelled[501, 1] = 1
    others = [
        Samples(changed, labels),
        Samples(images, relabelled),
        Samples(images),
        Samples(images[:999], labels[:999]),
    ]
    assert len({first, *map(fingerprint, others)}) == 5
    assert differences({"a": "1", "b": "2"}, {"b": "3"}) == ["a was 1 and is absent", "b was 2 and is 3"]


# --- run, with resume = "auto" ----------------------------------------------------------------


def auto(place: Path, *overrides: str) -> Done:
    return call(place, "run", EXAMPLE, "--out", "mine", *sets(*TINY, AUTO, *overrides))


def test_auto_starts_continues_and_ends(tmp_path: Path) -> None:
    assert auto(tmp_path, "train.images=64").code == 0
    done = auto(tmp_path, "train.images=96")
    assert (done.code, said(done)) == (0, ["continues exactly at 64 images"])
    before = contents(tmp_path)
    done = auto(tmp_path, "train.images=96")
    assert done.code == 0
    assert done.out.splitlines()[:2] == [
        "finished after 96 images; the run is in mine",
        "nothing to do: it had seen its 96 images before",
    ]
    assert contents(tmp_path) == before
    straight = call(tmp_path, "run", EXAMPLE, "--out", "straight", *sets(*TINY, "train.images=96"))
    assert straight.code == 0
    files = [
        tmp_path / name / "checkpoints" / f"{96:012d}" / "generator.safetensors"
        for name in ("mine", "straight")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_auto_refuses_changed_settings(place: Path) -> None:
    done = auto(place, "train.images=96", "nets.width=16")
    assert done.code == 2
    assert "  nets.width: 8 -> 16" in done.err.splitlines()


def leave(run: Path, *names: str) -> None:
    """What a killed process may leave: these things of a run folder."""
    for child in run.iterdir():
        if child.name not in names:
            shutil.rmtree(child) if child.is_dir() else child.unlink()


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("grids",),
        ("grids", "checkpoints", "wandb", "config.toml"),
        ("grids", "checkpoints", "wandb", "config.toml", "run.json", "metrics.jsonl"),
    ],
)
def test_auto_starts_anew_what_never_came_to_a_checkpoint(place: Path, names: tuple[str, ...]) -> None:
    run = place / "mine"
    leave(run, *names)
    for each in (run / "checkpoints").glob("*"):
        each.rename(each.with_name(f".{each.name}.7.tmp"))
    (run / ".config.toml.7.tmp").write_text("half")
    assert auto(place).code == 0
    assert [row["images_seen"] for row in logged(run)] == [32, 64]
    assert {path.name for path in run.iterdir()} == {
        "config.toml", "run.json", "metrics.jsonl", "grids", "checkpoints", "wandb",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["thesis.tex", "more"])
def test_auto_deletes_nothing_that_is_not_of_a_run(place: Path, name: str) -> None:
    leave(place / "mine", "config.toml")
    (place / "mine" / name).write_text("precious")
    before = contents(place)
    assert auto(place).code == 2
    assert contents(place) == before


def test_auto_does_not_start_anew_over_damaged_checkpoints(place: Path) -> None:
    for file in (place / "mine" / "checkpoints").rglob("*.safetensors"):
        file.write_bytes(b"")
    before = contents(place)
    done = auto(place)
    assert (done.code, contents(place)) == (2, before)
    assert done.err.splitlines()[-1].startswith("mine/checkpoints: no sound checkpoint; ")


def test_two_trainers_do_not_share_a_folder(place: Path) -> None:
    with RunFolder(place / "mine").claimed():
        for done in (call(place, "resume", "mine", *sets("train.images=96")), auto(place, "train.images=96")):
            assert (done.code, done.err) == (
                2,
                "run folder mine is in use: another process trains in it; stop that one first\n",
            )
        shutil.rmtree(place / "mine" / "checkpoints")
        assert auto(place).code == 2
        assert (place / "mine" / "metrics.jsonl").exists()


def test_a_run_that_goes_on_leaves_no_row_out_and_none_twice(place: Path) -> None:
    log = place / "mine" / "metrics.jsonl"
    rows = log.read_text()
    # Killed after rows beyond the checkpoint, in the middle of one.
    log.write_text(
        rows
        + rows.replace('"images_seen": 64', '"images_seen": 96').splitlines()[1]
        + '\n{"iteration": 4, "im'
    )
    done = call(place, "resume", "mine", *sets("train.images=128"))
    assert done.code == 0
    assert [row["images_seen"] for row in logged(place / "mine")] == [32, 64, 96, 128]
    assert log.read_text().startswith(rows)


# --- metrics that a stop puts off -------------------------------------------------------------


class Interrupting(Metric):
    """A metric during which a signal comes, the first time."""

    type: str = "interrupting"

    def compute(self, sampler: Sampler, data: Samples) -> dict[str, float]:
        sampler.sample(1, self.seed)
        if self.seed not in SEEN:
            SEEN.append(self.seed)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        return {"interrupting": float(sampler.sample(4, self.seed).sum())}


SEEN: list[int] = []


def with_metric(folder: Path, seed: int, images: int) -> tuple[Any, Recorder]:
    swd = {"type": "sliced_wasserstein", "samples": 16, "projections": 4, "every": 16}
    config = toy_config(metrics=[swd], train={"images": images}, logging={"every": 16})
    metric = Interrupting(every=32, seed=seed)
    return toy_loop(folder, config.model_copy(update={"metrics": (*config.metrics, metric)}))


@pytest.mark.parametrize("images", [32, 64])
def test_a_metric_is_cut_short_by_a_signal_and_made_up_for(tmp_path: Path, images: int) -> None:
    SEEN[:] = [0]
    straight, straight_log = with_metric(tmp_path / "straight", 0, images)
    assert straight.run(StopRequest())
    SEEN.clear()
    first, first_log = with_metric(tmp_path / "broken", 0, images)
    stop = StopRequest()
    with stop:
        assert not first.run(stop)
    assert (stop.reason, first.images_seen, first.owes_metrics) == ("SIGTERM received", 32, True)
    assert [row["images_seen"] for row in first_log.rows if "metric/interrupting" in row] == []
    for _ in range(2):
        second, second_log = with_metric(tmp_path / "broken", 0, images)
        second.restore(*checkpoint.load_newest(tmp_path / "broken", second_log.say))
        assert second.run(StopRequest())
        if second_log.rows:
            assert numbers(first_log.rows + second_log.rows) == numbers(straight_log.rows)
    # The second time there is nothing left to do.
    assert second_log.rows == []
    expected, found = weights_of(straight), weights_of(second)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_rows_of_owed_metrics_are_taken_back(tmp_path: Path) -> None:
    from ganforge.outputs.metrics_log import truncate_after

    rows = [
        {"images_seen": 8, "metric/x": 1.0},
        {"images_seen": 16, "loss/d": 1.0},
        {"images_seen": 16, "metric/x": 2.0},
        {"images_seen": 24, "loss/d": 1.0},
    ]
    log = tmp_path / "metrics.jsonl"
    for owed, kept in ((False, rows[:3]), (True, rows[:2])):
        log.write_text("".join(json.dumps(row) + "\n" for row in rows))
        truncate_after(log, 16, owed)
        assert [json.loads(line) for line in log.read_text().splitlines()] == kept


# --- the best checkpoint ----------------------------------------------------------------------


class Rising(Metric):
    """1, 2, 3, 0, ...: the best is at the third look."""

    type: str = "rising"

    def compute(self, sampler: Sampler, data: Samples) -> dict[str, float]:
        LOOKS.append(len(LOOKS) + 1)
        return {"score": [1.0, 2.0, 3.0, float("nan"), 0.0, 2.5][len(LOOKS) - 1]}


LOOKS: list[int] = []


@pytest.mark.parametrize(("best_is", "where"), [("highest", 24), ("lowest", 40)])
def test_the_best_checkpoint_is_kept(tmp_path: Path, best_is: str, where: int) -> None:
    LOOKS.clear()
    logging = {"keep_best": "score", "best_is": best_is, "keep_checkpoints": 1, "checkpoint_every": 48}
    config = toy_config(logging=logging).model_copy(update={"metrics": (Rising(every=8),)})
    loop, log = toy_loop(tmp_path, config)
    assert loop.run(StopRequest())
    assert [path.name for path in checkpoint.complete(tmp_path)] == [f"{where:012d}", f"{48:012d}"]
    best = checkpoint.best_of(tmp_path)
    assert best is not None and best.name == f"{where:012d}"
    assert checkpoint.load(best)[1]["images_seen"] == where
    assert log.lines == []
    # A resumed run knows what there is to beat.
    again, _ = toy_loop(tmp_path, config)
    again.restore(*checkpoint.load_newest(tmp_path, log.say))
    assert again.best.state() == loop.best.state() == json.loads((tmp_path / "best.json").read_text())


def test_a_best_that_no_metric_gives_is_said_once(tmp_path: Path) -> None:
    LOOKS.clear()
    config = toy_config(logging={"keep_best": "scroe"}).model_copy(update={"metrics": (Rising(every=16),)})
    loop, log = toy_loop(tmp_path, config)
    assert loop.run(StopRequest())
    assert log.lines == [
        "warning: logging.keep_best = 'scroe' is no value of the run's metrics (score); no best checkpoint is kept"
    ]
    assert checkpoint.best_of(tmp_path) is None


def test_a_best_without_any_metric_is_refused_at_once(tmp_path: Path) -> None:
    done = call(tmp_path, "run", EXAMPLE, "--out", "mine", *sets(*TINY, "logging.keep_best=score"))
    assert (done.code, done.err) == (
        2,
        "logging.keep_best = 'score' needs a metric, and the run file names none; add a [[metrics]] table\n",
    )
    assert contents(tmp_path) == {}


# --- interruptions ----------------------------------------------------------------------------


def test_a_signal_while_data_are_opened_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(30)

    monkeypatch.setattr("ganforge.training.load_samples", slow)
    done = call(tmp_path, "run", EXAMPLE, "--out", "mine", *sets(*TINY))
    assert (done.code, done.out) == (75, "")
    assert done.err == "stopped (SIGUSR1 received) while the run was prepared; to try again, type the same\n"
    assert contents(tmp_path) == {}


def test_a_second_interrupt_stops_at_once() -> None:
    stop = StopRequest()
    with stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop and stop.reason == "SIGTERM received"
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt) as caught:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        assert not isinstance(caught.value, Interrupted)


def test_a_signal_from_before_cuts_short_at_once() -> None:
    stop = StopRequest()
    with stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted), stop.cut_short():
            pytest.fail("got inside")
    assert not StopRequest(max_minutes=1000)
    with StopRequest(max_minutes=1e-9) as late, late.cut_short():
        assert late


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a run in a process of its own; it is dead at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*overrides: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ganforge", "run", str(EXAMPLE), "--out", "mine",
                   *sets(*TINY, "train.images=1_000_000", AUTO, *overrides)]  # fmt: skip
        scene = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / ".cache"), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            command, cwd=tmp_path, env=scene, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + 60
    while not true():
        assert process.poll() is None and time.monotonic() < give_up
        time.sleep(0.01)


def test_a_second_interrupt_during_a_save_leaves_a_sound_run(
    tmp_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    process = child("logging.checkpoint_every=32")
    folder = tmp_path / "mine" / "checkpoints"
    until(lambda: bool(checkpoint.complete(folder)), process)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    # Both may come before Python has looked at the first; then it is one.
    assert process.returncode in (130, 75)
    checkpoint.load_newest(folder, pytest.fail)
    seen = int(checkpoint.complete(folder)[-1].name) + 32
    done = auto(tmp_path, f"train.images={seen}", "logging.checkpoint_every=32")
    assert done.code == 0
    assert list(folder.glob(".*")) == []
