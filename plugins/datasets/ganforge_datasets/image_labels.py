"""The labels of loose images: from sub-folders, from `labels.json` or from `labels.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganforge.api import LabelSpec, UserError, did_you_mean
from ganforge_datasets.image_files import ImageFiles
from ganforge_datasets.text_files import line_of, read_json, read_text

LABEL_FILES = ("labels.json", "labels.csv")
Where = Callable[[], str]
"""Says `file:line`; only called for a message, because finding a line takes a while."""


class Label(NamedTuple):
    """What the labels say of one image."""

    image: str
    names: list[str]
    where: Where


class Labels(NamedTuple):
    """The labels of a set of images, as the files give them."""

    of: dict[str, Label]
    """By the image's path."""
    known: dict[str, Where]
    """Every label that occurs, in the order to show them, and where it first does."""
    lacks: str
    """What to say of a label that does not occur."""

    def rows(self, spec: LabelSpec) -> NDArray[np.uint8]:
        """One-hot or multi-hot rows [M, K] in the order of `of`. Raises `UserError` where files and
        names do not agree."""
        for name, where in self.known.items():
            if name not in spec.names:
                raise UserError(
                    f"{where()}: label '{name}' is not one of data.names{did_you_mean(name, spec.names)}"
                )
        for name in spec.names:
            if name not in self.known:
                raise UserError(
                    f"data.names lists '{name}', but {self.lacks}{did_you_mean(name, self.known)}"
                )
        column = {name: index for index, name in enumerate(spec.names)}
        rows = np.zeros((len(self.of), spec.width), np.uint8)
        for row, label in zip(rows, self.of.values(), strict=True):
            if spec.kind == "one_of_k" and len(label.names) != 1:
                raise UserError(
                    f"{label.where()}: image '{label.image}' has {len(label.names)} labels; it should have "
                    '1, or say data.label_kind = "many_of_k"'
                )
            row[[column[name] for name in label.names]] = 1
        return rows


def from_folders(files: ImageFiles, names: tuple[str, ...]) -> Labels:
    """Each image's class is the first folder of its path. A single outer folder that holds all others, and
    is not one of `names`, is looked through."""
    parts = {path: PurePosixPath(path).parts for path in files.paths}
    outer = {each[0] for each in parts.values()}
    skip = 1 if len(outer) == 1 and not outer & set(names) and min(map(len, parts.values())) > 2 else 0
    of, known = dict[str, Label](), dict[str, Where]()
    for path, folders in parts.items():
        if len(folders) < skip + 2:
            raise UserError(
                f"{files.store.where(path)} lies in no sub-folder and so has no class; move it into one, "
                'or say data.labels = "none"'
            )
        where = partial(files.store.where, "/".join(folders[: skip + 1]))
        of[path] = Label(path, [folders[skip]], where)
        known.setdefault(folders[skip], where)
    return Labels(of, _sorted(known), f"{files.root} has no such sub-folder with images")


def from_file(files: ImageFiles) -> Labels:
    """The labels that the uppermost `labels.json` or `labels.csv` gives; its paths are relative to it."""
    named = [name for name in files.store.names() if PurePosixPath(name).name in LABEL_FILES]
    if not named:
        raise UserError(f'{files.root} holds no labels.json or labels.csv, which data.labels = "file" needs')
    depth = min(name.count("/") for name in named)
    first, *others = [name for name in named if name.count("/") == depth]
    if others:
        raise UserError(
            f"{files.store.where(first)} and {files.store.where(others[0])} both give labels; remove one"
        )
    known = dict[str, Where]()
    listed = _json(files, first) if first.endswith(".json") else _csv(files, first, known)
    of = _matched(listed, files, str(PurePosixPath(first).parent))
    if not of:
        raise UserError(f"{files.store.where(first)}:1: lists no images")
    if not known:
        for label in of.values():
            for name in label.names:
                known.setdefault(name, label.where)
        known = _sorted(known)
    return Labels(of, known, f"{files.store.where(first)} has no such label")


def _matched(listed: Iterable[Label], files: ImageFiles, base: str) -> dict[str, Label]:
    """Labels by the path of the image they name: below `base`, or anywhere if the bare name is unique."""
    paths = set(files.paths)
    by_name: dict[str, list[str]] = {}
    for path in files.paths:
        by_name.setdefault(PurePosixPath(path).name, []).append(path)
    of = dict[str, Label]()
    for label in listed:
        path = PurePosixPath(base, label.image).as_posix()
        if path not in paths:
            there = by_name.get(label.image, [])
            if len(there) != 1:
                why = f"of which {files.root} holds {len(there)}; say which" if there else ""
                raise UserError(
                    f"{label.where()}: lists image '{label.image}', "
                    f"{why or f'which {files.root} does not hold'}"
                )
            path = there[0]
        if path in of:
            raise UserError(f"{label.where()}: lists image '{label.image}' a second time")
        of[path] = label
    return of


def _json(files: ImageFiles, name: str) -> Iterator[Label]:
    listed, text = read_json(files.store, name)
    file = files.store.where(name)
    if not isinstance(listed, dict):
        raise UserError(f'{file}:1: should be {{"a.png": "cat", ...}} or {{"a.png": ["red", "big"], ...}}')
    for image, value in listed.items():
        names = [value] if isinstance(value, str) else value
        where = partial(_json_line, file, text, image)
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise UserError(f"{where()}: image '{image}' should have a label or a list of labels")
        yield Label(image, names, where)


def _json_line(file: str, text: str, image: str) -> str:
    return f"{file}:{line_of(text, image)}"


def _csv(files: ImageFiles, name: str, known: dict[str, Where]) -> Iterator[Label]:
    """Rows of `file,label`, or of a file and a column of 0 or 1 for each label; those go to `known`."""
    file = files.store.where(name)
    reader = csv.reader(io.StringIO(read_text(files.store, name), newline=""), skipinitialspace=True)
    try:
        _, *columns = next(reader, []) or [""]
        if not columns or "" in columns or len(set(columns)) < len(columns):
            raise UserError(f"{file}:1: should be 'file,label', or 'file' and the name of each label, once")
        if columns != ["label"]:
            known.update(dict.fromkeys(columns, partial(str, f"{file}:1")))
        for cells in reader:
            where = partial(str, f"{file}:{reader.line_num}")
            if cells:
                yield _csv_row(cells, columns, where)
    except csv.Error as error:
        raise UserError(f"{file}:{reader.line_num}: is not CSV: {error}") from None


def _csv_row(cells: list[str], columns: list[str], where: Where) -> Label:
    image, *values = cells
    if len(values) != len(columns):
        raise UserError(f"{where()}: has {len(cells)} columns; the first line has {len(columns) + 1}")
    if columns == ["label"]:
        return Label(image, values, where)
    for column, value in zip(columns, values, strict=True):
        if value not in ("0", "1"):
            raise UserError(
                f"{where()}: '{column}' is '{value}', not 0 or 1 (a column of label names is called 'label')"
            )
    return Label(image, [name for name, value in zip(columns, values, strict=True) if value == "1"], where)


def _sorted(known: dict[str, Where]) -> dict[str, Where]:
    return dict(sorted(known.items()))
