"""A run folder from a stranger: links out of it, pipes, devices, files without an end, odd values."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
import torch

from ganforge.api import UserError
from ganforge.engine.checkpoint import checkpoint
from ganforge.evaluation.record import append
from ganforge.files import read_regular, within
from ganforge.outputs.atomic import write_bytes, write_json
from ganforge.outputs.metrics_log import MetricsLog, read_rows
from ganforge.outputs.mirror.link import MirrorLink
from ganforge.outputs.mirror.process import main as mirror
from ganforge.outputs.report import write_report
from ganforge.outputs.run_folder import RunFolder
from ganforge_trackers.wandb import Wandb


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", {"seed": 1}, {"device": "cpu"})


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of somebody else."""
    (tmp_path / "victim" / "000000000001").mkdir(parents=True)
    (tmp_path / "victim" / ".notes.tmp").write_text("mine")
    (tmp_path / "victim" / "keys").write_text("ssh-ed25519")
    (tmp_path / "victim" / "000000000001" / "manifest.json").write_text("{}")
    return tmp_path / "victim"


@pytest.fixture
def untouched(victim: Path) -> Iterator[None]:
    before = {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()}
    yield
    assert {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()} == before


@pytest.fixture
def at_once() -> Iterator[None]:
    """A test that waits for a pipe fails instead of never ending."""

    def fail(number: int, frame: FrameType | None) -> None:
        raise AssertionError("waits for ever")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", ["checkpoints", "grids", "wandb", "plots", "metrics.jsonl", "run.json"])
@pytest.mark.usefixtures("untouched")
def test_no_run_is_trained_in_a_folder_with_a_link_out_of_it(run: RunFolder, victim: Path, name: str) -> None:
    place = run.path / name
    if place.is_dir():
        place.rmdir()
    place.unlink(missing_ok=True)
    place.symlink_to(victim if "." not in name else victim / "keys")
    with pytest.raises(UserError) as caught, run.claimed():
        pass
    target = victim if "." not in name else victim / "keys"
    assert str(caught.value) == (
        f"{place} is a symbolic link out of {run.path}, to {target}, where nothing is written or deleted; "
        "replace it with a file or folder of its own"
    )


def test_links_within_the_folder_are_followed_and_the_folder_may_be_one(run: RunFolder) -> None:
    (run.path / "latest.png").symlink_to(run.grids / "0000000001.png")
    (run.path.parent / "linked").symlink_to(run.path)
    with RunFolder(run.path.parent / "linked").claimed() as locked:
        assert locked
    assert within(run.path / "new" / "file", run.path) == run.path / "new" / "file"


@pytest.mark.usefixtures("untouched")
def test_checkpoints_are_neither_written_nor_cleared_through_a_link(run: RunFolder, victim: Path) -> None:
    run.checkpoints.rmdir()
    run.checkpoints.symlink_to(victim)
    with pytest.raises(UserError, match="is a symbolic link out of"):
        checkpoint.remove_leftovers(run.checkpoints)
    with pytest.raises(UserError, match="is a symbolic link out of"):
        checkpoint.save(run.checkpoints, {"g": {"w": torch.zeros(1)}}, {"images_seen": 3}, keep=1)


@pytest.mark.usefixtures("untouched")
def test_no_record_is_appended_through_a_link(run: RunFolder, victim: Path) -> None:
    run.metrics.symlink_to(victim / "keys")
    log = None
    with pytest.raises(OSError, match="symbolic links"):
        log = MetricsLog(run.metrics)
    assert log is None
    run.metrics.unlink()
    log = MetricsLog(run.metrics)
    run.metrics.symlink_to(victim / "keys")
    with pytest.raises(OSError, match="symbolic links"):
        log.append({"images_seen": 1})
    (run.path / "evaluations.jsonl").symlink_to(victim / "keys")
    with pytest.raises(OSError, match="symbolic links"):
        append(run.path / "evaluations.jsonl", {})


@pytest.mark.usefixtures("untouched")
def test_an_atomic_write_replaces_links_and_does_not_follow_them(run: RunFolder, victim: Path) -> None:
    (run.path / f".run.json.{os.getpid()}.tmp").symlink_to(victim / "keys")
    run.info.unlink()
    run.info.symlink_to(victim / "keys")
    write_bytes(run.info, b"{}")
    assert not run.info.is_symlink() and run.info.read_bytes() == b"{}"


@pytest.mark.usefixtures("untouched")
def test_the_mirror_locks_and_logs_no_file_of_somebody_else(run: RunFolder, victim: Path) -> None:
    for name in ("mirror.lock", "mirror.log"):
        (run.wandb / name).symlink_to(victim / "keys")
    link = MirrorLink.start(run, Wandb(), run.wandb)
    assert link.process is None
    assert str(link.finish()).startswith("W&B: not recording (")
    with pytest.raises(OSError, match="symbolic links"):
        mirror(run.path, run.wandb)


@pytest.mark.usefixtures("at_once")
def test_pipes_and_devices_are_refused_and_not_waited_for(run: RunFolder) -> None:
    pipe = run.path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match=r"pipe: is a pipe; expected a regular file"):
        read_regular(pipe, 10)
    for name in ("config.toml", "run.json"):
        (run.path / name).unlink()
        (run.path / name).symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"config.toml: is a device; expected a regular file"):
        run.read_config()
    with pytest.raises(UserError, match=r"run.json: is a device; expected a regular file"):
        run.read_info()
    with pytest.raises(UserError, match=r"is a folder; expected a regular file"):
        read_regular(run.grids, 10)


@pytest.mark.usefixtures("at_once")
def test_a_checkpoint_with_a_pipe_in_it_is_damaged(run: RunFolder) -> None:
    saved = checkpoint.save(run.checkpoints, {"g": {"w": torch.zeros(1)}}, {"images_seen": 3}, keep=1)
    (saved / "g.safetensors").unlink()
    os.mkfifo(saved / "g.safetensors")
    with pytest.raises(UserError, match=r"g.safetensors: is a pipe; expected a regular file"):
        checkpoint.load(saved)
    (saved / "manifest.json").unlink()
    (saved / "manifest.json").symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"manifest.json: is a device; expected a regular file"):
        checkpoint.load(saved)


def test_records_have_a_largest_size(run: RunFolder) -> None:
    run.config.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(UserError) as caught:
        run.read_config()
    assert str(caught.value) == f"{run.config}: has 1,048,577 bytes; expected at most 1,048,576"


@pytest.mark.usefixtures("at_once")
def test_a_report_waits_for_no_pipe(run: RunFolder) -> None:
    os.mkfifo(run.grid(7))
    assert "<img" not in write_report(run).read_text()


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('{"images_seen": "9"}', "'images_seen' is \"9\"; expected an integer of at least 0"),
        ('{"images_seen": true}', "'images_seen' is true; expected an integer of at least 0"),
        ('{"images_seen": -1}', "'images_seen' is -1; expected an integer of at least 0"),
        ("{}", "'images_seen' is null; expected an integer of at least 0"),
        ("[1]", "expected a row of metrics"),
        ('{"images_seen": 9, "loss/d": "low"}', "'loss/d' is \"low\"; expected a number"),
        ('{"images_seen": 9, "seconds": [1]}', "'seconds' is [1]; expected a number"),
        ('{"images_seen": 9, "nonfinite": 3}', "'nonfinite' is 3; expected a list of names"),
    ],
)
def test_odd_rows_are_named(run: RunFolder, line: str, wrong: str) -> None:
    run.metrics.write_text(f'{{"images_seen": 1, "loss/d": null}}\n{line}\n')
    with pytest.raises(UserError) as caught:
        read_rows(run.metrics)
    assert str(caught.value) == f"{run.metrics}:2: {wrong}; remove the line and try again"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("git", "x", "'git' is \"x\"; expected a table"),
        ("parameters", [1], "'parameters' is [1]; expected a table"),
        ("warnings", "x", "'warnings' is \"x\"; expected an array"),
        ("started", 3, "'started' is 3; expected a text"),
    ],
)
def test_odd_values_of_run_json_are_named(run: RunFolder, key: str, value: object, expected: str) -> None:
    run.info.write_text(json.dumps({key: value}))
    with pytest.raises(UserError) as caught:
        run.read_info()
    assert str(caught.value) == f"{run.info}: {expected}; restore the file that 'ganforge run' wrote"


def test_a_null_in_run_json_is_as_if_the_key_were_missing(run: RunFolder) -> None:
    run.info.write_text('{"parameters": null, "cpu": null, "git": null}')
    assert run.read_info() == {"git": None}


def test_half_a_surrogate_pair_survives_report_and_update(run: RunFolder) -> None:
    run.info.write_text(r'{"s\ud800": 1}')
    run.update_info({"device": "cpu"})
    assert run.read_info() == {"s\ud800": 1, "device": "cpu"}
    assert "\\ud800" in write_report(run).read_text()
    write_json(run.info, {"a": "\udcff"})
    assert run.read_info() == {"a": "\udcff"}
