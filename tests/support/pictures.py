"""Small pictures in folders and zips, for tests of `image_folder`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ganforge_datasets.image_folder import ImageFolder
from support.contexts import opened, refused

GREYS = {"cat/a.png": 10, "cat/b.png": 20, "cat/deep/c.png": 30, "dog/a.png": 40, "dog/d.png": 50}


def png(grey: int | np.ndarray, mode: str = "L") -> bytes:
    pixels = np.full((9, 9), grey, np.uint8) if isinstance(grey, int) else grey
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


FILES: dict[str, bytes] = {name: png(grey) for name, grey in GREYS.items()}


def folder(root: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def zipped(path: Path, files: Mapping[str, bytes | str]) -> Path:
    path = path.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def data(root: Path, **fields: object) -> ImageFolder:
    return ImageFolder(root=root, **({"image_size": 8} | fields))  # type: ignore[arg-type]


def content(dataset: ImageFolder, tmp_path: Path, said: list[str] | None = None) -> dict[int, list[str]]:
    """The grey of each image, and its labels."""
    samples = opened(dataset, tmp_path / "cache", said=said)
    assert samples.images.dtype == torch.uint8
    greys = samples.images[:, 0, 0, 0].tolist()
    assert samples.images.eq(samples.images[:, :1, :1, :1]).all()
    if samples.labels is None:
        return {grey: [] for grey in greys}
    assert samples.labels.dtype == torch.uint8
    return dict(zip(greys, map(dataset.spec().labels.decode, samples.labels), strict=True))


def bad(tmp_path: Path, files: Mapping[str, bytes | str], **fields: object) -> str:
    return refused(data(folder(tmp_path / "data", files), **fields), tmp_path / "cache")
