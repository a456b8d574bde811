"""`train.resume = "auto"`: a run starts, continues or ends, and nothing is lost that is not its own."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import pytest

from ganforge.outputs.run_folder import RunFolder
from support.command_line import EXAMPLE, TINY, call, contents, refused, sets
from support.records import logged
from support.trained import auto, said
from support.trained import place as place
from support.trained import trained as trained


def test_auto_starts_continues_and_ends(tmp_path: Path) -> None:
    assert auto(tmp_path, "train.images=64").code == 0
    done = auto(tmp_path, "train.images=96")
    assert (done.code, said(done)) == (0, ["continues exactly at 64 images"])
    before = contents(tmp_path)
    done = auto(tmp_path, "train.images=96")
    assert done.code == 0
    assert done.out.splitlines()[:2] == [
        "finished after 96 images; the run is in mine",
        "nothing to do: it has already seen its 96 images",
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


def test_a_plain_run_starts_again_where_resume_says_so(place: Path) -> None:
    run = place / "mine"
    shutil.rmtree(run / "checkpoints")
    (run / "metrics.jsonl").write_text('{"images_seen": 7}\n')
    stuck = call(place, "resume", "mine")
    assert stuck.err == "mine/checkpoints: no checkpoint yet; start the run again with 'ganforge run'\n"
    done = call(place, "run", EXAMPLE, "--out", "mine", *sets(*TINY))
    assert done.code == 0
    assert done.err.splitlines()[0] == (
        "mine: its run ended before its first checkpoint; starting again from the beginning"
    )
    assert [row["images_seen"] for row in logged(run)] == [32, 64]


def test_the_record_of_a_run_that_ended_outlives_its_checkpoints(place: Path) -> None:
    shutil.rmtree(place / "mine" / "checkpoints")
    assert refused(place, "run", EXAMPLE, "--out", "mine", *sets(*TINY)) == [
        "run folder mine has no checkpoint to continue from; delete it and try again, or choose another with "
        "--out"
    ]


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
    assert done.err.splitlines()[-1].startswith("mine/checkpoints: no intact checkpoint; ")


def test_two_trainers_do_not_share_a_folder(place: Path) -> None:
    with RunFolder(place / "mine").claimed():
        for done in (call(place, "resume", "mine", *sets("train.images=96")), auto(place, "train.images=96")):
            assert (done.code, done.err) == (
                2,
                "run folder mine is in use by another training process "
                f"(pid {os.getpid()} on {platform.node()}); stop that one first\n",
            )
        shutil.rmtree(place / "mine" / "checkpoints")
        assert auto(place).code == 2
        assert (place / "mine" / "metrics.jsonl").exists()
