"""i-CLEVR: one to three coloured objects on a grey floor, labelled with their names.

El-Nouby et al., "Tell, Draw, and Repeat: Generating and Modifying Images Based on Continual Linguistic
Instruction", 2019, arXiv:1811.09845; its objects are those of CLEVR, arXiv:1612.06890.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ganforge.api import (
    AbsolutePath,
    Context,
    DataSpec,
    Field,
    ImageDataset,
    LabelSpec,
    Samples,
    Split,
    UserError,
)
from ganforge_datasets.clevr_layout import NAMES, OBJECTS, draw_scenes
from ganforge_datasets.clevr_scenes import RENDERER, draw, pieces
from ganforge_datasets.decode import Form
from ganforge_datasets.decoded import Wanted, decoded
from ganforge_datasets.iclevr_files import check_objects, read_labels
from ganforge_datasets.stores import FolderStore, Store, ZipStore, refuse_missing
from ganforge_datasets.uint8_cache import cache_key, cached

Read = tuple[NDArray[np.uint8], NDArray[np.uint8], torch.Tensor | None]
"""Images [M, 3, S, S], labels [M, 24] and the scene of each image [M]."""


LISTS = ("test", "new_test")
"""Conditions that accuracies on i-CLEVR are reported for."""


class ICLEVR(ImageDataset):
    """Pictures of one to three objects, each one of 24: 8 colors of cubes, spheres and cylinders."""

    source: ClassVar[str] = (
        "Tell, Draw, and Repeat: Generating and Modifying Images Based on Continual Linguistic Instruction "
        "(El-Nouby et al., 2019), arXiv:1811.09845"
    )

    type: Literal["iclevr"] = "iclevr"
    example: ClassVar[Mapping[str, Any]] = {"data": {"type": "iclevr", "image_size": 16, "scenes": 4}}
    root: AbsolutePath | None = Field(
        None,
        description="Folder or zip with the real i-CLEVR: train.json, objects.json, and the images, loose "
        "anywhere inside or in images.zip; absent = draw scenes with the built-in renderer.",
    )
    image_size: Literal[16, 32, 64, 128, 256] = Field(
        64, description="Height and width in pixels; images of another size are resampled with antialiasing."
    )
    scenes: int = Field(6000, ge=1, description="Scenes to draw when there is no root; 3 images each.")
    seed: int = Field(0, ge=0, description="Seed of the drawn scenes; another seed gives other scenes.")

    def spec(self) -> DataSpec:
        labels = LabelSpec(kind="many_of_k", names=NAMES, most=OBJECTS, least=1)
        return DataSpec(shape=(3, self.image_size, self.image_size), labels=labels)

    def build(self, split: Split, context: Context) -> Samples:
        """The training images, uint8 [M, 3, S, S], with labels uint8 [M, 24]. There is no test split."""
        if split == "test":
            raise UserError(
                "iclevr has no test images, only lists of conditions to draw; use the split 'train'"
                + ("" if self.root else f", or draw other scenes with seed = {self.seed + 1}")
            )
        images, labels, groups = self._drawn(context) if self.root is None else self._read(self.root, context)
        return self.samples(torch.from_numpy(images), torch.from_numpy(labels), groups)

    def condition_lists(self) -> Mapping[str, Path]:
        """Both published lists, as far as the folder has them."""
        if self.root is None:
            return {}
        files = {name: self.root / f"{name}.json" for name in LISTS}
        return {name: file for name, file in files.items() if file.is_file()}

    def _drawn(self, context: Context) -> Read:
        count, size = self.scenes * OBJECTS, self.image_size
        what = f"{count:,} drawn i-CLEVR-like images of {self.scenes:,} scenes (seed {self.seed})"
        context.say(f"data: no root given; using {what}")
        scenes = draw_scenes(self.scenes, self.seed)

        images = cached(
            context.cache,
            cache_key("iclevr", "drawn", RENDERER, self.scenes, self.seed, size),
            (count, 3, size, size),
            what,
            lambda: context.track(draw(scenes, size), pieces(scenes, size), "drawing scenes"),
            context.say,
            context.fresh,
        )
        return images, scenes.labels(), torch.arange(count) // OBJECTS

    def _read(self, root: Path, context: Context) -> Read:
        lists = _open(root)
        check_objects(lists)
        names, labels = read_labels(lists)
        store = ZipStore(Path(lists.where("images.zip"))) if _has_inner_zip(lists) else lists
        refuse_missing(names, lists.where("train.json"), store)
        wanted = Wanted("iclevr", store, names, Form(self.image_size), f"images of {root}")
        return decoded(wanted, context).images, labels, _scenes(names)


def _scenes(names: Sequence[str]) -> torch.Tensor | None:
    """The scene of each image, from `CLEVR_train_<scene>_<i>.png`; None where a name is of another form."""
    found = [re.fullmatch(r"CLEVR_\w+_(\d{1,18})_\d+\.\w+", Path(name).name) for name in names]
    numbers = [int(match[1]) for match in found if match]
    return torch.tensor(numbers) if len(numbers) == len(names) else None


def _open(root: Path) -> Store:
    if root.is_dir():
        return FolderStore(root)
    if root.is_file():
        return ZipStore(root)
    raise UserError(
        f"{root} does not exist; set data.root to the folder or zip with i-CLEVR, "
        "or remove it to render similar scenes"
    )


def _has_inner_zip(lists: Store) -> bool:
    return isinstance(lists, FolderStore) and "images.zip" in lists.names()
