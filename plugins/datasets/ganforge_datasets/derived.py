"""Images of another data set, each with a condition that is made of it: edges to photos, small to large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Context, Dataset, DataSpec, Field, LabelSpec, Samples, Split, UserError, in_memory
from ganforge_datasets.conditions_of import edges, grey, hole, low, outline
from ganforge_datasets.labels_kept import labels_with, with_labels

Kind = Literal["grey", "edges", "outline", "low", "hole", "same", "left", "right"]
AT_ONCE = 256
"""Images that conditions are made of at a time."""


class Derived(Dataset):
    """The images of `of`; the condition is an image made of each, by default without its label."""

    type: Literal["derived"] = "derived"
    source: ClassVar[str] = (
        "Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2016), "
        "arXiv:1611.07004, section 4; low: Photo-Realistic Single Image Super-Resolution Using a "
        "Generative Adversarial Network (Ledig et al., 2016), arXiv:1609.04802, section 2; hole: Context "
        "Encoders: Feature Learning by Inpainting (Pathak et al., 2016), arXiv:1604.07379, section 3.3"
    )
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "translate"},
        "data": {"type": "derived", "of": {"type": "squares"}, "condition": "grey"},
        "nets": {"type": "unet", "width": 4, "d_width": 4, "d_layers": 1},
    }
    of: Dataset = Field(description="The data set whose images these are: a table [data.of].")
    condition: Kind = Field(
        description="grey; edges (Sobel); outline = a line around what is bright; low = averaged down by "
        "`factor`; hole = with the middle cut out, half of each side; same = the image itself; left, right = "
        "that half of a picture in two halves, of which the other is the sample.",
    )
    factor: int = Field(4, ge=2, description='Pixels a side that become one, for condition = "low".')
    paired: bool = Field(
        True,
        description="false = samples are the first half of the data, and conditions are made of the second: "
        "none belongs to any sample, as for the task 'cycle'.",
    )
    with_labels: bool = Field(
        False,
        description="Conditions by name: the image as `image`, and the labels of `of` as `label`; false = "
        "the image alone.",
    )

    def spec(self) -> DataSpec:
        """Raises `UserError` where the condition cannot be made of such samples."""
        inner = self.of.spec()
        if not inner.is_image:
            raise UserError(
                f"data 'derived': makes conditions of images, and data '{self.of.type}' has samples of shape "
                f"{inner.shape}; name another data set in [data.of]"
            )
        channels, height, width = inner.shape
        self._check_sides(height, width)
        if self.condition in ("left", "right"):
            half = (channels, height, width // 2)
            return DataSpec(shape=half, labels=self._labels(half, inner))
        if self.condition in ("grey", "edges", "outline"):
            channels = 1
        if self.condition == "low":
            height, width = height // self.factor, width // self.factor
        return DataSpec(shape=inner.shape, labels=self._labels((channels, height, width), inner))

    def build(self, split: Split, context: Context) -> Samples:
        """Images uint8 [M, C, H, W] and conditions uint8 [M', C', H', W'], held in memory."""
        inner = self.of.build(split, context)
        if self.condition in ("left", "right"):
            samples, conditions = self._halves(in_memory(inner.images))
        else:
            samples, conditions = in_memory(inner.images), self._made(in_memory(inner.images), context)
        groups = inner.groups
        if not self.paired:
            if len(samples) < 2:
                raise UserError(f"data 'derived': paired = false needs 2 images, got {len(samples)}")
            middle = (len(samples) + 1) // 2
            samples, conditions = samples[:middle], conditions[middle:]
            groups = None if groups is None else groups[:middle]
        return with_labels(
            Samples(samples, conditions, inner.mirror, groups, inner.random_crop, self.paired),
            inner if self.with_labels else None,
        )

    def _labels(self, size: tuple[int, ...], inner: DataSpec) -> LabelSpec:
        image = LabelSpec(kind="image", size=size, paired=self.paired)
        return labels_with(self, self.of, image, inner) if self.with_labels else image

    def _check_sides(self, height: int, width: int) -> None:
        of = f"images of {height}x{width}"
        if self.condition == "low" and (height % self.factor or width % self.factor):
            raise UserError(
                f"data 'derived': factor = {self.factor} does not divide {of}; use another factor"
            )
        if self.condition in ("left", "right") and width % 2:
            raise UserError(f"data 'derived': {of} cannot be cut into two halves; use an even width")

    def _halves(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The samples and the conditions."""
        left, right = images.tensor_split(2, dim=3)
        return (right, left) if self.condition == "left" else (left, right)

    def _made(self, images: Tensor, context: Context) -> Tensor:
        if self.condition == "same":
            return images
        make: dict[str, Callable[[Tensor], Tensor]] = {
            "grey": grey,
            "edges": edges,
            "outline": outline,
            "low": lambda part: low(part, self.factor),
            "hole": hole,
        }
        labels = self.spec().labels
        size = labels.parts["image"].size if labels.parts else labels.size
        found = torch.empty(len(images), *size, dtype=torch.uint8)
        starts = range(0, len(images), AT_ONCE)
        for start in context.track(starts, len(starts), "making conditions"):
            part = slice(start, start + AT_ONCE)
            found[part] = make[self.condition](images[part])
        return found
