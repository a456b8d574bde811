"""The networks from image to image, in narrow."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganforge.api import Architecture, DataSpec, LabelSpec, Networks
from ganforge_architectures import Translator, UNet, Upscaler

KINDS: list[type[Architecture]] = [Translator, UNet, Upscaler]
NARROW: dict[str, object] = {"width": 4, "d_width": 4, "d_layers": 2}
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type_name())


def spec(image: tuple[int, ...] = (3, 32, 32), condition: tuple[int, ...] = (1, 32, 32)) -> DataSpec:
    labels = LabelSpec(kind="image", size=condition) if condition else LabelSpec()
    return DataSpec(shape=image, labels=labels)


def small_spec(kind: type[Architecture]) -> DataSpec:
    return spec(condition=(3, 8, 8)) if kind is Upscaler else spec()


def build(kind: type[Architecture], spec: DataSpec | None = None, **fields: object) -> Networks:
    torch.manual_seed(0)
    return kind.model_validate(NARROW | fields).build(spec or small_spec(kind), 5, {"q": 2})


def condition_for(kind: type[Architecture], n: int = 2) -> Tensor:
    return torch.rand(n, *small_spec(kind).labels.size) * 2 - 1


def leaves(tree: object) -> list[Tensor]:
    return [tree] if isinstance(tree, Tensor) else [t for branch in tree for t in leaves(branch)]  # type: ignore[attr-defined]
