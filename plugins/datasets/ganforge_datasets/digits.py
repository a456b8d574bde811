"""What the data sets in MNIST's form share: four IDX files, found or fetched, and 28 x 28 grey images."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ganforge.api import AbsolutePath, Context, Dataset, Field, Split, UserError
from ganforge.api.optional import need
from ganforge_datasets.idx import read_idx

SIDE = 28
CLASSES = 10
PREFIXES: dict[Split, str] = {"train": "train", "test": "t10k"}
FILES = tuple(
    f"{prefix}-{part}" for prefix in PREFIXES.values() for part in ("images-idx3-ubyte", "labels-idx1-ubyte")
)


class Digits(Dataset):
    """Images of ten classes in four IDX files."""

    torchvision: ClassVar[str] = "MNIST"
    """torchvision's class of these files; also the folder in which it keeps them."""

    root: AbsolutePath | None = Field(
        None,
        description="Folder with the four IDX files, plain or .gz, as published; or the root of a "
        "torchvision data set. Absent = fetched, where download allows it.",
    )
    download: bool = Field(
        False,
        description="Fetch the files into the cache once, by torchvision; false = no network.",
    )
    image_size: Literal[28, 32] = Field(
        28, description="Height and width in pixels; 32 = two rows of black on each side."
    )

    def read(self, split: Split, context: Context) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Images [M, S, S] and class numbers [M]. Raises `UserError` for missing or broken files."""
        folder = self._fetched(context) if self.root is None else self.root
        images_file = self._find(folder, f"{PREFIXES[split]}-images-idx3-ubyte")
        labels_file = self._find(folder, f"{PREFIXES[split]}-labels-idx1-ubyte")
        images, labels = read_idx(images_file, 3), read_idx(labels_file, 1)
        if images.shape[1:] != (SIDE, SIDE):
            raise UserError(
                f"{images_file} holds images of {images.shape[1]} x {images.shape[2]}, not {SIDE} x {SIDE}"
            )
        if len(images) != len(labels):
            raise UserError(
                f"{images_file} holds {len(images):,} images, {labels_file} {len(labels):,} labels"
            )
        if labels.size and labels.max() >= CLASSES:
            raise UserError(f"{labels_file} holds label {labels.max()}; the labels are 0 to {CLASSES - 1}")
        border = (self.image_size - SIDE) // 2
        return np.pad(images, ((0, 0), (border, border), (border, border))), labels

    def _find(self, root: Path, name: str) -> Path:
        folders = (root, root / self.torchvision / "raw")
        for path in (folder / (name + suffix) for folder in folders for suffix in ("", ".gz")):
            if path.is_file():
                return path
        raise UserError(
            f"{root} holds neither {name} nor {name}.gz; put the four files of {self.torchvision} there "
            f"({', '.join(FILES)}; plain or .gz)"
        )

    def _fetched(self, context: Context) -> Path:
        """The folder in the cache in which torchvision keeps its data sets, with this one in it."""
        if not self.download:
            raise UserError(
                f"data '{self.type}' needs its files: set data.root to a folder with {', '.join(FILES)} "
                "(plain or .gz), or set data.download = true to fetch them"
            )
        store = context.cache / "torchvision"
        home = store / self.torchvision
        if home.is_dir():
            return store
        context.say(f"data: fetching {self.torchvision} into {home}")
        try:
            store.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=store) as temporary:
                # By name, because torchvision takes seconds to import and is seldom needed.
                fetch = getattr(need("torchvision.datasets", "data.download = true"), self.torchvision)
                fetch(temporary, download=True)
                # In one step, so that a fetch that breaks off leaves nothing that looks whole.
                (Path(temporary) / self.torchvision).rename(home)
        except (RuntimeError, OSError) as error:
            if home.is_dir():
                return store  # another process was faster
            raise UserError(
                f"could not fetch {self.torchvision}: {' '.join(str(error).split())}; fetch it where there "
                f"is a network and set data.root to the folder with {', '.join(FILES)}"
            ) from None
        return store
