"""Samples of one kind as conditions of another network."""

from __future__ import annotations

from ganforge.api import DataSpec, LabelSpec, UserError


def as_condition(shape: tuple[int, ...]) -> LabelSpec:
    """Samples of `shape` as the condition of a network: an image, or a vector of points."""
    if len(shape) == 3:
        return LabelSpec(kind="image", size=shape)
    return LabelSpec(kind="vector", names=tuple(map(str, range(shape[0]))))


def image_condition(task: str, spec: DataSpec) -> tuple[int, ...]:
    """(C, H, W) of the images that are the data's conditions, or of the first among several by name. Raises
    `UserError` if there are none."""
    sizes = [part.size for part in spec.labels.each.values() if part.kind == "image"]
    if not sizes or not spec.is_image:
        what = "has none" if spec.labels.kind == "none" else f"has labels of kind '{spec.labels.kind}'"
        raise UserError(
            f"task '{task}': expected images whose conditions are images, but the data {what}; use [data] "
            "such as 'pairs' or 'derived'"
        )
    return sizes[0]
