"""Two data sets side by side: the images of one are the conditions of the other's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal

import torch

from ganforge.api import Context, Dataset, DataSpec, Field, LabelSpec, Samples, Split, UserError, in_memory
from ganforge_datasets.image_files import ImageFiles
from ganforge_datasets.image_folder import ImageFolder
from ganforge_datasets.labels_kept import labels_with, with_labels


class Pairs(Dataset):
    """The images of `of`; the condition of image i is image i of `condition`, by default without its label.

    The images of folders and zips are in the order of their paths, and must have the same names.
    """

    type: Literal["pairs"] = "pairs"
    source: ClassVar[str] = (
        "Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2016), "
        "arXiv:1611.07004, section 3; unpaired: Unpaired Image-to-Image Translation using Cycle-"
        "Consistent Adversarial Networks (Zhu et al., 2017), arXiv:1703.10593, section 3"
    )
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "translate"},
        "data": {"type": "pairs", "of": {"type": "squares"}, "condition": {"type": "squares"}},
        "nets": {"type": "unet", "width": 4, "d_width": 4, "d_layers": 1},
    }
    of: Dataset = Field(description="The data set with the samples: a table [data.of].")
    condition: Dataset = Field(description="The data set with the conditions: a table [data.condition].")
    paired: bool = Field(
        True,
        description="false = the two have nothing to do with each other, and may differ in number, as for "
        "the task 'cycle'.",
    )
    with_labels: bool = Field(
        False,
        description="Conditions by name: the image as `image`, and the labels of `of` as `label`; false = "
        "the image alone.",
    )

    def spec(self) -> DataSpec:
        """Raises `UserError` where either has no images."""
        specs = [
            (table, data, data.spec()) for table, data in (("of", self.of), ("condition", self.condition))
        ]
        for table, data, spec in specs:
            if not spec.is_image:
                raise UserError(
                    f"data 'pairs': expected images, and data '{data.type}' has samples of shape "
                    f"{spec.shape}; name another data set in [data.{table}]"
                )
        (_, _, of), (_, _, condition) = specs
        image = LabelSpec(kind="image", size=condition.shape, paired=self.paired)
        labels = labels_with(self, self.of, image, of) if self.with_labels else image
        return DataSpec(shape=of.shape, labels=labels)

    def build(self, split: Split, context: Context) -> Samples:
        """Images uint8 [M, C, H, W] and conditions uint8 [M', C', H', W']; flips and crops are those of
        `of`, which moves both alike."""
        samples, conditions = self.of.build(split, context), self.condition.build(split, context)
        if conditions.images.dtype != torch.uint8:
            raise UserError(f"data 'pairs': data '{self.condition.type}' has no bytes, which conditions are")
        if self.paired:
            self._check_names()
            if len(samples) != len(conditions):
                raise UserError(
                    f"data 'pairs': got {len(samples):,} samples and {len(conditions):,} conditions; "
                    "expected as many of both, or data.paired = false"
                )
        found = Samples(
            samples.images,
            in_memory(conditions.images),
            samples.mirror,
            samples.groups,
            samples.random_crop,
            self.paired,
        )
        return with_labels(found, samples if self.with_labels else None)

    def _check_names(self) -> None:
        """Raises `UserError` where images of two folders would be paired whose names differ."""
        if not isinstance(self.of, ImageFolder) or not isinstance(self.condition, ImageFolder):
            return
        ours, theirs = (ImageFiles(folder.root) for folder in (self.of, self.condition))
        there = {_stem(path) for path in theirs.paths}
        for path in ours.paths:
            if _stem(path) not in there:
                raise UserError(
                    f"{ours.store.where(path)} has no condition of the same name in {theirs.root}; add it, "
                    "or say data.paired = false"
                )
        here = {_stem(path) for path in ours.paths}
        for path in theirs.paths:
            if _stem(path) not in here:
                raise UserError(
                    f"{theirs.store.where(path)} has no sample of the same name in {ours.root}; remove it, "
                    "or say data.paired = false"
                )


def _stem(path: str) -> str:
    """The path inside, without the ending."""
    return PurePosixPath(path).with_suffix("").as_posix()
