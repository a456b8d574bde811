"""A data set of the library `datasets`: its rows, its classes, and what is said of mistakes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import Stored, UserError
from ganforge.engine.data.batches import Batches
from ganforge.testing import outcomes
from support.contexts import context, opened
from support.deferred import deferred
from support.shards import CLASSES, png, scenes, seen
from support.toys import toy_registry

datasets = deferred("datasets")

from PIL import Image  # noqa: E402

from ganforge_huggingface import HuggingFace  # noqa: E402

TOTAL = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, classes = scenes(TOTAL)
    rows = {"picture": [Image.open(io.BytesIO(png(image))) for image in images], "kind": classes}
    features = datasets.Features(
        {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=list(CLASSES))}
    )
    place = tmp_path_factory.mktemp("hf") / "squares"
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows, features=features)}).save_to_disk(place)
    return place


def dataset(folder: Path, **keys: Any) -> HuggingFace:
    found = {"path": str(folder), "image": "picture", "label": "kind", "classes": CLASSES, "image_size": 16}
    return HuggingFace(**{**found, **keys})


def test_images_and_labels_are_those_of_the_rows(folder: Path, tmp_path: Path) -> None:
    found = opened(dataset(folder), tmp_path)
    images, classes = scenes(TOTAL)
    assert isinstance(found.images, Stored)
    assert torch.equal(found.images[:], images)
    assert found.labels is not None and found.labels.argmax(1).tolist() == classes
    assert opened(dataset(folder, classes=()), tmp_path).labels is None


def test_two_processes_see_disjoint_data_that_together_are_all(folder: Path, tmp_path: Path) -> None:
    shares = []
    for rank in range(2):
        batches = Batches(opened(dataset(folder), tmp_path), 8, 3, torch.device("cpu"), rank, 2)
        shares.append(seen([batches.at(index).real for index in range(TOTAL // 8)]))
    images, _ = scenes(TOTAL)
    assert not set(shares[0]) & set(shares[1])
    assert sorted(shares[0] + shares[1]) == sorted(row.numpy().tobytes() for row in images)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"image": "pictur"}, "{0} has no column 'pictur'; did you mean 'picture'? (columns: picture, kind); set data.image and data.label"),
        ({"classes": ("red", "green")}, "data.classes does not match the classes of {0}; set classes = ['red', 'green', 'blue']"),
        ({"train": "valid"}, "split 'valid' of data set '{0}' cannot be opened: 'valid'; check data.path and data.train, or set data.download = true to fetch it"),
    ],
)  # fmt: skip
def test_mistakes_are_explained(folder: Path, tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        dataset(folder, **keys).build("train", context(tmp_path))
    assert str(caught.value) == message.format(folder)


def test_it_keeps_the_contract(folder: Path) -> None:
    example = {"data": {"type": "huggingface", "path": str(folder), "image": "picture", "image_size": 16}}
    found = list(outcomes(HuggingFace, toy_registry(), example))
    assert [str(each) for each in found if each.verdict != "kept"] == []
