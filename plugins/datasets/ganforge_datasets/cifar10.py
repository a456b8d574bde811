"""CIFAR-10, in its binary version: the Python version is pickled, and unpickling runs code."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator, Mapping
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
    Track,
    UserError,
)
from ganforge_datasets.stores import inner_path

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
META = "batches.meta.txt"
BATCHES: dict[Split, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
ARCHIVE = "cifar-10-binary.tar.gz"
INNER = "cifar-10-batches-bin"
"""The folder into which the archive unpacks."""
SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE
"""Bytes of one image: its class, then red, green and blue, row by row."""
MAX_BYTES = 2**28


class CIFAR10(ImageDataset):
    """50,000 photographs of ten classes, 32 x 32 in color, and 10,000 for tests."""

    source: ClassVar[str] = "Learning Multiple Layers of Features from Tiny Images (Krizhevsky, 2009)"

    type: Literal["cifar10"] = "cifar10"
    example: ClassVar[Mapping[str, Any]] = {"data": {"type": "cifar10", "root": "cifar-10-batches-bin"}}
    root: AbsolutePath = Field(
        description=f"{ARCHIVE}, as published, or a folder with it or its files (data_batch_1.bin, ...)."
    )
    labelled: bool = Field(True, description="Give each image its class; false = none, for plain GANs.")

    def spec(self) -> DataSpec:
        labels = LabelSpec(kind="one_of_k", names=NAMES) if self.labelled else LabelSpec()
        return DataSpec(shape=(3, SIDE, SIDE), labels=labels)

    def build(self, split: Split, context: Context) -> Samples:
        """Images uint8 [M, 3, 32, 32]."""
        contents = _read(self.root, (META, *BATCHES[split]), context.track)
        _check_names(contents[META], f"{self.root}: {META}")
        records = np.concatenate(
            [_records(contents[name], f"{self.root}: {name}") for name in BATCHES[split]]
        )
        images = records[:, 1:].reshape(-1, 3, SIDE, SIDE)
        labels = np.eye(len(NAMES), dtype=np.uint8)[records[:, 0]]
        return self.samples(
            torch.from_numpy(np.ascontiguousarray(images)),
            torch.from_numpy(labels) if self.labelled else None,
        )


def _records(content: bytes, where: str) -> NDArray[np.uint8]:
    """The images of a batch [M, 1 + 3072]."""
    if not content or len(content) % RECORD:
        raise UserError(f"{where} has {len(content):,} bytes, not a multiple of {RECORD:,}; copy it again")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    if records[:, 0].max() >= len(NAMES):
        raise UserError(f"{where} holds label {records[:, 0].max()}; the labels are 0 to {len(NAMES) - 1}")
    return records


def _check_names(content: bytes, where: str) -> None:
    names = tuple(content.decode("ascii", "replace").split())
    if names != NAMES:
        raise UserError(f"{where} names {', '.join(names) or 'nothing'}; CIFAR-10 has {', '.join(NAMES)}")


def _read(root: Path, names: tuple[str, ...], track: Track) -> dict[str, bytes]:
    """The named files of a folder or of the archive, by name."""
    archive = root if root.is_file() else root / ARCHIVE
    folder = next((each for each in (root, root / INNER) if (each / names[-1]).is_file()), None)
    if folder is not None:
        files = _from_folder(folder, names)
    elif archive.is_file():
        files = _from_archive(archive, names)
    else:
        pickled = root / "cifar-10-batches-py"
        hint = f"; {pickled} is the Python version, which is pickled" if pickled.is_dir() else ""
        raise UserError(
            f"{root} holds neither {names[-1]} nor {ARCHIVE}{hint}; put the binary version of CIFAR-10 "
            "there, from https://www.cs.toronto.edu/~kriz/cifar.html"
        )
    return dict(track(files, len(names), "reading CIFAR-10"))


def _from_folder(folder: Path, names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        path = folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        yield name, content


def _from_archive(archive: Path, names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Reads through the archive once; nothing is unpacked to disk."""
    missing = set(names)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = inner_path(member.name, archive, "archive").name
                if name not in missing or not member.isfile():
                    continue
                if member.size > MAX_BYTES:
                    raise UserError(
                        f"{archive}/{member.name} has {member.size:,} bytes; "
                        f"more than {MAX_BYTES:,} is refused"
                    )
                file = tar.extractfile(member)
                assert file is not None
                missing.remove(name)
                yield name, file.read()
    except (tarfile.TarError, EOFError, zlib.error):
        raise UserError(f"{archive} is not a whole .tar.gz; copy it again") from None
    except OSError as error:
        raise UserError(f"{archive} cannot be read: {error.strerror or error}; copy it again") from None
    if missing:
        raise UserError(f"{archive} holds no {min(missing)}; copy it again")
