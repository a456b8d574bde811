"""`run`, `check` and `resume`, from an example to a run folder, in small."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from PIL import Image

import ganforge
from ganforge.config import dump, load
from support.command_line import EXAMPLE, TINY, Done, call, contents, sets
from support.installed import installed

SMALL = ("data.scenes=20", "nets.width=8", "train.images=192", "train.batch_size=32", "train.device=cpu",
         "logging.every=32", "logging.grid_every=64", "logging.grid_samples=12", "logging.checkpoint_every=64",
         "wandb.mode=disabled")  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def ran(place: Path) -> Done:
    """The example, run in small into `place/mine`."""
    return call(place, "run", EXAMPLE, "--out", "mine", *sets(*SMALL))


def rows(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_ends_by_saying_what_to_type_next(ran: Done) -> None:
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "finished after 192 images; the run is in mine",
        "  sample it:    ganforge sample mine --n 8 --out grid.png",
        "  view it:      ganforge report mine",
    ]
    lines = ran.err.splitlines()
    assert lines[0].startswith("data: no root given; using 60 drawn i-CLEVR-like images")
    assert [line.split()[0] for line in lines[1:]] == [f"{seen}/192" for seen in range(32, 193, 32)]


def test_the_resolved_file_is_the_run(ran: Done, place: Path) -> None:
    again = load(place / "mine" / "config.toml", installed())
    assert dump(again) == dump(load(EXAMPLE, installed(), SMALL))


def test_the_record_names_what_ran(ran: Done, place: Path) -> None:
    info = json.loads((place / "mine" / "run.json").read_text())
    assert info["ganforge"] == ganforge.__version__
    assert {"torch", "pydantic", "safetensors", "wandb"} <= set(info["packages"])
    assert [(each["name"], each["distribution"]) for each in info["plugins"]] == [
        (name, "ganforge") for name in ("architectures", "datasets", "losses", "optimizers", "priors")
    ]
    assert {"git", "started", "platform", "cpu", "python"} <= set(info)
    assert (info["device"], info["processes"], info["seed"]) == ("cpu", 1, 0)
    assert info["data_spec"]["shape"] == [3, 64, 64]
    assert info["run_command"].startswith(f"ganforge run {EXAMPLE} --out mine --set data.scenes=20")


def test_every_row_has_the_images_the_rate_and_the_losses(ran: Done, place: Path) -> None:
    found = rows(place / "mine")
    assert [row["images_seen"] for row in found] == list(range(32, 193, 32))
    for row in found:
        assert row["images_per_second"] > 0
        assert {"loss/d", "loss/g", "adversarial/d", "adversarial/g", "lr/d", "lr/g"} <= set(row)


def test_grids_are_eight_a_row(ran: Done, place: Path) -> None:
    grids = sorted((place / "mine" / "grids").glob("*.png"))
    assert [int(grid.stem) for grid in grids] == [0, 64, 128, 192]
    for grid in grids:
        with Image.open(grid) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (8 * 66 - 2, 2 * 66 - 2))


def test_checkpoints_hold_no_pickles(ran: Done, place: Path) -> None:
    folder = place / "mine" / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == [f"{seen:012d}" for seen in (128, 192)]
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".safetensors", ".json"}


def test_a_run_continues_for_longer(ran: Done, place: Path) -> None:
    more = call(place, "resume", "mine", "--set", "train.images=256")
    assert (more.code, more.out.splitlines()[0]) == (0, "finished after 256 images; the run is in mine")
    assert [row["images_seen"] for row in rows(place / "mine")] == list(range(32, 257, 32))
    assert load(place / "mine" / "config.toml", installed()).train.images == 256


def test_check_says_how_big_and_how_long_and_writes_nothing(tmp_path: Path) -> None:
    done = call(tmp_path, "check", EXAMPLE, *sets(*SMALL))
    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert lines[0] == f"{EXAMPLE}: everything fits together"
    assert lines[1] == "  data           iclevr: 3x64x64, many of 24 labels, at most 3"
    assert [line.split()[0] for line in lines[2:]] == [
        "generator", "discriminator", "memory", "arithmetic", "time",
    ]  # fmt: skip
    assert "for 192 images" in lines[-1]
    assert contents(tmp_path) == {}


def test_a_dry_run_shows_the_resolved_file_and_writes_nothing(tmp_path: Path) -> None:
    done = call(tmp_path, "run", EXAMPLE, "--dry-run", "--out", "mine", *sets(*SMALL))
    assert (done.code, done.err) == (0, "")
    resolved, _, said = done.out.partition(f"{EXAMPLE}: ")
    assert tomllib.loads(resolved)["train"]["images"] == 192
    assert said.startswith("everything fits together")
    assert not (tmp_path / ".cache" / "ganforge").exists()
    assert contents(tmp_path) == {}


def test_the_folder_is_named_after_the_file(tmp_path: Path) -> None:
    done = call(tmp_path, "run", EXAMPLE, "--max-minutes", "0.00001", *sets(*TINY, "train.images=100_000"))
    assert done.code == 75
    assert done.out.splitlines() == [
        "stopped (--max-minutes 1e-05 reached) after 32 images; the run is in runs/cgan_iclevr_dcgan",
        "  continue it:  ganforge resume runs/cgan_iclevr_dcgan",
        "  sample it:    ganforge sample runs/cgan_iclevr_dcgan --n 8 --out grid.png",
        "  view it:      ganforge report runs/cgan_iclevr_dcgan",
    ]
    assert (tmp_path / "runs" / "cgan_iclevr_dcgan" / "checkpoints" / f"{32:012d}").is_dir()


def test_a_signal_stops_cleanly_and_the_run_can_go_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ganforge", "run", str(EXAMPLE), "--out", "my run",
               *sets(*TINY, "train.images=1_000_000")]  # fmt: skip
    scene = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / ".cache"), "OMP_NUM_THREADS": "1"}
    log = tmp_path / "my run" / "metrics.jsonl"
    with subprocess.Popen(
        command, cwd=tmp_path, env=scene, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        give_up = time.monotonic() + 60
        while not log.exists() and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    (newest,) = (tmp_path / "my run" / "checkpoints").iterdir()
    seen = int(newest.name)
    assert out.splitlines() == [
        f"stopped (SIGINT received) after {seen:,} images; the run is in my run",
        "  continue it:  ganforge resume 'my run'",
        "  sample it:    ganforge sample 'my run' --n 8 --out grid.png",
        "  view it:      ganforge report 'my run'",
    ]
    done = call(tmp_path, "resume", "my run", "--set", f"train.images={seen + 32}")
    assert done.code == 0
    assert done.out.startswith(f"finished after {seen + 32:,} images; the run is in my run\n")
    assert rows(tmp_path / "my run")[-1]["images_seen"] == seen + 32
