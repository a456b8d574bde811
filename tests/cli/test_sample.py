"""`sample`: what it writes, and what it says to mistakes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganforge.evaluation.sample import MAX_SAMPLES
from ganforge_datasets.clevr_layout import NAMES
from ganforge_datasets.iclevr import ICLEVR
from support import command_line
from support.command_line import EXAMPLE, TINY, call, contents, sets

LABELS = ", ".join(NAMES)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run `mine`."""
    folder = tmp_path_factory.mktemp("sample")
    assert call(folder, "run", EXAMPLE, "--out", "mine", *sets(*TINY)).code == 0
    shutil.rmtree(folder / ".cache")
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Path:
    """The same in a folder that a test may spoil."""
    shutil.copytree(trained / "mine", tmp_path / "mine")
    return tmp_path


@pytest.fixture(autouse=True)
def without_data_and_wandb(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampling must need neither."""

    def build(self: ICLEVR, *arguments: Any) -> None:
        raise AssertionError("sampling opened the data set")

    monkeypatch.setattr(ICLEVR, "build", build)
    monkeypatch.setitem(sys.modules, "wandb", None)


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_a_grid_has_eight_a_row_and_depends_on_the_seed_alone(place: Path) -> None:
    done = call(place, "sample", "mine", "--n", 9, "--seed", 5, "--out", "new/x.png")
    assert (done.code, done.out, done.err) == (0, "9 samples (seed 5) written to new/x.png\n", "")
    assert pixels(place / "new" / "x.png").shape == (2 * 18 - 2, 8 * 18 - 2, 3)
    call(place, "sample", "mine", "--n", 9, "--seed", 5, "--out", "same.png")
    call(place, "sample", "mine", "--n", 9, "--seed", 6, "--out", "other.png")
    assert (place / "same.png").read_bytes() == (place / "new" / "x.png").read_bytes()
    assert (place / "other.png").read_bytes() != (place / "same.png").read_bytes()


def test_a_folder_gets_one_picture_a_sample_and_a_list(place: Path) -> None:
    asked = ("--condition", "blue sphere, red cube", "--n", 3, "--seed", 2)
    done = call(place, "sample", "mine", *asked, "--out", "one/")
    assert (done.code, done.out) == (0, "3 samples (seed 2) written to one\n")
    assert json.loads((place / "one" / "samples.json").read_text()) == [
        {"file": f"{i:06d}.png", "condition": ["red cube", "blue sphere"], "seed": 2, "index": i}
        for i in range(3)
    ]
    call(place, "sample", "mine", *asked, "--out", "two")
    assert contents(place / "one") == contents(place / "two")
    call(place, "sample", "mine", *asked, "--out", "grid.png")
    grid = pixels(place / "grid.png")
    for index in range(3):
        alone = pixels(place / "one" / f"{index:06d}.png")
        assert np.array_equal(alone, grid[:, 18 * index : 18 * index + 16])


def test_a_file_of_conditions_gives_one_sample_each(place: Path) -> None:
    (place / "asked.json").write_text('[["gray cube"], "red cube, cyan cylinder", ["red sphere"]]')
    done = call(place, "sample", "mine", "--conditions", "asked.json", "--out", "all")
    assert (done.code, done.out) == (0, "3 samples (seed 0) written to all\n")
    listed = json.loads((place / "all" / "samples.json").read_text())
    assert [each["condition"] for each in listed] == [
        ["gray cube"], ["red cube", "cyan cylinder"], ["red sphere"],
    ]  # fmt: skip
    assert len({(place / "all" / each["file"]).read_bytes() for each in listed}) == 3
    call(place, "sample", "mine", "--conditions", "asked.json", "--n", 2, "--out", "twice")
    listed = json.loads((place / "twice" / "samples.json").read_text())
    assert [each["condition"][0] for each in listed] == [
        "gray cube", "gray cube", "red cube", "red cube", "red sphere", "red sphere",
    ]  # fmt: skip


def test_without_a_wish_there_is_a_spread_of_conditions(place: Path) -> None:
    call(place, "sample", "mine", "--n", 40, "--out", "spread")
    conditions = [each["condition"] for each in json.loads((place / "spread" / "samples.json").read_text())]
    assert {len(names) for names in conditions} == {1, 2, 3}
    assert len({tuple(names) for names in conditions}) > 20


def refused(place: Path, *arguments: object) -> str:
    return "\n".join(command_line.refused(place, "sample", *arguments))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (
            "red cub",
            f"unknown label 'red cub'; nearest: red cube, green cube, purple cube (labels: {LABELS})",
        ),
        ("teapot", f"unknown label 'teapot' (labels: {LABELS})"),
        ("red cube, red cube", "label 'red cube' is listed twice in one condition"),
        (
            "red cube, blue cube, gray cube, cyan cube",
            "expected 1 to 3 labels per condition, got 4: red cube, blue cube, gray cube, cyan cube",
        ),
        (" , ", "expected 1 to 3 labels per condition, got 0: (none)"),
    ],
)
def test_conditions_that_cannot_be(place: Path, condition: str, expected: str) -> None:
    assert refused(place, "mine", "--condition", condition) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "c.json:1: not JSON: Expecting value"),
        ('[["red cube"],\n ["blue cube"]', "c.json:2: not JSON: Expecting ',' delimiter"),
        ("[" * 200_000, "c.json: not JSON: maximum recursion depth exceeded"),
        ("[" + "9" * 5000 + "]", "c.json: not JSON: Exceeds the limit"),
        ("\xff", "c.json: not JSON: 'utf-8' codec can't decode byte 0xff in position 0"),
        ('{"red": 1}', 'c.json: expected a list of conditions, such as [["red cube"], ["gray sphere"]]'),
        ("[]", 'c.json: expected a list of conditions, such as [["red cube"], ["gray sphere"]]'),
        ('["red cube", 3]', "c.json: expected condition 1 (counted from 0) to be a list of names, got 3"),
        ("[[3]]", "c.json: expected condition 0 (counted from 0) to be a list of names, got [3]"),
        ("[[]]", "expected 1 to 3 labels per condition, got 0: (none)"),
        (
            '["red cube", "bleu cube"]',
            "condition 1 (counted from 0): unknown label 'bleu cube'; nearest: blue",
        ),
    ],
)
def test_files_of_conditions_that_cannot_be(place: Path, text: str, expected: str) -> None:
    (place / "c.json").write_bytes(text.encode("latin-1"))
    assert refused(place, "mine", "--conditions", "c.json").startswith(expected)


def test_a_file_of_conditions_that_is_not_there(place: Path) -> None:
    expected = "none.json: cannot be read: No such file or directory"
    assert refused(place, "mine", "--conditions", "none.json") == expected
    assert refused(place, "mine", "--conditions", "mine") == "mine: cannot be read: Is a directory"


def test_too_many_samples_are_refused_before_any_is_drawn(place: Path) -> None:
    assert refused(place, "mine", "--n", 10**13) == (
        f"10,000,000,000,000 samples requested, at most {MAX_SAMPLES:,} per call; lower n"
    )
    (place / "c.json").write_text('["red cube", "blue cube"]')
    assert refused(place, "mine", "--conditions", "c.json", "--n", 60_000).startswith("120,000 samples")


def test_a_folder_that_is_no_run(place: Path) -> None:
    assert refused(place, "nowhere") == (
        "nowhere is not a run folder: it has no config.toml and no run.json; "
        "pass the folder that 'ganforge run' wrote"
    )


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("file", "cannot write samples to file: File exists; choose another path with --out"),
        ("file/x.png", "cannot write samples to file/x.png: "),
        (
            "file/folder",
            "cannot write samples to file/folder: Not a directory; choose another path with --out",
        ),
        ("full.png", "cannot write samples to full.png: Is a directory; choose another path with --out"),
        ("a" * 300 + ".png", f"cannot write samples to {'a' * 300}.png: File name too long; choose"),
        ("done", "done already holds samples; choose another folder with --out"),
    ],
)
def test_places_that_cannot_be_written(place: Path, out: str, expected: str) -> None:
    (place / "file").write_text("mine")
    (place / "full.png").mkdir()
    (place / "done").mkdir()
    (place / "done" / "samples.json").write_text("[]")
    assert refused(place, "mine", "--out", out, "--n", 1).startswith(expected)


def spoil(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"half", None])
def test_a_damaged_checkpoint_is_named_and_not_used(place: Path, content: bytes | None) -> None:
    file = Path("mine/checkpoints") / f"{64:012d}" / "generator.safetensors"
    spoil(place / file, content)
    warning, last = refused(place, "mine").splitlines()
    why = "cannot be read: " if content is None else "damaged: its SHA-256 does not match manifest.json"
    assert warning.startswith(f"warning: {file}: {why}")
    assert last == (
        "mine/checkpoints: no intact checkpoint; to train again, delete mine, or choose another folder with "
        "'ganforge run --out'"
    )


def test_the_checkpoint_before_a_damaged_one_is_used(place: Path) -> None:
    folder = place / "mine" / "checkpoints"
    shutil.copytree(folder / f"{64:012d}", folder / f"{96:012d}")
    (folder / f"{96:012d}" / "manifest.json").write_text("{}")
    done = call(place, "sample", "mine", "--out", "x.png")
    assert (done.code, done.out) == (0, "8 samples (seed 0) written to x.png\n")
    assert done.err == (
        f"warning: mine/checkpoints/{96:012d}/manifest.json: not a checkpoint manifest: 'format'; "
        "falling back to the previous checkpoint\n"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", "mine/run.json: not JSON: Expecting property name"),
        (b"\xff", "mine/run.json: not JSON: 'utf-8' codec can't decode"),
        (b"[]", "mine/run.json: not a JSON object; restore the file that 'ganforge run' wrote"),
        (
            b"{}",
            "mine/run.json: 'data_spec' is missing or damaged; restore the file that 'ganforge run' wrote",
        ),
        (b'{"data_spec": {"shape": 3}}', "mine/run.json: 'data_spec' is missing or damaged; restore"),
    ],
)
def test_a_damaged_run_json_is_named(place: Path, content: bytes, expected: str) -> None:
    (place / "mine" / "run.json").write_bytes(content)
    assert refused(place, "mine").startswith(expected)


def test_a_config_that_was_changed_by_hand_is_blamed(place: Path) -> None:
    config = place / "mine" / "config.toml"
    config.write_text(config.read_text().replace("width = 8", "width = 16"))
    message = refused(place, "mine")
    assert message.startswith("mine/config.toml does not match the run's newest checkpoint: RuntimeError: ")
    assert message.endswith("revert the changes to the file, or install the plugins that mine/run.json lists")


def test_points_become_one_plot(tmp_path: Path) -> None:
    text = '[data]\ntype = "toy2d"\ncount = 100\n[nets]\ntype = "mlp"\ng_hidden = [8]\nd_hidden = [8]\n'
    (tmp_path / "my.toml").write_text(text)
    short = ("train.images=64", "train.device=cpu", "logging.grid_every=0", "wandb.mode=disabled")
    assert call(tmp_path, "run", "my.toml", "--out", "mine", *sets(*short)).code == 0
    done = call(tmp_path, "sample", "mine", "--out", "x.png", "--n", 20)
    assert (done.code, done.out) == (0, "20 samples (seed 0) written to x.png\n")
    assert pixels(tmp_path / "x.png").std() > 0
    done = call(tmp_path, "sample", "mine", "--out", "points", "--n", 2)
    assert (done.code, done.out) == (0, "2 samples (seed 0) written to points\n")
    assert [np.load(tmp_path / "points" / f"00000{i}.npy").shape for i in range(2)] == [(2,), (2,)]
    assert refused(tmp_path, "mine", "--condition", "red cube") == (
        "the data has no labels, so there are no conditions to choose from"
    )
