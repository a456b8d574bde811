"""A run with several conditions by name, from its file to samples and ONNX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import ganforge
from ganforge.api import UserError
from ganforge.components.registry import discover
from ganforge.evaluation.sample import open_generator
from ganforge.export.playground import refuse_what_has_no_picture
from support.command_line import call

FILE = """
[data]
type = "derived"
condition = "grey"
with_labels = true

[data.of]
type = "iclevr"
image_size = 16
scenes = 8

[prior]
type = "normal"
dim = 4

[nets]
type = "mlp"
g_hidden = [8]
d_hidden = [8]

[train]
images = 16
batch_size = 8
device = "cpu"

[logging]
grid_every = 0
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("named")
    (folder / "named.toml").write_text(FILE)
    Image.new("L", (16, 16), 90).save(folder / "scene.png")
    done = call(folder, "run", "named.toml", "--out", "run")
    assert done.code == 0, done.err
    return folder


def test_the_command_line_takes_them_by_name(place: Path) -> None:
    done = call(place, "sample", "run", "-c", "label=red cube", "-c", "image=scene.png", "-n", 2, "-o", "two")
    assert done.code == 0, done.err
    listed = json.loads((place / "two/samples.json").read_text())
    assert [each["condition"] for each in listed] == [{"image": None, "label": ["red cube"]}] * 2
    together = call(place, "sample", "run", "-c", "label=red cube; image=scene.png", "-n", 2, "-o", "again")
    assert together.code == 0, together.err
    names = ("000000.png", "000001.png")
    assert [(place / "two" / n).read_bytes() for n in names] == [
        (place / "again" / n).read_bytes() for n in names
    ]


def test_a_list_of_objects_makes_a_grid_with_names(place: Path) -> None:
    wishes = [{"label": ["red cube"], "image": "scene.png"}, {"label": "blue cube", "image": "scene.png"}]
    (place / "list.json").write_text(json.dumps(wishes))
    done = call(place, "sample", "run", "--conditions", "list.json", "--grid", "-n", 3, "-o", "grid.png")
    assert done.code == 0 and (place / "grid.png").is_file(), done.err


def test_python_takes_a_dict(place: Path) -> None:
    run = ganforge.load_run(place / "run")
    assert run.conditions == ("image", "label")
    image = torch.zeros(1, 16, 16)
    drawn = run.sample({"label": "red cube", "image": image}, n=3)
    assert drawn.cond["image"].shape == (3, 1, 16, 16) and len(drawn) == 3
    varied = run.sample({"image": image}, n=3)
    assert torch.equal(varied.z, drawn.z) and not torch.equal(varied.cond["label"], drawn.cond["label"])
    assert len(run.interpolate({"image": image, "label": "red cube"}, rows=1, steps=3)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "condition 'image' is images of 1x16x16; pass it with --condition"),
        (
            ("--grid",),
            "there are several conditions (image, label), so a grid needs a list of them: --conditions",
        ),
        (("-c", "red cube"), "expected NAME=VALUE, got 'red cube'; the conditions are image, label"),
    ],
)
def test_what_is_missing_is_one_line(place: Path, arguments: Any, message: str) -> None:
    done = call(place, "sample", "run", "-o", "no.png", *arguments)
    assert done.code != 0 and message in done.err and "Traceback" not in done.err


def test_onnx_has_an_input_for_each(place: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    done = call(place, "export", "run", "--onnx", "run.onnx")
    assert done.code == 0, done.err
    model = onnx.load(place / "run.onnx")
    assert [each.name for each in model.graph.input] == ["z", "cond_image", "cond_label"]


def test_the_page_takes_one(place: Path) -> None:
    generator = open_generator(place / "run", discover(), print)
    with pytest.raises(UserError) as caught:
        refuse_what_has_no_picture(generator)
    assert str(caught.value) == "the page takes a single condition, got 2 by name (image, label); use --onnx"


def test_with_labels_needs_some(tmp_path: Path) -> None:
    (tmp_path / "no.toml").write_text(
        FILE.replace('type = "iclevr"\nimage_size = 16\nscenes = 8', 'type = "stacked_mnist"')
    )
    done = call(tmp_path, "check", "no.toml")
    assert "data 'derived': with_labels needs labels, and data 'stacked_mnist' has none" in done.err
    with pytest.raises(UserError):
        ganforge.check(tmp_path / "no.toml")
