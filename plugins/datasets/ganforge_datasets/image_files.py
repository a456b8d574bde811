"""The image files below a folder or in a zip."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ganforge.api import UserError
from ganforge_datasets.stores import SUFFIXES, FolderStore, Store, ZipStore


class ImageFiles:
    """The images of `root`, by their paths inside, sorted. Raises `UserError` where there are none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = _open(root)
        self.paths = sorted(name for name in self.store.names() if _is_image(name))
        if not self.paths:
            raise UserError(f"{root} holds no images ({', '.join(SUFFIXES)})")


def _open(root: Path) -> Store:
    if root.is_dir():
        return FolderStore(root, by_path=True)
    if root.is_file():
        return ZipStore(root, by_path=True)
    raise UserError(f"{root} does not exist; set data.root to a folder or zip with images")


def _is_image(path: str) -> bool:
    # macOS leaves '._a.png' beside 'a.png', and a folder '__MACOSX' of them in zips; they are no images.
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(path).parts)
    return not hidden and path.lower().endswith(SUFFIXES)
