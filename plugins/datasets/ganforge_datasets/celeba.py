"""CelebA: faces of celebrities, aligned, with forty attributes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from ganforge.api import (
    AbsolutePath,
    Context,
    DataSpec,
    Field,
    ImageDataset,
    LabelSpec,
    Samples,
    Split,
    UserError,
)
from ganforge_datasets.celeba_files import ATTRIBUTES, PARTITION, read_attributes, read_partition
from ganforge_datasets.decode import Form
from ganforge_datasets.decoded import Wanted, decoded
from ganforge_datasets.stores import FolderStore, Store, ZipStore, locate, refuse_missing

IMAGES = "img_align_celeba"


class CelebA(ImageDataset):
    """162,770 faces, labelled with any of 40 attributes, and 19,962 for tests."""

    source: ClassVar[str] = "Deep Learning Face Attributes in the Wild (Liu et al., 2015), arXiv:1411.7766"

    type: Literal["celeba"] = "celeba"
    example: ClassVar[Mapping[str, Any]] = {"data": {"type": "celeba", "root": "celeba"}}
    root: AbsolutePath = Field(
        description=f"Folder with {IMAGES} (a folder or a zip), list_attr_celeba.txt and {PARTITION}, "
        "anywhere inside."
    )
    image_size: Literal[16, 32, 64, 128] = Field(64, description="Height and width in pixels.")
    crop: int = Field(
        178,
        ge=16,
        le=178,
        description="Side of the square cut from the middle of the 178 x 218 images, in pixels, before they "
        "are resampled; 178 = all of the width.",
    )
    labelled: bool = Field(True, description="Give each image its attributes; false = none, for plain GANs.")

    def spec(self) -> DataSpec:
        labels = LabelSpec(kind="many_of_k", names=ATTRIBUTES) if self.labelled else LabelSpec()
        return DataSpec(shape=(3, self.image_size, self.image_size), labels=labels)

    def build(self, split: Split, context: Context) -> Samples:
        """Images uint8 [M, 3, S, S] and attributes uint8 [M, 40], in the order of the partition."""
        names = read_partition(self.root, split)
        attributes = read_attributes(self.root, names, context.track) if self.labelled else None
        store = _open(self.root)
        refuse_missing(names, PARTITION, store)
        form = Form(self.image_size, middle=self.crop)
        wanted = Wanted("celeba", store, names, form, f"images of {self.root} ({split})")
        images = decoded(wanted, context).images
        labels = None if attributes is None else torch.from_numpy(attributes)
        return self.samples(torch.from_numpy(images), labels)


def _open(root: Path) -> Store:
    folder, archive = locate(root, IMAGES), locate(root, f"{IMAGES}.zip")
    if folder is not None:
        return FolderStore(folder)
    if archive is not None:
        return ZipStore(archive)
    raise UserError(f"{root} holds neither a folder {IMAGES} nor {IMAGES}.zip; put one of them there")
