"""The flips and crops that every data set of images has, and what they need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import ImageDataset, Samples, UserError
from ganforge.config.load import validate
from ganforge.training.run import refuse
from support.installed import installed

REGISTRY = installed()
DATA: dict[str, tuple[dict[str, Any], int]] = {
    "iclevr": ({"image_size": 16}, 16),
    "celeba": ({"root": "/nowhere", "image_size": 16}, 16),
    "cifar10": ({"root": "/nowhere"}, 32),
    "image_folder": ({"root": "/nowhere", "image_size": [24, 16]}, 16),
}
"""Type -> its table, and the smaller side of its images."""


def refuse_crop(kind: str, random_crop: int) -> None:
    table = {"type": kind, **DATA[kind][0], "random_crop": random_crop}
    nets = {"type": "mlp", "g_hidden": [4], "d_hidden": [4]}
    document = {"data": table, "nets": nets, "train": {"batch_size": 4, "device": "cpu"}}
    refuse(validate(document, REGISTRY, file="run.toml"), 1)


def test_every_data_set_of_images_has_both_settings_from_one_place() -> None:
    owners = {
        name: dataset
        for name, dataset in REGISTRY.of("data").items()
        if {"mirror", "random_crop"} & dataset.model_fields.keys()
    }
    assert sorted(owners) == sorted(DATA)
    for dataset in owners.values():
        assert issubclass(dataset, ImageDataset)
        assert not {"mirror", "random_crop"} & set(vars(dataset)["__annotations__"])


@pytest.mark.parametrize("kind", DATA)
def test_a_crop_needs_images_larger_than_its_padding(kind: str) -> None:
    side = DATA[kind][1]
    refuse_crop(kind, side - 1)
    with pytest.raises(UserError) as caught:
        refuse_crop(kind, side)
    height = 24 if kind == "image_folder" else side
    assert str(caught.value) == (
        f"data.random_crop = {side} needs images larger than that, got {height}x{side} (height x width); "
        f"set random_crop = {side - 1} or less"
    )


def test_samples_carry_the_settings() -> None:
    dataset = REGISTRY.find("data", "cifar10")(root=Path("/nowhere"), mirror=True, random_crop=3)
    assert isinstance(dataset, ImageDataset)
    images, labels, groups = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.eye(2), torch.arange(2)
    samples = dataset.samples(images, labels, groups)
    assert isinstance(samples, Samples)
    assert (samples.mirror, samples.random_crop, samples.paired) == (True, 3, True)
    assert samples.images is images and samples.labels is labels and samples.groups is groups
