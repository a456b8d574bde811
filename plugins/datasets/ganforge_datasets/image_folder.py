"""Any folder or zip of images, with the labels of its sub-folders, of a file, or none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import ValidationInfo, field_validator

from ganforge.api import (
    AbsolutePath,
    Context,
    DataSpec,
    Field,
    ImageDataset,
    LabelSpec,
    LabelWish,
    Samples,
    Split,
    Survey,
    UserError,
)
from ganforge_datasets.decode import Form
from ganforge_datasets.decoded import Wanted, decoded
from ganforge_datasets.folder_survey import survey
from ganforge_datasets.image_files import ImageFiles
from ganforge_datasets.image_labels import Labels, from_file, from_folders, toml_names

Side = Annotated[int, Field(ge=4, le=1024)]
GROUNDS = {"white": "#ffffff", "black": "#000000", "grey": "#808080", "gray": "#808080"}


class ImageFolder(ImageDataset):
    """Images of any size and kind, brought to one form; labels from sub-folders or a file, or none."""

    type: Literal["image_folder"] = "image_folder"
    also_called: ClassVar[tuple[str, ...]] = ("images", "folder", "imagefolder", "custom", "photos")
    example: ClassVar[Mapping[str, Any]] = {"data": {"type": "image_folder", "root": "images"}}
    source: ClassVar[str] = (
        "No paper; the label files are those of Training Generative Adversarial Networks with Limited "
        "Data (Karras et al., 2020), arXiv:2006.06676, and of Hugging Face's ImageFolder"
    )
    root: AbsolutePath = Field(
        description="Folder or zip with images (PNG, JPEG, WebP, BMP, GIF, TIFF, PPM, AVIF, JPEG 2000, QOI, "
        "TGA), or with one .npy or .npz an image, at any depth."
    )
    labels: Literal["none", "folder", "file"] = Field(
        "none",
        description="folder = the sub-folder of root is the class; file = labels.json or labels.csv in root "
        'says ({"a.png": "cat"}, {"a.png": ["red", "big"]}; file,label or file and a 0/1 column a label), or '
        "dataset.json (StyleGAN2-ADA) or metadata.jsonl or .csv (Hugging Face).",
    )
    names: tuple[str, ...] = Field(
        (), description="All labels, in the order of the columns; leave out to be told those of the files."
    )
    label_kind: Literal["one_of_k", "many_of_k"] = Field(
        "one_of_k", description="one_of_k = one label an image; many_of_k = any number, none as well."
    )
    image_size: Side | tuple[Side, Side] = Field(
        64, description="Pixels: the side of a square, or [height, width]."
    )
    channels: int = Field(
        3,
        ge=1,
        le=16,
        description="1 = grey, 2 = grey and alpha, 3 = RGB, 4 = RGBA; other numbers where the files have as "
        "many: .npy, .npz, and TIFFs whose pages are the channels.",
    )
    fit: Literal["crop", "pad", "resize"] = Field(
        "crop",
        description="Images of another aspect: crop = the middle of them, pad = with black bars, "
        "resize = distorted.",
    )
    background: str = Field(
        "white",
        description='What shows through where an image is transparent: "white", "black", "gray" or '
        '"#rrggbb"; with 2 or 4 channels alpha is kept instead.',
    )
    white_level: int = Field(
        65535,
        ge=256,
        le=65535,
        description="The value of 16-bit images that becomes 255 of 8 bits: 4095 for 12-bit cameras.",
    )
    skip_damaged: bool = Field(
        False,
        description="Leave damaged images out, and say how many; false = refuse them, all in one message.",
    )

    @field_validator("names")
    @classmethod
    def _fits_labels(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if names and info.data.get("labels") == "none":
            raise ValueError('there are no labels to name while labels = "none"; say "folder" or "file"')
        names = tuple(unicodedata.normalize("NFC", name) for name in names)
        if len(set(names)) < len(names):
            raise ValueError("a name is given twice")
        if any(not name or name != name.strip() for name in names):
            raise ValueError("a name is empty, or has blanks around it")
        return names

    @field_validator("background")
    @classmethod
    def _is_color(cls, background: str) -> str:
        if background not in GROUNDS and not re.fullmatch(r"#[0-9a-fA-F]{6}", background):
            raise ValueError(f'expected "white", "black", "gray" or "#rrggbb", got "{background}"')
        return background

    @classmethod
    def survey(cls, root: Path, labels: LabelWish, names: tuple[str, ...] = ()) -> Survey:
        return survey(root, labels, names)

    def spec(self) -> DataSpec:
        """Touches no file, but for the message of the `UserError` where labels are asked for without
        their names: it lists those of the files."""
        if self.labels == "none":
            return DataSpec(shape=self._form().shape)
        if not self.names:
            files = ImageFiles(self.root)
            found = self._labels(files)
            skips = f" ({files.skips()})" if files.skipped else ""
            raise UserError(
                f'data.labels = "{self.labels}" needs data.names; those of {self.root}{skips} are\n'
                f"{toml_names(found.known)}{found.remark}"
            )
        return DataSpec(shape=self._form().shape, labels=LabelSpec(kind=self.label_kind, names=self.names))

    def build(self, split: Split, context: Context) -> Samples:
        """Images uint8 [M, C, H, W], in the order of their paths, or of the label file."""
        if split == "test":
            raise UserError(f"data '{self.type}' has no test split; use the split 'train'")
        files = ImageFiles(self.root)
        context.say(f"data: {len(files.paths):,} images in {self.root}; {files.skips()}")
        paths, rows = files.paths, None
        if self.labels != "none":
            labels = self._labels(files)
            paths, rows = list(labels.of), torch.from_numpy(labels.rows(self.spec().labels))
            left_out = len(files.paths) - len(paths)
            if left_out:
                context.say(f"data: {left_out:,} images of {self.root} have no label and are left out")
            for line in labels.said:
                context.say(f"data: {line}")
        hint = "\nto leave damaged images out:  data.skip_damaged = true"
        wanted = Wanted(
            self.type, files.store, paths, self._form(), f"images of {self.root}", self.skip_damaged, hint
        )
        found = decoded(wanted, context)
        if rows is not None and found.account.damaged:
            rows = rows[torch.from_numpy(found.kept(len(paths)))]
        return self.samples(torch.from_numpy(found.images), rows)

    def _form(self) -> Form:
        ground = bytes.fromhex(GROUNDS.get(self.background, self.background)[1:])
        return Form(
            size=self.image_size,
            channels=self.channels,
            fit=self.fit,
            background=(ground[0], ground[1], ground[2]),
            white_level=self.white_level,
        )

    def _labels(self, files: ImageFiles) -> Labels:
        if self.labels == "folder":
            return from_folders(files, self.names)
        return from_file(files, self.label_kind, self.names)
