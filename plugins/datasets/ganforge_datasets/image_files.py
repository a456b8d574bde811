"""The image files below a folder or in a zip, and what else lies there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from ganforge.api import UserError
from ganforge_datasets.formats import (
    HEAD,
    SUFFIXES,
    is_array_name,
    is_hidden,
    is_image_head,
    is_image_name,
    why_not_read,
)
from ganforge_datasets.stores import FolderStore, Store, ZipStore

EXAMPLES = 3
"""Files named for each reason of a line about skipped ones."""
MAX_SHOWN = 80
"""Characters shown of a path; the last ones."""
LABEL_FILES = (
    *("labels.json", "labels.csv", "labels.tsv"),
    *("dataset.json", "metadata.jsonl", "metadata.csv"),
)
"""Names of files that give labels; of ours, of StyleGAN2-ADA's, and of Hugging Face's ImageFolder."""


def is_label_file(path: str) -> bool:
    """Whether it is called like a file of labels, in letters of either case."""
    return PurePosixPath(path).name.lower() in LABEL_FILES


class ImageFiles:
    """The images of `root`, by their paths inside, sorted. Raises `UserError` where there are none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = _open(root)
        self.skipped: dict[str, list[str]] = {}
        """Paths inside that are not taken, by the reason."""
        found, arrays = list[str](), list[str]()
        for name in self.store.names():
            if is_hidden(name):
                self._skip("hidden", name)
            elif is_image_name(name):
                found.append(name)
            elif is_array_name(name):
                arrays.append(name)
            elif is_label_file(name):
                continue
            elif reason := why_not_read(name):
                self._skip(reason, name)
            elif is_image_head(self.store.head(name, HEAD)):
                found.append(name)
            elif self.store.is_broken_link(name):
                self._skip("broken links", name)
            else:
                self._skip("not images", name)
        if found:
            for name in arrays:
                self._skip("arrays next to images", name)
        self.paths = sorted(found or arrays)
        if isinstance(self.store, FolderStore):
            for link in self.store.loops:
                self._skip("links to a folder they are in", str(Path(link).relative_to(root)))
            for folder, why in self.store.closed:
                self._skip("folders that cannot be listed", f"{Path(folder).relative_to(root)}: {why}")
        if not self.paths:
            there = f"; {self.skips()}" if self.skipped else ""
            raise UserError(f"{root} holds no images ({', '.join(SUFFIXES)}){there}")

    def _skip(self, reason: str, name: str) -> None:
        self.skipped.setdefault(reason, []).append(name)

    def skips(self) -> str:
        """How many files are not taken and why, with examples; "nothing skipped" where all are."""
        return skips(self.skipped)


def skips(skipped: dict[str, list[str]], show: Callable[[str], str] = str) -> str:
    """`skipped 3 not images (a.txt, b.db, c), 1 hidden (.d.png)`, for files by reason."""
    if not skipped:
        return "nothing skipped"
    return "skipped " + ", ".join(
        f"{len(names):,} {reason} ({some(names, show)})" for reason, names in sorted(skipped.items())
    )


def some(names: Sequence[str], show: Callable[[str], str] = str) -> str:
    """The first few names, and dots where there are more. In one line, whatever the names hold."""
    shown = (show(name).replace("\n", "\\n") for name in names[:EXAMPLES])
    short = (name if len(name) <= MAX_SHOWN else f"...{name[-MAX_SHOWN:]}" for name in shown)
    return ", ".join(short) + (", ..." if len(names) > EXAMPLES else "")


def _open(root: Path) -> Store:
    if root.is_dir():
        return FolderStore(root, by_path=True)
    if root.is_file():
        return ZipStore(root, by_path=True)
    raise UserError(f"{root} does not exist; set data.root to a folder or zip with images")
