"""The labels of loose images: from sub-folders, or from a file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from functools import partial
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ganforge.api import LabelKind, LabelSpec, UserError, did_you_mean
from ganforge_datasets.formats import is_hidden
from ganforge_datasets.image_files import LABEL_FILES, ImageFiles, is_label_file
from ganforge_datasets.image_match import Matcher, nfc
from ganforge_datasets.label_json import read_label_json
from ganforge_datasets.label_reading import Label, Reading, Where, in_order_of_names
from ganforge_datasets.label_table import read_label_lines, read_label_table

SPLITS = ("train", "training", "test", "testing", "val", "valid", "validation", "eval", "dev")
"""Folders of these names are no classes where folders lie in them."""
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".xlsx", ".xls", ".ods", ".xml", ".yaml", ".parquet")
"""What labels may be in under another name."""
MISSING = ("nan", "na", "n/a", "<na>", "null", "none")
"""What programs write where there is no value."""
MAX_LABELS = 10_000
"""More labels than that are a column of something else."""
MIN_NAMED = 20
"""Images from which it is remarked that nearly each has a label of its own."""


class Labels:
    """The labels of a set of images, as the files give them."""

    def __init__(
        self,
        of: dict[str, Label],
        known: dict[str, Where],
        lacks: str,
        remark: str = "",
        said: Iterable[str] = (),
    ) -> None:
        self.of = of
        """By the image's path."""
        self.known = known
        """Every label that occurs, in the order to show them, and where it first does."""
        self.lacks = lacks
        """What to say of a label that does not occur."""
        self.remark = remark
        """Lines to add where the labels are listed for the run file; each begins with a line break."""
        self.said = list(said)
        """What a user should know of how the file was read."""

    def rows(self, spec: LabelSpec) -> NDArray[np.uint8]:
        """One-hot or multi-hot rows [M, K] in the order of `of`. Raises `UserError` where files and
        names do not agree."""
        for name, where in self.known.items():
            if name not in spec.names:
                raise UserError(
                    f"{where()}: label '{name}' is not one of data.names{_hint(name, self, spec)}"
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
                raise UserError(f"{label.where()}: {_not_one(label)}")
            row[[column[name] for name in label.names]] = 1
        return rows


def _not_one(label: Label) -> str:
    if not label.names:
        return (
            f"image '{label.image}' has no label; give it one, or remove it from the list to leave it out, "
            'or say data.label_kind = "many_of_k"'
        )
    return (
        f"image '{label.image}' has {len(label.names)} labels; it should have 1, or say "
        'data.label_kind = "many_of_k"'
    )


def _hint(name: str, labels: Labels, spec: LabelSpec) -> str:
    """What may be meant by a label that is not one of the names."""
    parts = [part.strip() for part in re.split(r"[|;,]", name)]
    if len(parts) > 1 and all(part in spec.names for part in parts):
        return '; if these are several labels, say data.label_kind = "many_of_k"'
    close = did_you_mean(name, spec.names)
    if close or set(labels.known) & set(spec.names):
        return close
    if not all(map(_is_text, labels.known)):
        return close
    # Not one of the labels is named: the list is of other data, or of another column.
    return f"; the labels there are\n{toml_names(labels.known)}{labels.remark}"


def _is_text(name: str) -> bool:
    """Whether a run file can hold it; JSON and the names of files can hold halves of characters."""
    return "\0" not in name and not any("\ud800" <= letter <= "\udfff" for letter in name)


def toml_names(known: Iterable[str]) -> str:
    """The line `names = [...]` of a run file."""
    # A string of JSON is one of TOML, but for this one character.
    return f"names = {json.dumps(list(known), ensure_ascii=False)}".replace("\x7f", "\\u007f")


def from_folders(files: ImageFiles, names: tuple[str, ...]) -> Labels:
    """Each image's class is the first folder of its path. A single outer folder that holds all others, and
    is not one of `names`, is skipped."""
    parts = {path: PurePosixPath(path).parts for path in files.paths}
    outer = {nfc(each[0]) for each in parts.values()}
    _refuse_splits(files, parts.values(), names)
    skip = 1 if len(outer) == 1 and not outer & set(names) and min(map(len, parts.values())) > 2 else 0
    of, known, as_written = dict[str, Label](), dict[str, Where](), dict[str, str]()
    for path, folders in parts.items():
        if len(folders) < skip + 2:
            raise UserError(
                f"{files.store.where(path)} lies in no sub-folder and so has no class; move it into one, "
                'or say data.labels = "none"'
            )
        where = partial(files.store.where, "/".join(folders[: skip + 1]))
        label = _class_name(folders[skip], where)
        if as_written.setdefault(label, folders[skip]) != folders[skip]:
            raise UserError(
                f"{where()}: there are two folders '{label}' that differ only in how the letters are "
                f"encoded, {as_written[label]!a} and {folders[skip]!a}; move the images into one of them"
            )
        of[path] = Label(path, [label], where)
        known.setdefault(label, where)
    return Labels(of, in_order_of_names(known), f"{files.root} has no such sub-folder with images")


def _refuse_splits(files: ImageFiles, parts: Iterable[tuple[str, ...]], names: tuple[str, ...]) -> None:
    """Raises `UserError` where the folders of `root` are not the classes, but hold them for each split."""
    parts = list(parts)
    outer = sorted({folders[0] for folders in parts})
    nested = min(map(len, parts)) > 2 and len(outer) > 1 and not set(outer) & set(names)
    if nested and all(folder.lower() in SPLITS for folder in outer):
        train = next((folder for folder in outer if folder.lower().startswith("train")), outer[0])
        raise UserError(
            f"{files.root} holds {' and '.join(outer)}, each with folders of its own; set data.root to one "
            f"of them, {files.root / train}" + (" (unpacked)" if files.root.is_file() else "")
        )


def _class_name(folder: str, where: Where) -> str:
    """The label that a folder's name is. Raises `UserError` for bytes that are no text."""
    try:
        folder.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{where()}: the folder's name {os.fsencode(folder)!r} is not UTF-8, so it cannot be a label in "
            "a run file; rename the folder"
        ) from None
    name = nfc(folder)
    if name != name.strip():
        raise UserError(f"{where()}: the folder's name {name!r} has blanks around it; rename the folder")
    return name


def from_file(files: ImageFiles, kind: LabelKind, names: tuple[str, ...]) -> Labels:
    """The labels that the uppermost label file gives; its paths are relative to it.

    `kind` and `names` decide where the file alone leaves open what it means: whether a column holds labels
    or is one, and whether a cell holds one or several."""
    named = [name for name in files.store.names() if is_label_file(name) and not is_hidden(name)]
    if not named:
        raise UserError(
            f"{files.root} holds no {', '.join(LABEL_FILES[:-1])} or {LABEL_FILES[-1]}, one of which "
            f'data.labels = "file" needs{_other_tables(files)}'
        )
    depth = min(name.count("/") for name in named)
    first, *others = [name for name in named if name.count("/") == depth]
    if others:
        raise UserError(
            f"{files.store.where(first)} and {files.store.where(others[0])} both give labels; remove one"
        )
    matcher = Matcher(files, str(PurePosixPath(first).parent))
    reading = Reading(kind, names)
    if first.lower().endswith(".json"):
        listed = read_label_json(files.store, first, matcher, reading)
    elif first.lower().endswith(".jsonl"):
        listed = read_label_lines(files.store, first, matcher, reading)
    else:
        listed = read_label_table(files.store, first, matcher, reading)
    of = _matched(listed, matcher, kind)
    if not of:
        raise UserError(f"{files.store.where(first)}:1: lists no images")
    known = reading.known
    if not known:
        for label in of.values():
            for name in label.names:
                known.setdefault(name, label.where)
        known = in_order_of_names(known)
    if not names:
        _refuse_as_labels(known, of, files.store.where(first))
    remark = _remark(of, known, kind)
    return Labels(of, known, f"{files.store.where(first)} has no such label", remark, reading.said)


def _other_tables(files: ImageFiles) -> str:
    """The files that may hold labels under another name, for the end of a message."""
    there = [name for name in files.store.names() if name.lower().endswith(TABLES) and not is_hidden(name)]
    if not there:
        return ""
    first = min(there, key=lambda name: (name.count("/"), name))
    new = PurePosixPath(first).with_stem("labels").name
    how = f"rename '{first}' to {new}" if new in LABEL_FILES else f"save '{first}' as labels.csv"
    return f"; {how} if it has them"


def _remark(of: dict[str, Label], known: Iterable[str], kind: LabelKind) -> str:
    """What the run file needs as well where the images do not have one label each; and, as comments, what is
    odd about the labels."""
    names = list(known)
    lines = list[str]()
    several = next((label for label in of.values() if len(label.names) > 1), None)
    if kind != "many_of_k" and (several is not None or not all(label.names for label in of.values())):
        lines.append('label_kind = "many_of_k"')
    missing = [name for name in names if name.lower() in MISSING]
    if missing:
        lines.append(f"# if {missing[0]!r} means that there is no label, leave those cells empty")
    if len(of) >= MIN_NAMED and 2 * len(names) > len(of):
        lines.append(f"# {len(names):,} labels for {len(of):,} images; labels are classes that images share")
    return "".join(f"\n{line}" for line in lines)


def _refuse_as_labels(known: dict[str, Where], of: dict[str, Label], where: str) -> None:
    if not known:
        raise UserError(f"{where} has no label for any image")
    if len(known) > MAX_LABELS:
        raise UserError(
            f"{where} has {len(known):,} different labels for {len(of):,} images, such as "
            f"'{next(iter(known))[:60]}'; labels are classes, at most {MAX_LABELS:,}"
        )


def _matched(listed: Iterable[Label], matcher: Matcher, kind: LabelKind) -> dict[str, Label]:
    """Labels by the path of the image that they name."""
    of = dict[str, Label]()
    for label in listed:
        path = matcher.find(label.image)
        if path is None:
            raise UserError(f"{label.where()}: lists image '{label.image}', {matcher.why_not(label.image)}")
        if path in of:
            several = (
                "; give all its labels in one place, such as red|big"
                if kind == "many_of_k"
                else "; remove one"
            )
            raise UserError(f"{label.where()}: lists image '{label.image}' a second time{several}")
        of[path] = label
    return of
