"""i-CLEVR in small, in each form in which it is found."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ganforge.api import Samples
from ganforge_datasets.clevr_layout import NAMES, draw_scenes
from ganforge_datasets.clevr_scenes import render
from ganforge_datasets.iclevr import ICLEVR
from support.contexts import context

SCENES = draw_scenes(4, 0)
IMAGES = render(SCENES, 64)
FILES = [f"CLEVR_train_{scene:06d}_{image}.png" for scene in range(4) for image in range(3)]
LISTS = {file: [NAMES[i] for i in SCENES.names[n // 3, : n % 3 + 1]] for n, file in enumerate(FILES)}
OBJECTS = {name: number for number, name in enumerate(NAMES)}


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()


PNGS = dict(zip(FILES, map(png, IMAGES), strict=True))


def lists(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "train.json").write_text(json.dumps(LISTS))
    (folder / "objects.json").write_text(json.dumps(OBJECTS))


def loose(folder: Path, inner: str = "images") -> Path:
    lists(folder)
    (folder / inner).mkdir(exist_ok=True)
    for name, data in PNGS.items():
        (folder / inner / name).write_bytes(data)
    return folder


def zipped(folder: Path) -> Path:
    lists(folder)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for name, data in PNGS.items():
            archive.writestr(name, data)
    return folder


def one_zip(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("iclevr/train.json", json.dumps(LISTS))
        archive.writestr("iclevr/objects.json", json.dumps(OBJECTS))
        for name, data in PNGS.items():
            archive.writestr(f"iclevr/images/{name}", data)
    return path


def build(root: Path | None, tmp_path: Path, **fields: object) -> Samples:
    return ICLEVR(root=root, **fields).build("train", context(tmp_path / "cache"))  # type: ignore[arg-type]
