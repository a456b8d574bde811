"""Reads and checks the lists of CelebA: attributes and partition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganforge.api import Split, Track, UserError, did_you_mean
from ganforge_datasets.stores import locate

ATTRIBUTES = (
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
)
"""The 40 attributes in the order of the file."""

PARTITION = "list_eval_partition.txt"
ATTRIBUTE_LIST = "list_attr_celeba.txt"
PARTS: dict[Split, str] = {"train": "0", "test": "2"}
"""How the partition marks a split; 1 marks the validation images."""


def read_partition(root: Path, split: Split) -> list[str]:
    """The names of a split's images. Raises `UserError` with file and line."""
    path, lines = _lines(root, PARTITION)
    names = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) != 2 or words[1] not in ("0", "1", "2"):
            raise UserError(f"{path}:{number}: should be an image and 0, 1 or 2, as in '000001.jpg 0'")
        if words[1] == PARTS[split]:
            names.append(words[0])
    if not names:
        raise UserError(f"{path} marks no image with {PARTS[split]}, the split '{split}'")
    return names


def read_attributes(root: Path, names: list[str], track: Track) -> NDArray[np.uint8]:
    """The multi-hot attributes [M, 40] of the named images. Raises `UserError` with file and line."""
    path, lines = _lines(root, ATTRIBUTE_LIST)
    _check_header(path, lines[1].split() if len(lines) > 1 else [])
    row_of = {name: row for row, name in enumerate(names)}
    rows = np.zeros((len(names), len(ATTRIBUTES)), np.uint8)
    listed = set()
    for number, line in enumerate(track(lines[2:], len(lines) - 2, "reading attributes"), 3):
        name, *values = line.split() or [""]
        if len(values) != len(ATTRIBUTES) or not {"1", "-1"}.issuperset(values):
            raise UserError(f"{path}:{number}: should be an image and {len(ATTRIBUTES)} times 1 or -1")
        if name in row_of:
            rows[row_of[name]] = [value == "1" for value in values]
            listed.add(name)
    for name in names:
        if name not in listed:
            raise UserError(f"{path} does not list image '{name}', which {PARTITION} does")
    return rows


def _check_header(path: Path, header: list[str]) -> None:
    for name in header:
        if name not in ATTRIBUTES:
            raise UserError(
                f"{path}:2: '{name}' is not one of the 40 attributes of CelebA"
                f"{did_you_mean(name, ATTRIBUTES)}"
            )
    if tuple(header) != ATTRIBUTES:
        raise UserError(f"{path}:2: should name the 40 attributes of CelebA, in their order; copy it again")


def _lines(root: Path, name: str) -> tuple[Path, list[str]]:
    path = locate(root, name)
    if path is None:
        raise UserError(
            f"{root} holds no {name}; data.root should be the folder with {ATTRIBUTE_LIST}, {PARTITION} "
            "and img_align_celeba (a folder or a zip)"
        )
    try:
        return path, path.read_text("ascii").rstrip().splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path} is not plain text; copy it again") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
