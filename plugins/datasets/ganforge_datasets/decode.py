"""Image files of a folder or a zip, decoded in parallel to one array of bytes."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ganforge.api import Track, UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
MOST_PIXELS = 16_000_000
"""A larger image is refused before it is decoded."""
MOST_BYTES = 256 * 2**20
"""A larger file is refused before it is read."""
AT_ONCE = 64
"""Images per step of the progress bar, and per task of a worker."""


class Store(ABC):
    """Files that are found by their own names, wherever they lie inside."""

    path: Path

    @abstractmethod
    def names(self) -> list[str]:
        """The names of all files, without their folders."""

    @abstractmethod
    def where(self, name: str) -> str:
        """How to name the file in a message."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file. Raises `UserError` where it cannot be read."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when a file changes; reads no file."""


class FolderStore(Store):
    """The files below a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, Path] = {}
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                self._files.setdefault(name, Path(folder, name))

    def names(self) -> list[str]:
        return list(self._files)

    def where(self, name: str) -> str:
        return str(self._files.get(name, self.path / name))

    def read(self, name: str) -> bytes:
        path = self._files[name]
        try:
            if path.stat().st_size > MOST_BYTES:
                raise UserError(
                    f"{path} has {path.stat().st_size:,} bytes; more than {MOST_BYTES:,} is refused"
                )
            return path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in sorted(self._files):
            if name.lower().endswith(SUFFIXES):
                state = self._files[name].stat()
                digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
        return digest.hexdigest()


class ZipStore(Store):
    """The members of a zip. Raises `UserError` for a file that is no zip, or for a member that points
    outside of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
            raise UserError(f"{path} is not a zip, or is cut short; copy it again") from None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            inner = PurePosixPath(member.filename.replace("\\", "/"))
            if inner.is_absolute() or ".." in inner.parts:
                raise UserError(f"{path} holds '{member.filename}', which points outside of the zip; refused")
            if not member.is_dir():
                self._members.setdefault(inner.name, member)

    def names(self) -> list[str]:
        return list(self._members)

    def where(self, name: str) -> str:
        member = self._members.get(name)
        return f"{self.path}/{member.filename if member else name}"

    def read(self, name: str) -> bytes:
        member = self._members[name]
        if member.file_size > MOST_BYTES:
            raise UserError(
                f"{self.where(name)} has {member.file_size:,} bytes; more than {MOST_BYTES:,} is refused"
            )
        try:
            return self._zip.read(member)
        # Damage inside a zip surfaces as whatever its decompressor raises.
        except Exception as error:
            raise UserError(f"{self.where(name)} cannot be read from the zip: {error}") from None

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in sorted(self._members):
            member = self._members[name]
            digest.update(f"{name}\0{member.file_size}\0{member.CRC}\n".encode())
        return digest.hexdigest()


def decode_image(data: bytes, where: str, size: int) -> NDArray[np.uint8]:
    """An encoded image -> uint8 [3, S, S]; any colour mode becomes RGB, any other size is resampled with
    antialiasing. Raises `UserError` for what is no whole image."""
    if not data:
        raise UserError(f"{where} is empty (0 bytes); copy it again")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(
                    f"{where} is {image.width} x {image.height}; more than {MOST_PIXELS:,} pixels is refused"
                )
            rgb = image.convert("RGB")
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError(f"{where} is not an image ({', '.join(FORMATS)})") from None
    # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others on damaged files.
    except Exception as error:
        raise UserError(f"{where} is damaged: {error}; copy it again") from None
    if rgb.size != (size, size):
        rgb = rgb.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(rgb).transpose(2, 0, 1)


def decode_images(store: Store, names: Sequence[str], size: int, track: Track) -> NDArray[np.uint8]:
    """The named files of a store, uint8 [M, 3, S, S], in their order. Raises `UserError`."""
    images = np.empty((len(names), 3, size, size), np.uint8)

    def decode(start: int) -> None:
        for row, name in enumerate(names[start : start + AT_ONCE], start):
            images[row] = decode_image(store.read(name), store.where(name), size)

    starts = range(0, len(names), AT_ONCE)
    # Threads, because Pillow decodes outside of the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in track(pool.map(decode, starts), len(starts), "decoding images"):
            pass
    return images
