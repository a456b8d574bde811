"""Any folder or zip of images, with the labels of its sub-folders, of a file, or none."""

from __future__ import annotations

import json
from typing import Literal

import torch
from pydantic import ValidationInfo, field_validator

from ganforge.api import AbsolutePath, Context, Dataset, DataSpec, Field, LabelSpec, Samples, Split, UserError
from ganforge_datasets.decode import FORMAT, Form, decode_images
from ganforge_datasets.image_files import ImageFiles
from ganforge_datasets.image_labels import Labels, from_file, from_folders
from ganforge_datasets.uint8_cache import cache_key, cached


class ImageFolder(Dataset):
    """Images of any size and kind, brought to one form; labels from sub-folders or a file, or none."""

    type: Literal["image_folder"] = "image_folder"
    root: AbsolutePath = Field(description="Folder or zip with images (PNG, JPEG, WebP, BMP), at any depth.")
    labels: Literal["none", "folder", "file"] = Field(
        "none",
        description="folder = the sub-folder of root is the class; file = labels.json or labels.csv in root "
        'says ({"a.png": "cat"}, {"a.png": ["red", "big"]}; file,label or file and a 0/1 column a label).',
    )
    names: tuple[str, ...] = Field(
        (), description="All labels, in the order of the columns; leave out to be told those of the files."
    )
    label_kind: Literal["one_of_k", "many_of_k"] = Field(
        "one_of_k", description="one_of_k = one label an image; many_of_k = any number, none as well."
    )
    image_size: int = Field(64, ge=4, le=1024, description="Height and width in pixels.")
    channels: Literal[1, 3] = Field(3, description="3 = colour, 1 = grey.")
    fit: Literal["crop", "pad", "resize"] = Field(
        "crop",
        description="Images that are not square: crop = the middle of them, pad = with black bars, "
        "resize = distorted.",
    )
    mirror: bool = Field(
        False, description="Flip images left to right at random during training; false = never."
    )
    random_crop: int = Field(
        0,
        ge=0,
        description="During training, take random crops out of images padded by so many mirrored pixels on "
        "each side; 0 = off.",
    )

    @field_validator("names")
    @classmethod
    def _fits_labels(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if names and info.data.get("labels") == "none":
            raise ValueError('there are no labels to name while labels = "none"; say "folder" or "file"')
        if len(set(names)) < len(names):
            raise ValueError("a name is given twice")
        if any(not name or name != name.strip() for name in names):
            raise ValueError("a name is empty, or has blanks around it")
        return names

    @field_validator("random_crop")
    @classmethod
    def _fits_size(cls, random_crop: int, info: ValidationInfo) -> int:
        if random_crop and random_crop >= info.data.get("image_size", random_crop + 1):
            raise ValueError("must be smaller than image_size, which is what there is to be mirrored")
        return random_crop

    def spec(self) -> DataSpec:
        """Touches no file, but for the message of the `UserError` where labels are asked for without
        their names: it lists those of the files."""
        if self.labels == "none":
            return DataSpec(shape=self._shape())
        if not self.names:
            found = list(self._labels(ImageFiles(self.root)).known)
            raise UserError(
                f'data.labels = "{self.labels}" needs data.names; those of {self.root} are\n'
                f"names = {json.dumps(found, ensure_ascii=False)}"
            )
        return DataSpec(shape=self._shape(), labels=LabelSpec(kind=self.label_kind, names=self.names))

    def build(self, split: Split, context: Context) -> Samples:
        """Images uint8 [M, C, S, S], in the order of their paths, or of the label file."""
        if split == "test":
            raise UserError(f"data '{self.type}' has no test split; use the split 'train'")
        files = ImageFiles(self.root)
        paths, rows = files.paths, None
        if self.labels != "none":
            labels = self._labels(files)
            paths, rows = list(labels.of), torch.from_numpy(labels.rows(self.spec().labels))
            left_out = len(files.paths) - len(paths)
            if left_out:
                context.say(f"data: {left_out:,} images of {self.root} have no label and are left out")
        form = Form(self.image_size, self.channels, self.fit)
        images = cached(
            context.cache,
            cache_key("image_folder", FORMAT, form, paths, files.store.fingerprint()),
            (len(paths), *self._shape()),
            f"images of {self.root}",
            lambda: decode_images(files.store, paths, form, context.track),
            context.say,
        )
        return Samples(torch.from_numpy(images), rows, self.mirror, random_crop=self.random_crop)

    def _shape(self) -> tuple[int, int, int]:
        return (self.channels, self.image_size, self.image_size)

    def _labels(self, files: ImageFiles) -> Labels:
        return from_folders(files, self.names) if self.labels == "folder" else from_file(files)
