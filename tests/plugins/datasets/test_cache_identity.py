"""Decoded images are known again by what the files contain, and never taken for those of other files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from ganforge.api import Context
from ganforge_datasets import decode_many
from ganforge_datasets.stores import FolderStore
from support.contexts import context, opened
from support.pictures import data, folder, png, zipped

FILES = {"a.png": png(10), "b/c.png": png(20)}


def grays(root: Path, cache: Path) -> list[int]:
    found = opened(data(root), cache).images[:, 0, 0, 0].tolist()
    assert isinstance(found, list)
    return found


def entries(cache: Path) -> int:
    return len(list(cache.glob("*.npy")))


class Reads:
    """Counts the images that are decoded, and the files that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        decode, read = decode_many.decode_image, FolderStore.read
        self.decoded = self.read = 0

        def counted(*args: object) -> object:
            self.decoded += 1
            return decode(*args)  # type: ignore[arg-type]

        def opened(store: FolderStore, name: str) -> bytes:
            self.read += 1
            return read(store, name)

        monkeypatch.setattr(decode_many, "decode_image", counted)
        monkeypatch.setattr(FolderStore, "read", opened)

    def take(self) -> tuple[int, int]:
        found = self.decoded, self.read
        self.decoded = self.read = 0
        return found


def alike(root: Path) -> Path:
    """All files with one size and one time."""
    for path in root.rglob("*.png"):
        path.write_bytes(path.read_bytes().ljust(200, b"\0"))
        os.utime(path, (0, 0))
    return root


def test_two_folders_that_are_alike_are_two_entries(tmp_path: Path) -> None:
    first = alike(folder(tmp_path / "a", FILES))
    second = alike(folder(tmp_path / "b", {name: png(200) for name in FILES}))
    cache = tmp_path / "cache"
    assert grays(first, cache) == [10, 20] and grays(second, cache) == [200, 200]
    assert entries(cache) == 2
    assert grays(first, cache) == [10, 20] and grays(second, cache) == [200, 200]
    assert entries(cache) == 2


def test_one_folder_in_the_place_of_another(tmp_path: Path) -> None:
    place, cache = tmp_path / "data", tmp_path / "cache"
    for gray in (10, 200):
        shutil.rmtree(place, ignore_errors=True)
        alike(folder(place, {name: png(gray) for name in FILES}))
        assert grays(place, cache) == [gray, gray]
    (tmp_path / "link").symlink_to(place)
    assert grays(tmp_path / "link", cache) == [200, 200]
    other = alike(folder(tmp_path / "other", {name: png(30) for name in FILES}))
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(other)
    assert grays(tmp_path / "link", cache) == [30, 30]


@pytest.mark.parametrize("form", [folder, zipped])
def test_a_file_that_is_changed_in_place_with_its_time_kept(tmp_path: Path, form: type) -> None:
    cache = tmp_path / "cache"
    root = form(tmp_path / "data", FILES)
    assert grays(root, cache) == [10, 20]
    changed = root / "a.png" if root.is_dir() else root
    before = changed.stat()
    if root.is_dir():
        changed.write_bytes(png(77))
    else:
        form(tmp_path / "data", FILES | {"a.png": png(77)})
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert changed.stat().st_size == before.st_size
    assert grays(root, cache) == [77, 20]


def test_what_is_unchanged_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, cache = Reads(monkeypatch), tmp_path / "cache"
    root = folder(tmp_path / "data", FILES)
    grays(root, cache)
    assert reads.take() == (2, 2), "each file is read once to be decoded and hashed"
    grays(root, cache)
    assert reads.take() == (0, 0)


def test_a_copy_is_read_but_not_decoded_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    root = folder(tmp_path / "data", FILES)
    grays(root, cache)
    reads = Reads(monkeypatch)
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    assert grays(copy, cache) == [10, 20]
    assert reads.take() == (0, 2)
    assert grays(copy, cache) == [10, 20] and grays(root, cache) == [10, 20]
    assert reads.take() == (0, 0) and entries(cache) == 1
    (root / "a.png").touch()
    assert grays(root, cache) == [10, 20] and reads.take() == (0, 2)


def test_fresh_data_replace_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    root = folder(tmp_path / "data", FILES)
    grays(root, cache)
    (entry,) = cache.glob("*.npy")
    with entry.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x63")
    assert opened(data(root), cache).images.flatten()[-1] == 0x63, "it cannot be told from what was written"
    plain = context(cache)
    fresh = data(root).build("train", Context(cache, plain.say, plain.track, fresh=True)).images
    assert torch.equal(fresh, opened(data(root), cache).images) and fresh.flatten()[-1] == 20
    assert entries(cache) == 1


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"states": [1]}', '{"states": 3, "content": "x"}', "\udcff"]
)
def test_an_entry_whose_record_is_damaged_is_made_again(tmp_path: Path, text: str) -> None:
    cache = tmp_path / "cache"
    root = folder(tmp_path / "data", FILES)
    grays(root, cache)
    (record,) = cache.glob("*.json")
    kept = record.read_text()
    record.write_bytes(text.encode(errors="surrogateescape"))
    assert grays(root, cache) == [10, 20]
    assert record.read_text() == kept


def test_a_damaged_entry_is_made_again_and_said(tmp_path: Path) -> None:
    cache, said = tmp_path / "cache", list[str]()
    root = folder(tmp_path / "data", FILES)
    grays(root, cache)
    (entry,) = cache.glob("*.npy")
    entry.write_bytes(entry.read_bytes()[:-1])
    assert opened(data(root), cache, said=said).images[:, 0, 0, 0].tolist() == [10, 20]
    assert said[1:] == [f"data: {entry} is damaged; making it again"]


def test_the_oldest_entries_are_dropped_where_the_cache_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    root = folder(tmp_path / "data", FILES)

    def use(size: int) -> list[str]:
        said = list[str]()
        opened(data(root, image_size=size), cache, said=said)
        for number, record in enumerate(
            sorted(cache.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        ):
            os.utime(record, (number, number))  # the clock of a file system may be coarse
        return said[1:]

    # Each takes 6 S^2 bytes and a header of 128.
    monkeypatch.setenv("GANFORGE_CACHE_GIB", repr(3 * (6 * 64 * 64 + 128) / 2**30))
    assert use(64) == use(63) == use(62) == [] and use(64) == []
    (line,) = use(61)
    assert line == (
        f"data: dropped images of {root} from the cache (0.0 GiB), which holds at most "
        f"{3 * (6 * 64 * 64 + 128) / 2**30:g} GiB (GANFORGE_CACHE_GIB)"
    )
    kept = sorted(path.stat().st_size for path in cache.glob("*.npy"))
    assert kept == [6 * size * size + 128 for size in (61, 62, 64)], "63 was used longest ago"
    monkeypatch.setenv("GANFORGE_CACHE_GIB", "1e-9")
    assert len(use(60)) == 3 and entries(cache) == 1, "the one in use is never dropped"
    for nonsense in ("x", "0", "-1", "nan"):
        monkeypatch.setenv("GANFORGE_CACHE_GIB", nonsense)
        assert use(59) == []
