"""Several conditions by name: each stays with its sample, in every process and micro-batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, LabelSpec, Samples, UserError
from ganforge.components.calls import open_data
from ganforge.engine.data.batches import Batches
from ganforge.engine.data.micro_batches import micro_batches
from ganforge.testing.squares import Squares
from support.contexts import context

CPU = torch.device("cpu")
COUNT = 10


def samples(**kinds: Any) -> Samples:
    """Images that count up, so that each pixel tells which image it is of and where it was."""
    images = torch.arange(COUNT * 16, dtype=torch.uint8).view(COUNT, 1, 4, 4)
    labels = {
        "label": torch.eye(COUNT),
        "number": torch.arange(COUNT).float()[:, None],
        "image": 255 - images,
    }
    return Samples(images, labels, **kinds)


def number_of(images: Tensor) -> Tensor:
    """Which of the images each is, from its darkest pixel."""
    return ((images.amin(dim=(1, 2, 3)) + 1) * 127.5 / 16).round()


def test_each_condition_belongs_to_its_sample() -> None:
    batch = Batches(samples(), 4, 0, CPU).at(1)
    own = number_of(batch.real)
    assert torch.equal(batch.cond["label"].argmax(1).float(), own)
    assert torch.equal(batch.cond["number"].flatten(), own)
    torch.testing.assert_close(batch.cond["image"], -batch.real)


def test_flips_and_crops_move_an_image_among_them_with_its_sample() -> None:
    moved = Batches(samples(mirror=True, random_crop=1), 8, 0, CPU).at(0)
    still = Batches(samples(), 8, 0, CPU).at(0)
    assert not torch.equal(moved.real, still.real)
    torch.testing.assert_close(moved.cond["image"], -moved.real)
    assert torch.equal(moved.cond["number"], still.cond["number"])


@pytest.mark.parametrize("unpaired", [(), ("image",)])
def test_processes_and_micro_batches_share_them(unpaired: tuple[str, ...]) -> None:
    some = samples(mirror=True, unpaired=unpaired)
    whole = Batches(some, 8, 0, CPU, accumulate=2).at(0)
    parts = [list(micro_batches(Batches(some, 8, 0, CPU, rank, 2, 2).at(0), 2)) for rank in range(2)]
    for micro, expected in enumerate(micro_batches(whole, 2)):
        for name in ("label", "number", "image"):
            together = torch.cat([part[micro].cond[name] for part in parts])
            assert torch.equal(together, expected.cond[name]), name
            assert torch.equal(parts[1][micro].conds[name], expected.cond[name]), name


def test_those_that_are_a_collection_of_their_own_are_drawn_together() -> None:
    some = samples(unpaired=("number", "image"))
    batches = Batches(some, COUNT, 0, CPU)
    batch = batches.at(0)
    own = number_of(batch.real)
    assert torch.equal(batch.cond["label"].argmax(1).float(), own)
    assert not torch.equal(batch.cond["number"].flatten(), own)
    assert torch.equal(number_of(-batch.cond["image"]), batch.cond["number"].flatten())


def test_a_data_set_must_return_what_it_declares(tmp_path: Any) -> None:
    dataset = Squares(labels="named")
    spec = dataset.spec()
    found = open_data(dataset, "train", spec, context(tmp_path))
    assert set(found.labels) == {"color", "light", "negative"}
    fewer = DataSpec(
        shape=spec.shape, labels=LabelSpec(kind="named", parts={"color": spec.labels.parts["color"]})
    )
    with pytest.raises(UserError, match=r"declared labels named \['color'\], but build returned those of"):
        open_data(dataset, "train", fewer, context(tmp_path))
    narrow = {**spec.labels.parts, "light": LabelSpec(kind="vector", names=("level",))}
    with pytest.raises(UserError, match="declared 1 labels 'light' per sample, but build returned labels of"):
        open_data(
            dataset,
            "train",
            DataSpec(shape=spec.shape, labels=LabelSpec(kind="named", parts=narrow)),
            context(tmp_path),
        )


def test_a_spec_of_several() -> None:
    labels = Squares(labels="named").spec().labels
    assert (
        labels.in_words()
        == "color: one of 3 labels; light: a vector of 2 labels; negative: images of 3x16x16"
    )
    assert labels.numbers == 3 + 2 + 3 * 16 * 16
    assert LabelSpec.model_validate_json(labels.model_dump_json()) == labels
    with pytest.raises(UserError) as caught:
        _ = labels.shape
    assert str(caught.value) == "expected a single condition, got 3 by name (color, light, negative)"


def test_run_folders_of_a_single_condition_are_as_before() -> None:
    assert LabelSpec(kind="vector", names=("x",)).model_dump() == {
        "kind": "vector",
        "names": ("x",),
        "most": None,
        "least": 0,
        "size": (),
    }


@pytest.mark.parametrize(
    ("kind", "parts", "message"),
    [
        ("named", {}, "labels of kind 'named' got 0 parts"),
        (
            "one_of_k",
            {"a": LabelSpec(kind="one_of_k", names=("x", "y"))},
            "labels of kind 'one_of_k' got 1 parts",
        ),
        (
            "named",
            {"a=b": LabelSpec(kind="one_of_k", names=("x", "y"))},
            "as the name of a condition, got 'a=b'",
        ),
        ("named", {"a": LabelSpec()}, "condition 'a' cannot be of kind 'none'"),
    ],
)
def test_what_cannot_be_several_conditions(kind: Any, parts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelSpec(kind=kind, parts=parts)
