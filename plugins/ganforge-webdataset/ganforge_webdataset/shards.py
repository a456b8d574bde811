"""The shards of a data set, opened when a batch needs them; remote ones in a bounded folder."""

from __future__ import annotations

import hashlib
import os
import threading
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganforge.api import Stored, UserError
from ganforge_webdataset.decode import decode
from ganforge_webdataset.index import Entry

OPEN = Stored.window + 4
"""Shards that are open, or on disk if they are remote: those of the current window and the next."""


class Shards(Stored):
    """The images of tar files, by index."""

    def __init__(
        self, files: ShardFiles, entries: Sequence[Sequence[Entry]], size: int, channels: int
    ) -> None:
        """`entries`: the samples of each shard."""
        self.files = files
        self.lengths = [len(each) for each in entries]
        self.shape = (sum(self.lengths), channels, size, size)
        self._starts = np.cumsum([0, *self.lengths])
        self._places = np.array([(e.offset, e.size) for each in entries for e in each], dtype=np.int64)
        self._keys = [entry.key for each in entries for entry in each]

    @property
    def blocks(self) -> Sequence[int]:
        return self.lengths

    def read(self, rows: Tensor) -> Tensor:
        chosen = rows.numpy()
        _, channels, size, _ = self.shape
        out = torch.empty(len(chosen), channels, size, size, dtype=torch.uint8)
        shards = np.searchsorted(self._starts, chosen, side="right") - 1
        # In the order of the file, which a disk reads fastest.
        for place in np.lexsort((chosen, shards)):
            row = int(chosen[place])
            content = self.files.read(int(shards[place]), *map(int, self._places[row]))
            name = f"{self.files.urls[int(shards[place])]}: {self._keys[row]}"
            out[int(place)] = torch.from_numpy(decode(content, size, channels, name).copy())
        return out


class ShardFiles:
    """The tar files; of remote ones, the last used."""

    def __init__(self, urls: Sequence[str], folder: Path) -> None:
        """`folder`: where remote shards are put while they are in use."""
        self.urls = urls
        self.folder = folder
        self._open: OrderedDict[int, _Opened] = OrderedDict()
        self._lock = threading.Lock()

    def path(self, shard: int) -> Path:
        """The shard's file, downloaded if it is remote and not here."""
        url = self.urls[shard]
        if "://" not in url:
            return Path(url)
        path = self.folder / f"{self.name(shard)}.tar"
        if not path.exists():
            _download(url, path)
        return path

    def name(self, shard: int) -> str:
        """A name for files about a shard."""
        return hashlib.sha256(self.urls[shard].encode()).hexdigest()[:32]

    def read(self, shard: int, offset: int, size: int) -> bytes:
        """Bytes of a shard. Raises `UserError` if it is missing or shorter than it was."""
        with self._lock:
            if shard not in self._open:
                self._open[shard] = self._opened(shard)
            self._open.move_to_end(shard)
            opened = self._open[shard]
            opened.users += 1
            self._close_oldest()
        try:
            content = os.pread(opened.handle, size, offset)
        finally:
            with self._lock:
                opened.users -= 1
        if len(content) != size:
            raise UserError(f"{self.urls[shard]} is shorter than when it was indexed; start the run again")
        return content

    def _opened(self, shard: int) -> _Opened:
        remote = "://" in self.urls[shard]
        try:
            return _Opened(self.path(shard), remote)
        except FileNotFoundError:
            if not remote:
                raise UserError(f"{self.urls[shard]} does not exist; set data.shards to the shards") from None
            # Another process was done with it, and removed it, since we looked.
            return _Opened(self.path(shard), remote)

    def forget(self, shard: int) -> None:
        """Removes a remote shard from the disk."""
        if "://" in self.urls[shard]:
            self.path(shard).unlink(missing_ok=True)

    def _close_oldest(self) -> None:
        idle = [shard for shard, opened in self._open.items() if not opened.users]
        for shard in idle[: max(len(self._open) - OPEN, 0)]:
            self._open.pop(shard).close()


class _Opened:
    """An open shard, and how many threads are reading it."""

    def __init__(self, path: Path, remote: bool) -> None:
        self.path = path
        self.remote = remote
        self.users = 0
        try:
            self.handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; set data.shards to the shards") from None

    def close(self) -> None:
        os.close(self.handle)
        if self.remote:
            self.path.unlink(missing_ok=True)


def _download(url: str, path: Path) -> None:
    """Through a file of its own, so that processes that share the folder never see half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with urllib.request.urlopen(url, timeout=60) as remote, part.open("wb") as local:
            while piece := remote.read(1 << 20):
                local.write(piece)
        part.replace(path)
    except (urllib.error.URLError, OSError) as error:
        part.unlink(missing_ok=True)
        raise UserError(f"{url}: {error}; check data.shards and the network") from None
