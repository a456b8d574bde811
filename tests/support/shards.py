"""Scenes drawn by hand, as encoded images in tar files, for data sets that read them batch by batch."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganforge.testing.squares import Squares
from support.contexts import context

CLASSES = ("red", "green", "blue")


def scenes(count: int) -> tuple[Tensor, list[int]]:
    """Images uint8 [count, 3, 16, 16], and their classes."""
    found = Squares(count=count, labels="one_of_k").build("train", context(Path()))
    assert isinstance(found.images, Tensor) and found.labels is not None
    return found.images, found.labels.argmax(1).tolist()


def png(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "PNG")
    return buffer.getvalue()


def write_shards(folder: Path, lengths: list[int]) -> Tensor:
    """`000.tar`, ... with as many scenes; returns the images of all."""
    images, classes = scenes(sum(lengths))
    row = 0
    for shard, length in enumerate(lengths):
        with tarfile.open(folder / f"{shard:03}.tar", "w") as tar:
            for _ in range(length):
                for extension, content in (("png", png(images[row])), ("cls", str(classes[row]).encode())):
                    member = tarfile.TarInfo(f"{row:06}.{extension}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
                row += 1
    return images


def seen(batches: list[Tensor]) -> list[bytes]:
    """Each image of the batches in [-1, 1], as bytes."""
    rows = torch.cat(batches).add(1).mul(127.5).round().to(torch.uint8)
    return [row.contiguous().numpy().tobytes() for row in rows]
