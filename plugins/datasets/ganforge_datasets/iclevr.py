"""i-CLEVR: one to three coloured objects on a grey floor, labelled with their names.

El-Nouby et al., "Tell, Draw, and Repeat: Generating and Modifying Images Based on Continual Linguistic
Instruction", 2019, arXiv:1811.09845; its objects are those of CLEVR, arXiv:1612.06890.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import field_validator

from ganforge.api import Context, Dataset, DataSpec, Field, LabelSpec, Samples, Split, UserError
from ganforge_datasets.clevr_layout import NAMES, OBJECTS, draw_scenes
from ganforge_datasets.clevr_scenes import RENDERER, draw, pieces
from ganforge_datasets.decode import FolderStore, Store, ZipStore, decode_images
from ganforge_datasets.iclevr_files import check_objects, read_labels
from ganforge_datasets.uint8_cache import cached

FORMAT = 1
"""Version of how files become bytes; part of the cache's key."""


class ICLEVR(Dataset):
    """Pictures of one to three objects, each one of 24: 8 colours of cubes, spheres and cylinders."""

    source: ClassVar[str] = (
        "Tell, Draw, and Repeat: Generating and Modifying Images Based on Continual Linguistic Instruction "
        "(El-Nouby et al., 2019), arXiv:1811.09845"
    )

    type: Literal["iclevr"] = "iclevr"
    root: Path | None = Field(
        None,
        description="Folder or zip with the real i-CLEVR: train.json, objects.json, and the images, loose "
        "anywhere inside or in images.zip; absent = draw scenes with the built-in renderer.",
    )
    image_size: Literal[16, 32, 64, 128, 256] = Field(
        64, description="Height and width in pixels; images of another size are resampled with antialiasing."
    )
    scenes: int = Field(6000, ge=1, description="Scenes to draw when there is no root; 3 images each.")
    seed: int = Field(0, ge=0, description="Seed of the drawn scenes; another seed gives other scenes.")
    mirror: bool = Field(
        False, description="Flip images left to right at random during training; false = never."
    )

    @field_validator("root")
    @classmethod
    def _absolute(cls, root: Path | None) -> Path | None:
        try:
            return None if root is None else root.expanduser().absolute()
        except RuntimeError:
            raise ValueError(f"the home folder in '{root}' is not known; write the path in full") from None

    def spec(self) -> DataSpec:
        labels = LabelSpec(kind="many_of_k", names=NAMES, most=OBJECTS)
        return DataSpec(shape=(3, self.image_size, self.image_size), labels=labels)

    def build(self, split: Split, context: Context) -> Samples:
        """The training images, uint8 [M, 3, S, S], with labels uint8 [M, 24]. There is no test split."""
        if split == "test":
            raise UserError(
                "iclevr has no test images, only lists of conditions to draw; use the split 'train'"
                + ("" if self.root else f", or draw other scenes with seed = {self.seed + 1}")
            )
        images, labels = self._drawn(context) if self.root is None else self._read(self.root, context)
        return Samples(torch.from_numpy(images), torch.from_numpy(labels), self.mirror)

    def _drawn(self, context: Context) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        count, size = self.scenes * OBJECTS, self.image_size
        what = f"{count:,} drawn i-CLEVR-like images of {self.scenes:,} scenes (seed {self.seed})"
        context.say(f"data: no root given; using {what}")
        scenes = draw_scenes(self.scenes, self.seed)

        def make() -> NDArray[np.uint8]:
            steps = context.track(draw(scenes, size), pieces(scenes, size), "drawing scenes")
            return np.concatenate(list(steps))

        key = _key("drawn", RENDERER, self.scenes, self.seed, size)
        return cached(context.cache, key, (count, 3, size, size), what, make, context.say), scenes.labels()

    def _read(self, root: Path, context: Context) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        lists = _open(root)
        check_objects(lists)
        names, labels = read_labels(lists)
        store = ZipStore(Path(lists.where("images.zip"))) if _has_inner_zip(lists) else lists
        there = set(store.names())
        missing = [name for name in names if name not in there]
        if missing:
            more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            raise UserError(
                f"{lists.where('train.json')} lists image '{missing[0]}'{more}, "
                f"which {store.path} does not hold"
            )
        size = self.image_size
        key = _key("read", FORMAT, size, names, store.fingerprint())
        images = cached(
            context.cache,
            key,
            (len(names), 3, size, size),
            f"images of {root}",
            lambda: decode_images(store, names, size, context.track),
            context.say,
        )
        return images, labels


def _open(root: Path) -> Store:
    if root.is_dir():
        return FolderStore(root)
    if root.is_file():
        return ZipStore(root)
    raise UserError(
        f"{root} does not exist; set data.root to the folder or zip with i-CLEVR, "
        "or leave it out to draw such scenes"
    )


def _has_inner_zip(lists: Store) -> bool:
    return isinstance(lists, FolderStore) and "images.zip" in lists.names()


def _key(*parts: object) -> str:
    return "iclevr-" + hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
