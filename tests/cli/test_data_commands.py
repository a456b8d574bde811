"""What becomes of folders of images on the command line: `run`, `check --data`, `sample`, `cache`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.command_line import call, complaint, contents
from support.pictures import folder, png

RUN = """\
[data]
type = "image_folder"
root = "data"
image_size = 32
{data}
[nets]
type = "dcgan"
width = 4
{nets}
[train]
images = 8
batch_size = 4
device = "cpu"
[logging]
every = 4
grid_every = 0
[wandb]
mode = "disabled"
{more}
"""
FILES = {f"{number}.png": png(20 * number) for number in range(8)}


def place(tmp_path: Path, data: str = "", nets: str = "", more: str = "", **files: bytes | str) -> Path:
    """A folder with images and a run file."""
    folder(tmp_path / "data", FILES | files)
    (tmp_path / "run.toml").write_text(RUN.format(data=data, nets=nets, more=more))
    return tmp_path


def test_check_opens_the_data_where_it_is_asked_to(tmp_path: Path) -> None:
    labels = json.dumps({f"{number}.png": ["big"] if number < 3 else [] for number in range(7)})
    data = 'labels = "file"\nlabel_kind = "many_of_k"\nnames = ["big"]'
    here = place(tmp_path, data, **{"labels.json": labels, "notes.txt": "x"})
    plain = call(here, "check", "run.toml")
    assert plain.code == 0 and "data: " not in plain.out and not (here / ".cache").exists()
    done = call(here, "check", "run.toml", "--data")
    root = here / "data"
    assert done.out.splitlines()[-5:] == [
        f"data: 8 images in {root}; skipped 1 not images (notes.txt)",
        f"data: 1 images of {root} have no label and are left out",
        "data: 7 samples can be trained on",
        "data: samples per label: big 3",
        "data: 4 samples carry no label",
    ]
    (root / "3.png").write_bytes(b"")
    done = call(here, "check", "run.toml", "--data", "--set", "data.skip_damaged=true")
    assert (
        f"  {root}/3.png is empty (0 bytes); copy it again\ndata: 6 samples can be trained on\n" in done.out
    )
    assert call(here, "check", "run.toml", "--data").code == 2


def test_what_is_said_of_the_data_is_recorded(tmp_path: Path) -> None:
    clear = np.zeros((9, 9, 4), np.uint8)
    here = place(tmp_path, **{"c.png": png(clear, "RGBA"), os.fsdecode(b"\xe9.txt"): "x"})
    assert call(here, "run", "run.toml", "--out", "out").code == 0
    assert json.loads((here / "out" / "run.json").read_text())["data"] == [
        f"data: 9 images in {here}/data; skipped 1 not images (\\udce9.txt)",
        "data: 1 images have transparency, composed on #ffffff (data.background)",
    ]


def test_the_cache_is_listed_cleared_and_made_fresh(tmp_path: Path) -> None:
    here = place(tmp_path)
    assert (
        call(here, "cache").out
        == f"0 entries, 0 B of at most 64.0 GiB (GANFORGE_CACHE_GIB), in {here}/.cache/ganforge\n"
    )
    assert call(here, "run", "run.toml", "--out", "first").code == 0
    first, last = call(here, "cache").out.splitlines()
    (entry,) = (here / ".cache" / "ganforge").glob("*.npy")
    size = f"{entry.stat().st_size / 1024:.1f} KiB"
    assert first.split()[:2] == size.split() and first.endswith(f"  {entry.stem}  images of {here}/data")
    assert last.startswith(f"1 entries, {size} of at most 64.0 GiB")
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-9] + b"\x09" * 9)
    assert call(here, "run", "run.toml", "--out", "second").code == 0 and entry.read_bytes() != whole
    assert call(here, "run", "run.toml", "--out", "third", "--fresh-cache").code == 0
    assert entry.read_bytes() == whole
    done = call(here, "cache", "clear", "nothing")
    assert (done.code, done.err) == (
        2,
        f"no entry 'nothing' in {here}/.cache/ganforge; 'ganforge cache' lists them\n",
    )
    assert call(here, "cache", "clear", entry.stem).out == f"deleted 1 entries, {size}\n"
    assert not list((here / ".cache" / "ganforge").iterdir())
    assert call(here, "cache", "clear").out == "deleted 0 entries, 0 B\n"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run `out` on labels of which one has a comma, and of which none is a choice."""
    labels = json.dumps(
        {
            f"{number}.png": [["red, dark", "caf\u00e9"][number % 2]] if number < 2 else []
            for number in range(8)
        }
    )
    data = 'labels = "file"\nlabel_kind = "many_of_k"\nnames = ["red, dark", "caf\u00e9"]'
    terms = '[[terms]]\ntype = "auxiliary_classifier"'
    here = place(tmp_path_factory.mktemp("labelled"), data, more=terms, **{"labels.json": labels})
    assert call(here, "run", "run.toml", "--out", "out").code == 0
    return here


def test_samples_without_any_label_leave_no_hole_in_the_records(labelled: Path) -> None:
    rows = [json.loads(line) for line in (labelled / "out" / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and not any("nonfinite" in row for row in rows)
    for row in rows:
        for name in ("estimate/class_accuracy_real", "estimate/class_accuracy_fake"):
            assert name not in row or 0 <= row[name] <= 1
        assert not any(name.endswith("/whole") for name in row)


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("", []),
        ("red, dark", ["red, dark"]),
        ('"red, dark"', ["red, dark"]),
        ('"red, dark", caf\u00e9', ["red, dark", "caf\u00e9"]),
        ("cafe\u0301, red, dark", ["red, dark", "caf\u00e9"]),
    ],
)
def test_conditions_with_commas_and_without_labels(
    labelled: Path, tmp_path: Path, asked: str, got: list[str]
) -> None:
    out = tmp_path / "samples"
    assert call(labelled, "sample", "out", "--condition", asked, "--n", 1, "--out", out).code == 0
    assert json.loads((out / "samples.json").read_text())[0]["condition"] == got
    (tmp_path / "c.json").write_text(json.dumps([got, asked]))
    done = call(labelled, "sample", "out", "--conditions", tmp_path / "c.json", "--out", tmp_path / "both")
    assert done.code == 0
    assert [each["condition"] for each in json.loads((tmp_path / "both" / "samples.json").read_text())] == [
        got,
        got,
    ]


def test_labels_with_commas_are_listed_in_quotes(labelled: Path) -> None:
    done = call(labelled, "sample", "out", "--condition", "red, light")
    assert (done.code, done.err) == (
        2,
        "unknown label 'red' (labels: \"red, dark\", caf\u00e9)\n",
    )


@pytest.mark.parametrize(
    ("name", "form"), [("x.jpg", "JPEG"), ("x.JPEG", "JPEG"), ("x.webp", "WEBP"), ("x.png", "PNG")]
)
def test_grids_in_other_formats(labelled: Path, tmp_path: Path, name: str, form: str) -> None:
    done = call(labelled, "sample", "out", "--n", 9, "--out", tmp_path / name)
    assert (done.code, done.out) == (0, f"9 samples (seed 0) written to {tmp_path / name}\n")
    with Image.open(tmp_path / name) as image:
        assert image.format == form and image.size == (8 * 34 - 2, 2 * 34 - 2)


def test_a_folder_is_not_named_like_a_file(labelled: Path, tmp_path: Path) -> None:
    done = call(labelled, "sample", "out", "--out", tmp_path / "x.gif")
    assert (done.code, done.err) == (
        2,
        f"expected --out to be a folder or one of .png, .jpg, .jpeg, .webp, got {tmp_path}/x.gif; use --out "
        f"{tmp_path}/x.png\n",
    )
    assert not list(tmp_path.iterdir())


def test_a_working_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    here = tmp_path / os.fsdecode(b"caf\xe9")
    here.mkdir()
    place(here)
    before = contents(here)
    done = call(here, "run", "run.toml")
    assert (done.code, done.err) == (
        2,
        f"the working folder {os.fsencode(here)!r} is not UTF-8, so it cannot be recorded; rename it or link to it "
        "by another name\n",
    )
    assert contents(here) == before
    assert call(here, "--help").code == 0
    (tmp_path / "plain").symlink_to(here)
    done = call(tmp_path, "run", "plain/run.toml", "--set", f"data.root={here}")
    assert done.code == 2 and done.err.startswith("the argument b'data.root=")


def test_arguments_that_are_no_text(tmp_path: Path) -> None:
    here = place(tmp_path)
    before = contents(here)
    for arguments in (
        ("run", "run.toml", "--out", os.fsdecode(b"\xe9")),
        ("check", os.fsdecode(b"\xe9.toml")),
    ):
        done = call(here, *arguments)
        assert (done.code, done.err) == (
            2,
            f"the argument {os.fsencode(arguments[-1])!r} is not UTF-8, so it cannot be recorded; rename it or link "
            "to it by another name\n",
        )
    assert contents(here) == before


def test_a_class_folder_whose_name_is_no_text_leaves_nothing(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    here = place(tmp_path, 'labels = "folder"\nnames = ["x", "y"]')
    (here / "data" / name).mkdir()
    for path in sorted((here / "data").glob("*.png")):
        path.rename(here / "data" / name / path.name)
    before = contents(here)
    done = call(here, "run", "run.toml", "--out", "out")
    assert (
        done.code == 2
        and "is not UTF-8, so it cannot be a label in a run file; rename the folder" in complaint(done)
    )
    assert contents(here) == before


def test_a_batch_of_one_is_refused_where_vectors_are_normalized(tmp_path: Path) -> None:
    here = place(tmp_path, nets="fc_width = 8")
    for settings in (("train.batch_size=1",), ("train.batch_size=2", "train.accumulate=2")):
        sets = [word for setting in settings for word in ("--set", setting)]
        for command in (("check",), ("run", "--out", "out")):
            done = call(here, command[0], "run.toml", *command[1:], *sets)
            assert done.code == 2 and complaint(done).endswith(
                "batch normalizations of nets 'dcgan' get 1 sample at a time (train.batch_size over "
                "train.accumulate and the processes) and subtract its mean, which of vectors leaves nothing; raise "
                "train.batch_size\n"
            )
            assert not (here / "out").exists()


def test_advice_is_shown_by_check_and_when_a_run_begins_until_it_is_silenced(tmp_path: Path) -> None:
    here = place(tmp_path, more='[loss]\ntype = "bce"\nsmooth_real = 0.9')
    text = (
        "loss.smooth_real = 0.9 makes the target for real samples 0.1, closer to that of fakes (Salimans et al., "
        "2016, arXiv:1606.03498, section 3.4, smooths 1 to 0.9); for a target of 0.9 write smooth_real = 0.1 (if it "
        'is meant: train.silence = ["bce.smooth_real"])'
    )
    first, second, *_ = call(here, "check", "run.toml").out.splitlines()
    assert first == "run.toml: everything fits together, but see the warnings"
    assert second == f"  warning        {text}"
    assert f"warning: {text}\n" in call(here, "run", "run.toml", "--out", "a").err
    silent = ("--set", 'train.silence=["bce.smooth_real"]')
    assert (
        call(here, "check", "run.toml", *silent).out.splitlines()[0] == "run.toml: everything fits together"
    )
    assert "warning" not in call(here, "run", "run.toml", "--out", "b", *silent).err
