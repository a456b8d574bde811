"""The files of a folder or a zip, listed and read one way."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ganforge.api import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MOST_BYTES = 64 * 2**20
"""A larger file is refused before it is read, or unpacked from a zip."""


class Store(ABC):
    """Files found by their own names, wherever they lie inside; or by their paths inside, with `/`."""

    path: Path

    @abstractmethod
    def names(self) -> list[str]:
        """The names (or paths) of all files."""

    @abstractmethod
    def where(self, name: str) -> str:
        """How to name the file in a message."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file. Raises `UserError` where it cannot be read."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when an image file changes; reads no file."""


class FolderStore(Store):
    """The files below a folder."""

    def __init__(self, path: Path, by_path: bool = False) -> None:
        self.path = path
        self._files: dict[str, Path] = {}
        for folder, folders, names in os.walk(path):
            folders.sort()
            inner = Path(folder).relative_to(path)
            for name in sorted(names):
                key = (inner / name).as_posix() if by_path else name
                self._files.setdefault(key, Path(folder, name))

    def names(self) -> list[str]:
        return list(self._files)

    def where(self, name: str) -> str:
        return str(self._files.get(name, self.path / name))

    def read(self, name: str) -> bytes:
        path = self._files[name]
        try:
            state = path.stat()
            # Reading a pipe waits for a writer, for ever if need be; a device may have no end.
            if not stat.S_ISREG(state.st_mode):
                raise UserError(f"{path} is no regular file; remove it")
            if state.st_size > MOST_BYTES:
                raise UserError(f"{path} has {state.st_size:,} bytes; more than {MOST_BYTES:,} is refused")
            return path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in sorted(self._files):
            if name.lower().endswith(SUFFIXES):
                try:
                    state = self._files[name].stat()
                except OSError as error:
                    raise UserError(f"{self._files[name]} cannot be read: {error.strerror}") from None
                line = f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n"
                # A name on disk may be bytes that are no text.
                digest.update(line.encode(errors="surrogateescape"))
        return digest.hexdigest()


class ZipStore(Store):
    """The members of a zip. Raises `UserError` for a file that is no zip, or for a member that points
    outside of it."""

    def __init__(self, path: Path, by_path: bool = False) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
            raise UserError(f"{path} is not a zip, or is cut short; copy it again") from None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            inner = inner_path(member.filename, path, "zip")
            if not member.filename.endswith("/"):
                self._members.setdefault(inner.as_posix() if by_path else inner.name, member)

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
        # Of these two alone the library unpacks no more than asked for, whatever the header says.
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(
                f"{self.where(name)} is compressed neither by deflate nor not at all; pack it anew"
            )
        try:
            with self._zip.open(member) as file:
                return file.read(member.file_size)
        # Damage inside a zip surfaces as whatever its decompressor raises.
        except Exception as error:
            raise UserError(f"{self.where(name)} cannot be read from the zip: {error}") from None

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in sorted(self._members):
            member = self._members[name]
            digest.update(f"{name}\0{member.file_size}\0{member.CRC}\n".encode())
        return digest.hexdigest()


def inner_path(member: str, archive: Path, what: str) -> PurePosixPath:
    """The path of an archive's member. Raises `UserError` for one that points outside."""
    inner = PurePosixPath(member.replace("\\", "/"))
    if inner.is_absolute() or ".." in inner.parts:
        raise UserError(f"{archive} holds '{member}', which points outside of the {what}; refused")
    return inner


def locate(root: Path, name: str) -> Path | None:
    """The file or folder of that name in `root` or below, the uppermost first; None where there is none."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        if name in files or name in folders:
            return Path(folder, name)
    return None


def refuse_missing(names: Sequence[str], listed_in: str, store: Store) -> None:
    """Raises `UserError` where `store` lacks an image that the file `listed_in` lists."""
    there = set(store.names())
    missing = [name for name in names if name not in there]
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise UserError(f"{listed_in} lists image '{missing[0]}'{more}, which {store.path} does not hold")
