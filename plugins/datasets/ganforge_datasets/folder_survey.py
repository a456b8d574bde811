"""The inventory of a folder of images: how many, how large, in which modes, and with which labels.

Reads the headers of the images, and the labels as `image_folder` reads them, but decodes no pixels.
"""

from __future__ import annotations

import io
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import ExifTags, Image

from ganforge.api import LabelKind, LabelWish, Survey, UserError
from ganforge_datasets.arrays import read_array
from ganforge_datasets.formats import formats, is_array_name
from ganforge_datasets.image_files import ImageFiles, is_label_file, some
from ganforge_datasets.image_labels import Labels, from_file, from_folders

HEADERS = 2_000
"""Images whose headers are read, evenly spread over the folder: enough for sizes and modes."""
HEADER_BYTES = 2**17
"""Most headers, with their EXIF data, fit into these bytes; otherwise the whole file is read."""
MIN_PER_CLASS = 10
"""Images per sub-folder, on average, from which sub-folders count as classes unless asked for."""
GRAY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")
TURNED = (5, 6, 7, 8)
"""EXIF orientations in which width and height are swapped."""


class Header(NamedTuple):
    """What the header of one image says."""

    width: int
    height: int
    """Both as displayed, with the EXIF orientation applied."""
    channels: int
    """1 = gray, 3 = color; as many as an array has."""
    cmyk: bool
    turned: bool
    """The EXIF orientation differs from how the pixels are stored."""
    transparent: bool
    """It has an alpha channel or a transparent color."""


def survey(root: Path, labels: LabelWish, names: tuple[str, ...]) -> Survey:
    """The inventory of `root`, a folder or zip. Raises `UserError` if there are no images in it, or no labels
    where they were asked for."""
    files = ImageFiles(root)
    headers, broken = _headers(files)
    if not headers:
        raise UserError(f"none of the {len(files.paths):,} images in {root} can be read ({some(broken)})")
    keys: dict[str, object] = {"root": str(root.absolute())}
    facts = [f"{len(files.paths):,} images, {_sizes(headers)}; {files.skips()}", *_modes(headers)]
    channels = {header.channels for header in headers}
    if len(channels) == 1 and channels != {3}:
        keys["channels"] = min(channels)
        facts.append("all of them are gray" if channels == {1} else f"all have {min(channels)} channels")
    if broken:
        keys["skip_damaged"] = True
        facts.append(f"{len(broken):,} cannot be read and are left out ({some(broken)})")
    found, kind, source, fact = _labels(files, labels, names)
    facts.append(fact)
    counts: Counter[str] = Counter()
    if found is not None:
        listed = list(names or found.known)
        keys |= {"labels": source, "names": listed}
        if kind != "one_of_k":
            keys["label_kind"] = kind
        counts.update(name for label in found.of.values() for name in label.names)
        facts += [line for line in found.said if line]
    sides = sorted(min(header.width, header.height) for header in headers)
    return Survey(
        images=(len(files.paths) if found is None else len(found.of)) - len(broken),
        short_sides=(sides[0], int(statistics.median(sides)), sides[-1]),
        keys=keys,
        facts=tuple(facts),
        label_counts={name: counts[name] for name in (names or (found.known if found else ()))},
    )


def _headers(files: ImageFiles) -> tuple[list[Header], list[str]]:
    """The headers of up to `HEADERS` images, and the paths of those that have none."""
    step = -(-len(files.paths) // HEADERS)
    read, broken = list[Header](), list[str]()
    for path in files.paths[::step]:
        try:
            read.append(_header(files, path))
        # Pillow's parsers raise OSError, SyntaxError, ValueError, struct.error and others.
        except Exception:
            broken.append(path)
    return read, broken


def _header(files: ImageFiles, path: str) -> Header:
    if is_array_name(path):
        array = read_array(files.store.read(path), path, 1)
        height, width, channels = array.shape
        return Header(width, height, channels, cmyk=False, turned=False, transparent=False)
    head = files.store.head(path, HEADER_BYTES)
    try:
        return _parsed(head)
    except Exception:
        # A TIFF may keep its directory at the end, and a photograph a long preview in front.
        return _parsed(files.store.read(path))


def _parsed(data: bytes) -> Header:
    with Image.open(io.BytesIO(data), formats=formats()) as image:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        width, height = image.size[::-1] if orientation in TURNED else image.size
        return Header(
            width,
            height,
            channels=1 if image.mode in GRAY else 3,
            cmyk=image.mode == "CMYK",
            turned=orientation in range(2, 9),
            transparent=image.has_transparency_data,
        )


def _sizes(headers: Sequence[Header]) -> str:
    sizes = sorted({(header.width, header.height) for header in headers}, key=lambda size: size[0] * size[1])
    (width, height), (last_width, last_height) = sizes[0], sizes[-1]
    if len(sizes) == 1:
        return f"all {width} x {height}"
    return f"{width} x {height} to {last_width} x {last_height}"


def _modes(headers: Sequence[Header]) -> list[str]:
    """What is done to images that are not plain RGB or gray."""
    lines = []
    cmyk = sum(header.cmyk for header in headers)
    turned = sum(header.turned for header in headers)
    clear = sum(header.transparent for header in headers)
    if cmyk:
        lines.append(f"{cmyk:,} in CMYK: converted to RGB")
    if turned:
        lines.append(f"{turned:,} with an EXIF orientation: turned upright")
    if clear:
        lines.append(f"{clear:,} with transparency: composed on white (data.background)")
    return lines


def _labels(
    files: ImageFiles, wish: LabelWish, names: tuple[str, ...]
) -> tuple[Labels | None, LabelKind, str, str]:
    """The labels, their kind, where they are from ("folder", "file"), and a line about them."""
    if wish == "none":
        return None, "none", "", "labels: none, as asked"
    if wish == "file":
        return _from_file(files, names)
    if wish == "folder":
        return _from_folders(files, names)
    reasons = []
    attempts: tuple[Callable[..., tuple[Labels, LabelKind, str, str]], ...] = (_from_folders,)
    if any(is_label_file(name) for name in files.store.names()):
        attempts = (_from_file, _from_folders)
    for attempt in attempts:
        try:
            found = attempt(files, names)
        except UserError as error:
            if attempt is _from_file:
                reasons.append(f"the label file is not used: {str(error).splitlines()[0]}")
            continue
        labels, _, source, _ = found
        if source == "folder" and len(labels.known) < 2:
            continue
        if source == "folder" and len(labels.of) < MIN_PER_CLASS * len(labels.known):
            reasons.append(
                f"the {len(labels.known):,} sub-folders hold {len(labels.of):,} images, too few each to be "
                "classes; --labels folder uses them"
            )
            continue
        return found
    return None, "none", "", "labels: none" + (f" ({'; '.join(reasons)})" if reasons else "")


def _from_folders(files: ImageFiles, names: tuple[str, ...]) -> tuple[Labels, LabelKind, str, str]:
    found = from_folders(files, names)
    return found, "one_of_k", "folder", f"labels: {len(found.known):,} classes, from the sub-folders"


def _from_file(files: ImageFiles, names: tuple[str, ...]) -> tuple[Labels, LabelKind, str, str]:
    """One label per image if the file has it so, otherwise any number."""
    kind: LabelKind = "one_of_k"
    try:
        found = from_file(files, kind, names)
    except UserError:
        found = None
    if found is None or any(len(label.names) != 1 for label in found.of.values()):
        kind = "many_of_k"
        found = from_file(files, kind, names)
    words = "one per image" if kind == "one_of_k" else "any number per image"
    return found, kind, "file", f"labels: {len(found.known):,}, {words}, from a label file"
