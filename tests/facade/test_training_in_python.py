"""`train` and `check` from Python: the command line's run, codes of InfoGAN, and what mistakes say."""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

import ganforge
from ganforge.api import UserError
from support.command_line import call, refused

TABLES: dict[str, Any] = {
    "data": {"type": "iclevr", "scenes": 4, "image_size": 16},
    "prior": {"type": "codes", "dim": 4, "categorical": [3], "continuous": 1},
    "nets": {"type": "dcgan", "width": 4, "conditioning": "none"},
    "generator": {"optimizer": {"type": "adam"}},
    "discriminator": {"optimizer": {"type": "adam"}},
    "train": {"images": 32, "batch_size": 16, "device": "cpu"},
    "logging": {"every": 16, "grid_every": 0},
    "wandb": {"mode": "disabled"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("python")
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(folder / ".cache"))
    with contextlib.chdir(folder):
        run = ganforge.train(TABLES, out=folder / "mine", train={"images": 16}, **{"nets.width": 8})
    patch.undo()
    return run


def test_a_run_trained_from_tables_is_a_run_folder(trained: Any) -> None:
    assert trained.finished and trained.config.train.images == 16 and trained.config.nets.width == 8
    assert tomllib.loads((trained.path / "config.toml").read_text())["train"]["images"] == 16
    assert trained.info["run_command"] == "ganforge.train('config')"
    assert TABLES["train"]["images"] == 32, "the caller's tables were changed"


def test_codes_are_chosen_and_traversed(trained: Any) -> None:
    chosen = trained.sample(n=3, seed=1, codes={"c1": 2, "c2": -1.5})
    assert torch.equal(chosen.z[:, 4:], torch.tensor([[0.0, 0.0, 1.0, -1.5]] * 3))
    assert torch.equal(chosen.z[:, :4], trained.sample(n=3, seed=1).z[:, :4])
    sheet = trained.traverse("c1", rows=2, seed=1)
    assert torch.equal(sheet.z[:, 4:7], torch.eye(3).repeat(2, 1))
    assert len(trained.traverse("c2", rows=1, columns=5)) == 5
    for name, value, message in (
        ("c1", 3, "code 'c1' is a class: expected 0 to 2, got 3"),
        ("c1", 0.5, "code 'c1' is a class: expected 0 to 2, got 0.5"),
        ("c2", float("nan"), "code 'c2': expected a finite number, got nan"),
        ("c9", 1, "no code is called 'c9' (codes: c1 = 0 to 2, c2, a number)"),
    ):
        with pytest.raises(UserError) as caught:
            trained.sample(n=1, codes={name: value})
        assert str(caught.value) == message


def test_the_command_line_chooses_codes_too(trained: Any) -> None:
    place = trained.path.parent
    done = call(
        place, "sample", "mine", "--traverse", "c1", "-n", 2, "-o", "t.png", "--code", "c2=1", "--json"
    )
    assert (done.code, done.out) == (0, '{"written": "t.png", "samples": 6, "seed": 0}\n')
    assert (place / "t.png").read_bytes() == trained.traverse("c1", rows=2, codes={"c2": 1})._repr_png_()
    assert refused(place, "sample", "mine", "--code", "c1") == [
        "--code c1: expected NAME=VALUE, such as --code c1=3"
    ]
    assert refused(place, "sample", "mine", "--grid", "--traverse", "c1")[-1] == (
        "Error: --grid and --traverse are mutually exclusive; pass only one of them"
    )


def test_check_says_what_the_command_says(tmp_path: Path) -> None:
    found = ganforge.check(TABLES, nets={"width": 8})
    assert found.config.nets.width == 8 and found.preflight.g_parameters > 0
    assert str(found).startswith("config: everything fits together")
    with pytest.raises(UserError, match=r"nets\.wdth=8: .*unknown key 'wdth'; did you mean 'width'"):
        ganforge.check(TABLES, nets={"wdth": 8})
    with pytest.raises(UserError, match=r"no\.toml: cannot be read: No such file"):
        ganforge.check(tmp_path / "no.toml", train={"images": 5})
    with pytest.raises(UserError, match="train: pass a folder for the run, such as out='runs/mine'"):
        ganforge.train(TABLES)
