"""What a label may be: names, numbers, or an image with a size."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ganforge.api import LabelSpec, UserError


@pytest.mark.parametrize(
    ("labels", "width", "shape"),
    [
        (LabelSpec(), 0, ()),
        (LabelSpec(kind="one_of_k", names=("a", "b")), 2, (2,)),
        (LabelSpec(kind="vector", names=("x", "y", "z")), 3, (3,)),
        (LabelSpec(kind="image", size=(3, 16, 8)), 0, (3, 16, 8)),
    ],
)
def test_shapes(labels: LabelSpec, width: int, shape: tuple[int, ...]) -> None:
    assert (labels.width, labels.shape) == (width, shape)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "image"}, "labels of kind 'image' need size = (C, H, W), got ()"),
        ({"kind": "image", "size": (3, 8)}, "labels of kind 'image' need size = (C, H, W), got (3, 8)"),
        ({"kind": "image", "size": (3, 8, 0)}, "labels of kind 'image' need size = (C, H, W), got (3, 8, 0)"),
        ({"kind": "image", "size": (3, 8, 8), "names": ("a",)}, "labels of kind 'image' have no names and no most"),
        ({"kind": "one_of_k", "names": ("a",), "size": (1, 8, 8)}, "labels of kind 'one_of_k' have no size, got (1, 8, 8)"),
    ],
)  # fmt: skip
def test_a_size_is_for_images_alone(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        LabelSpec.model_validate(fields)
    assert refusal.value.errors()[0]["msg"] == f"Value error, {message}"


def test_an_image_has_no_names() -> None:
    with pytest.raises(UserError) as refusal:
        LabelSpec(kind="image", size=(1, 28, 28)).encode(["a"])
    assert str(refusal.value) == "the condition is an image of 1x28x28 (channels x height x width), not names"
