"""Reads and checks the lists of i-CLEVR: `objects.json` and `train.json`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ganforge.api import UserError, did_you_mean
from ganforge_datasets.clevr_layout import NAMES, OBJECTS
from ganforge_datasets.stores import Store
from ganforge_datasets.text_files import line_of, read_json


def check_objects(store: Store) -> None:
    """Raises `UserError` unless `objects.json` numbers the 24 names as `NAMES` does."""
    listed, text = _read(store, "objects.json")
    where = store.where("objects.json")
    if not isinstance(listed, dict) or not all(type(value) is int for value in listed.values()):
        raise UserError(f'{where}:1: should be {{"gray cube": 0, ...}}, each object with its number')
    for name in listed:
        if name not in NAMES:
            raise UserError(
                f"{where}:{line_of(text, name)}: '{name}' is not one of the 24 objects of i-CLEVR"
                f"{did_you_mean(name, NAMES)}"
            )
    for number, name in enumerate(NAMES):
        if name not in listed:
            raise UserError(f"{where}:1: '{name}' is missing; i-CLEVR has 24 objects")
        if listed[name] != number:
            raise UserError(
                f"{where}:{line_of(text, name)}: '{name}' has number {listed[name]}; "
                f"in i-CLEVR it is {number}"
            )


def read_labels(store: Store) -> tuple[list[str], NDArray[np.uint8]]:
    """The image names of `train.json` and their multi-hot labels [M, 24]. Raises `UserError`."""
    listed, text = _read(store, "train.json")
    where = store.where("train.json")
    if not isinstance(listed, dict):
        raise UserError(f'{where}:1: should be {{"image.png": ["red cube", ...], ...}}')
    if not listed:
        raise UserError(f"{where}:1: lists no images")
    number = {name: index for index, name in enumerate(NAMES)}
    rows = np.zeros((len(listed), len(NAMES)), np.uint8)
    for row, (image, names) in zip(rows, listed.items(), strict=True):
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise UserError(
                f"{where}:{line_of(text, image)}: image '{image}' should have a list of object names"
            )
        for name in names:
            if name not in number:
                raise UserError(
                    f"{where}:{line_of(text, image, name)}: image '{image}' is labelled '{name}', which "
                    f"objects.json does not list{did_you_mean(name, NAMES)}"
                )
            row[number[name]] = 1
        if row.sum() > OBJECTS:
            raise UserError(
                f"{where}:{line_of(text, image)}: image '{image}' has {row.sum()} labels; "
                f"i-CLEVR has at most {OBJECTS}"
            )
    return list(listed), rows


def _read(store: Store, name: str) -> tuple[object, str]:
    if name not in store.names():
        raise UserError(
            f"{store.path} has no {name}; expected a folder or zip with train.json, objects.json and images"
        )
    return read_json(store, name)
