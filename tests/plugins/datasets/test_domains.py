"""Images of several domains, and labels next to an image: what belongs to which sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import Dataset, Samples, UserError
from ganforge.components.calls import open_data, spec_of
from ganforge.testing.squares import Squares
from ganforge_datasets.conditions_of import grey, outline
from ganforge_datasets.derived import Derived
from ganforge_datasets.domains import Domains
from ganforge_datasets.pairs import Pairs
from support.contexts import context


def opened(dataset: Dataset, folder: Path) -> Samples:
    return open_data(dataset, "train", spec_of(dataset), context(folder))


def test_the_labels_of_a_data_set_are_its_domains(tmp_path: Path) -> None:
    inner = opened(Squares(labels="one_of_k"), tmp_path)
    samples = opened(Domains(of=Squares(labels="one_of_k")), tmp_path)
    assert torch.equal(samples.images, inner.images)
    assert torch.equal(samples.labels["domain"], inner.labels)
    assert torch.equal(samples.labels["origin"], inner.labels)
    assert torch.equal(samples.labels["image"], inner.images)
    assert set(samples.unpaired) == {"image", "origin"}


def test_looks_are_made_of_the_images_in_turn(tmp_path: Path) -> None:
    inner = opened(Squares(labels="none"), tmp_path).images
    samples = opened(Domains(of=Squares(labels="none"), looks=("plain", "inverted", "outline")), tmp_path)
    assert samples.labels["domain"].argmax(1).tolist() == [i % 3 for i in range(48)]
    assert torch.equal(samples.images[0::3], inner[0::3])
    assert torch.equal(samples.images[1::3], 255 - inner[1::3])
    assert torch.equal(samples.images[2::3], outline(inner[2::3]).expand(-1, 3, -1, -1))


@pytest.mark.parametrize(
    ("of", "looks", "message"),
    [
        (
            "many_of_k",
            (),
            "expected data with a class for each image, and data 'squares' has many of 3 labels",
        ),
        ("none", ("plain",), "expected two or more different domains, got plain"),
        ("none", ("plain", "plain"), "expected two or more different domains, got plain, plain"),
    ],
)
def test_what_makes_no_domains(of: Any, looks: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        spec_of(Domains(of=Squares(labels=of), looks=looks))


@pytest.mark.parametrize("paired", [True, False])
def test_labels_next_to_an_image_that_is_made(tmp_path: Path, paired: bool) -> None:
    inner = opened(Squares(), tmp_path)
    samples = opened(Derived(of=Squares(), condition="grey", with_labels=True, paired=paired), tmp_path)
    n = len(samples)
    assert torch.equal(samples.labels["label"], inner.labels[:n])
    assert torch.equal(samples.labels["image"], grey(inner.images[:n] if paired else inner.images[n:]))
    assert list(samples.unpaired) == ([] if paired else ["image"])


def test_labels_next_to_an_image_of_another_data_set(tmp_path: Path) -> None:
    samples = opened(Pairs(of=Squares(), condition=Squares(labels="none"), with_labels=True), tmp_path)
    assert torch.equal(samples.labels["label"], opened(Squares(), tmp_path).labels)
    assert torch.equal(samples.labels["image"], opened(Squares(labels="none"), tmp_path).images)


def test_labels_that_are_not_there_cannot_be_kept() -> None:
    with pytest.raises(UserError) as caught:
        spec_of(Derived(of=Squares(labels="none"), condition="grey", with_labels=True))
    assert str(caught.value) == (
        "data 'derived': with_labels needs labels, and data 'squares' has none; set it to false"
    )
