"""The files of a folder or a zip, listed and read one way."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tarfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from ganforge.api import UserError
from ganforge_datasets.formats import (
    ARCHIVES,
    HEAD,
    UNSUPPORTED,
    is_array_name,
    is_image_head,
    is_image_name,
    what_it_is,
)

MAX_BYTES = 64 * 2**20
"""A larger file is refused before it is read, or unpacked from a zip."""
MAX_FOLDERS = 1_000_000
"""Folders walked through; links can make few of them many."""


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
    def head(self, name: str, size: int) -> bytes:
        """The first `size` bytes of a file, or fewer; empty where it cannot be read."""

    def is_broken_link(self, name: str) -> bool:
        """Whether it is a link that leads nowhere; a zip has no links."""
        return False

    @abstractmethod
    def state(self, names: Sequence[str]) -> str:
        """Changes whenever one of the files changes, is replaced or moves; reads none of them."""


class FolderStore(Store):
    """The files below a folder. Linked folders are followed, but not one that lies inside itself."""

    def __init__(self, path: Path, by_path: bool = False) -> None:
        self.path = path
        self.loops: list[str] = []
        """Links that were not followed, because they lead to a folder they lie in."""
        self.closed: list[tuple[str, str]] = []
        """Folders that could not be listed, and why."""
        self._files: dict[str, Path] = {}
        for folder, names in _walk(path, self.loops, self.closed):
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
            if state.st_size > MAX_BYTES:
                raise UserError(f"{path} has {state.st_size:,} bytes; more than {MAX_BYTES:,} is refused")
            return path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None

    def head(self, name: str, size: int) -> bytes:
        path = self._files[name]
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return b""
            with path.open("rb", buffering=0) as file:
                return file.read(size)
        except OSError:
            return b""

    def is_broken_link(self, name: str) -> bool:
        return self._files[name].is_symlink() and not self._files[name].exists()

    def state(self, names: Sequence[str]) -> str:
        digest = hashlib.sha256(os.fsencode(os.path.realpath(self.path)))
        for name in names:
            digest.update(os.fsencode(f"{name}\0{file_state(self._files[name])}\n"))
        return digest.hexdigest()


def file_state(path: Path) -> str:
    """Size, times and number of a file: another file at the same place differs in one of them."""
    try:
        found = path.stat()
    except OSError as error:
        return f"errno {error.errno}"
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _walk(root: Path, loops: list[str], closed: list[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """The folders of `root` with the names of their files, each before its sub-folders, in sorted order.
    Links that would make a loop go to `loops`, folders that cannot be listed to `closed`."""

    def note(error: OSError) -> None:
        closed.append((str(error.filename), str(error.strerror)))

    above: dict[str, frozenset[tuple[int, int]]] = {str(root): frozenset()}
    count = 0
    for folder, folders, names in os.walk(root, onerror=note, followlinks=True):
        count += 1
        if count > MAX_FOLDERS:
            raise UserError(f"{root} has more than {MAX_FOLDERS:,} folders, with those that links lead to")
        here = above.pop(folder)
        with contextlib.suppress(OSError):
            found = os.stat(folder)
            here |= {(found.st_dev, found.st_ino)}
        kept = []
        for name in sorted(folders):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                with contextlib.suppress(OSError):
                    found = os.stat(path)
                    if (found.st_dev, found.st_ino) in here:
                        loops.append(path)
                        continue
            kept.append(name)
            above[path] = here
        folders[:] = kept
        yield folder, names


class ZipStore(Store):
    """The members of a zip. Raises `UserError` for a file that is no zip, or for a member that points
    outside of it."""

    def __init__(self, path: Path, by_path: bool = False) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
            raise UserError(_no_zip(path)) from None
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
        if member.file_size > MAX_BYTES:
            raise UserError(
                f"{self.where(name)} has {member.file_size:,} bytes; more than {MAX_BYTES:,} is refused"
            )
        if member.flag_bits & 1:
            raise UserError(f"{self.where(name)} is encrypted; unpack the zip with its password")
        # Only for these two does the library unpack no more than requested, whatever the header claims.
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(
                f"{self.where(name)} uses an unsupported compression method; re-create the zip with "
                "deflate or store"
            )
        try:
            with self._zip.open(member) as file:
                return file.read(member.file_size)
        # Damage inside a zip surfaces as whatever its decompressor raises.
        except Exception as error:
            raise UserError(f"{self.where(name)} cannot be read from the zip: {error}") from None

    def head(self, name: str, size: int) -> bytes:
        member = self._members[name]
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return b""
        try:
            with self._zip.open(member) as file:
                return file.read(size)
        except Exception:
            return b""

    def state(self, names: Sequence[str]) -> str:
        archive = f"{os.path.realpath(self.path)}\0{file_state(self.path)}\n"
        digest = hashlib.sha256(os.fsencode(archive))
        for name in names:
            member = self._members[name]
            digest.update(f"{name}\0{member.file_size}\0{member.CRC}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


def _no_zip(path: Path) -> str:
    """What a file is that was given as a zip, and what to do."""
    name = path.name.lower()
    # A damaged archive fails as its decompressor likes.
    with contextlib.suppress(Exception):
        if tarfile.is_tarfile(path):
            return f"{path} is a tar archive, which is not read in place; unpack it and give its folder"
    head = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(HEAD)
    if name.endswith(ARCHIVES) and not name.endswith(".zip"):
        return f"{path} is not a folder or zip of images; unpack it and give its folder"
    if is_image_name(name) or name.endswith(UNSUPPORTED) or is_image_head(head):
        return f"{path} is one image; set data.root to the folder it is in, {path.parent}"
    if what_it_is(head):
        return f"{path} {what_it_is(head)}"
    if name.endswith(".zip") or head.startswith(b"PK"):
        return f"{path} is not a zip, or is cut short; copy it again"
    if name.endswith((".csv", ".tsv", ".json", ".jsonl", ".txt", ".toml", ".xlsx")):
        return f"{path} is a table or text; set data.root to the folder with the images"
    if is_array_name(name):
        return f"{path} holds arrays; save each image as a file, and set data.root to their folder"
    return f"{path} is a file, but no zip; set data.root to a folder or zip with images"


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
