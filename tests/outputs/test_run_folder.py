"""The run folder: made once, never overwritten, opened only if it is one."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ganforge
from ganforge.api import UserError
from ganforge.outputs.replacing import clear_unsaved
from ganforge.outputs.run_folder import RunFolder

WITHOUT_TORCH = (
    "run_folder",
    "metrics_log",
    "mirror.process",
    "mirror.link",
    "progress",
    "plots",
    "report",
)


def test_create_writes_what_was_resolved(tmp_path: Path) -> None:
    config = {
        "seed": 7,
        "name": None,
        "data": {"type": "toy", "shape": (1, 8, 8), "labels": None},
        "terms": [{"type": "r1", "weight": 0.5, "only": None}],
    }
    run = RunFolder.create(tmp_path / "deep" / "run", config, {"device": "cpu"})

    first = run.config.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# Resolved by ganforge {ganforge.__version__}: every default filled in."
    assert tomllib.loads(run.config.read_text(encoding="utf-8")) == {
        "seed": 7,
        "data": {"type": "toy", "shape": [1, 8, 8]},
        "terms": [{"type": "r1", "weight": 0.5}],
    }
    assert json.loads(run.info.read_text(encoding="utf-8")) == {"device": "cpu"}
    assert sorted(file.name for file in run.path.iterdir()) == [
        "checkpoints",
        "config.toml",
        "grids",
        "run.json",
        "wandb",
    ]


def test_open_reads_back(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", {"seed": 1}, {"device": "cpu"})
    run = RunFolder.open(tmp_path / "run")
    run.update_info({"finished": True})
    assert run.read_config() == {"seed": 1}
    assert run.read_info() == {"device": "cpu", "finished": True}


def test_an_existing_run_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "run"
    (RunFolder.create(path, {"seed": 1}, {}).checkpoints / f"{64:012d}").mkdir()
    with pytest.raises(UserError) as caught:
        RunFolder.create(path, {"seed": 2}, {})
    assert str(caught.value) == (
        f"run folder {path} already exists; continue it with 'ganforge resume {path}', "
        "or choose another with --out"
    )
    assert RunFolder.open(path).read_config() == {"seed": 1}


def test_a_run_without_a_checkpoint_is_not_said_to_be_resumable(tmp_path: Path) -> None:
    path = tmp_path / "run"
    RunFolder.create(path, {"seed": 1}, {})
    with pytest.raises(UserError) as caught:
        RunFolder.refuse_existing(path)
    assert str(caught.value) == (
        f"run folder {path} has no checkpoint to continue from; delete it and try again, or choose another "
        "with --out"
    )
    (path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError) as caught:
        RunFolder.refuse_existing(path)
    assert str(caught.value) == (
        f"run folder {path} has no checkpoint to continue from, and holds 'thesis.tex', which is not part of "
        "a run; move that elsewhere and try again, or choose another with --out"
    )
    assert not clear_unsaved(RunFolder(path), locked=True) and (path / "thesis.tex").exists()


def test_a_folder_of_wandb_records_is_not_taken_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "mine").write_text("precious")
    assert not clear_unsaved(RunFolder(tmp_path), locked=True)
    assert (tmp_path / "wandb" / "mine").read_text() == "precious"


def test_nothing_is_cleared_where_no_lock_is_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    RunFolder.create(tmp_path, {"seed": 1}, {})
    monkeypatch.setattr("ganforge.outputs.claim.fcntl.flock", none)
    with RunFolder(tmp_path).claimed() as locked:
        assert not locked
        assert not clear_unsaved(RunFolder(tmp_path), locked)
    assert RunFolder.open(tmp_path).read_config() == {"seed": 1}


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path, {"seed": 1}, {}).read_config() == {"seed": 1}


def test_a_parent_that_takes_no_folder_is_named(tmp_path: Path) -> None:
    parent = tmp_path / "file"
    parent.write_text("")
    with pytest.raises(UserError) as caught:
        RunFolder.create(parent / "run", {}, {})
    assert str(caught.value) == (
        f"cannot create run folder {parent / 'run'} in {parent}: Not a directory; choose another with --out"
    )


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        ((), "no config.toml and no run.json"),
        (("config.toml",), "no run.json"),
        (("run.json",), "no config.toml"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, present: tuple[str, ...], missing: str) -> None:
    for name in present:
        (tmp_path / name).write_text("")
    with pytest.raises(UserError) as caught:
        RunFolder.open(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is not a run folder: it has {missing}; pass the folder that 'ganforge run' wrote"
    )


def test_grids_come_oldest_first_and_alone(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, {}, {})
    for images_seen in (100_000, 9_000, 12_000_000_000):
        run.grid(images_seen).write_bytes(b"")
    (run.grids / "mine.png").write_bytes(b"")
    assert [seen for seen, _ in run.grid_files()] == [9_000, 100_000, 12_000_000_000]


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_importable_without_torch(module: str) -> None:
    code = f"import sys, ganforge.outputs.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
