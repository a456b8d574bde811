from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge_datasets.decode import Form, decode_images
from ganforge_datasets.in_order import in_order
from ganforge_datasets.stores import Store
from ganforge_datasets.uint8_cache import cached

SHAPE = (5, 3, 4, 4)
WHOLE = np.arange(240, dtype=np.uint8).reshape(SHAPE)
PIXEL = io.BytesIO()
Image.new("RGB", (1, 1), "red").save(PIXEL, "PNG")


class Maker:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Iterator[np.ndarray]:
        self.calls += 1
        # The last piece is shorter than the others.
        yield from np.split(WHOLE, [2, 4])


def get(folder: Path, make: Callable[[], Iterable[np.ndarray]], said: list[str] | None = None) -> np.ndarray:
    return cached(folder, "k", SHAPE, "test images", make, (said if said is not None else []).append)


def test_second_time_comes_from_the_disk(tmp_path: Path) -> None:
    make = Maker()
    first, second = get(tmp_path / "new" / "folder", make), get(tmp_path / "new" / "folder", make)
    assert make.calls == 1
    assert isinstance(first, np.memmap) and np.array_equal(first, WHOLE), "the first time, too"
    assert isinstance(second, np.memmap) and np.array_equal(second, WHOLE)
    assert np.array_equal(np.load(tmp_path / "new" / "folder" / "k.npy"), WHOLE)
    assert json.loads((tmp_path / "new" / "folder" / "k.json").read_text()) == {
        "holds": "test images",
        "shape": [5, 3, 4, 4],
    }
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == ["k.json", "k.npy"]


def test_a_tensor_over_it_is_writable_and_the_file_stays(tmp_path: Path) -> None:
    make = Maker()
    get(tmp_path, make)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.from_numpy(get(tmp_path, make))
        tensor.zero_()
    assert get(tmp_path, make).sum() == np.arange(240).sum()
    assert make.calls == 1


def damage_cut(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-1])


def damage_longer(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes() + b"x")


def damage_empty(entry: Path) -> None:
    entry.write_bytes(b"")


def damage_magic(entry: Path) -> None:
    entry.write_bytes(b"garbage" + entry.read_bytes()[7:])


def damage_header(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes().replace(b"{'descr'", b"{'descr("))


def damage_shape(entry: Path) -> None:
    np.save(entry, np.zeros((1, 3, 4, 4), np.uint8))


def damage_type(entry: Path) -> None:
    np.save(entry, np.zeros(SHAPE, np.int8))


def damage_objects(entry: Path) -> None:
    np.save(entry, np.full(SHAPE, None), allow_pickle=True)


@pytest.mark.parametrize(
    "damage",
    [
        damage_cut,
        damage_longer,
        damage_empty,
        damage_magic,
        damage_header,
        damage_shape,
        damage_type,
        damage_objects,
    ],
)
def test_a_damaged_entry_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    make, said = Maker(), list[str]()
    get(tmp_path, make)
    damage(tmp_path / "k.npy")
    assert np.array_equal(get(tmp_path, make, said), WHOLE)
    assert make.calls == 2
    assert said == [f"data: {tmp_path / 'k.npy'} is damaged; making it anew"]
    get(tmp_path, make)
    assert make.calls == 2


def test_a_folder_that_cannot_be_made_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "cache"
    make, said = Maker(), list[str]()
    assert np.array_equal(get(folder, make, said), WHOLE)
    assert said == [f"data: could not keep the images in {folder} (Not a directory); going on without"]


def test_a_full_disk_costs_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ganforge_datasets.uint8_cache.os.fsync", full)
    make, said = Maker(), list[str]()
    assert np.array_equal(get(tmp_path, make, said), WHOLE)
    assert make.calls == 2, "what may be lost with the disk is made anew"
    assert said == [
        f"data: could not keep the images in {tmp_path} (No space left on device); going on without"
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_is_found_out_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = WHOLE.nbytes
    for free, kept in ((size - 1, False), (size, True)):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(
            "ganforge_datasets.uint8_cache.shutil.disk_usage", lambda path, usage=usage: usage
        )
        make, said = Maker(), list[str]()
        assert np.array_equal(get(tmp_path, make, said), WHOLE)
        line = f"data: could not keep the images in {tmp_path} (No space left on device); going on without"
        assert (make.calls, said) == (1, [] if kept else [line])
        assert (tmp_path / "k.npy").exists() == kept


class Stopped(Exception):
    pass


def test_a_build_that_is_stopped_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    def stopped() -> Iterator[np.ndarray]:
        yield WHOLE[:3]
        raise Stopped

    said = list[str]()
    with pytest.raises(Stopped):
        get(tmp_path, stopped, said)
    assert list(tmp_path.iterdir()) == [] and said == []
    assert np.array_equal(get(tmp_path, Maker(), said), WHOLE) and said == []


KILLED = """\
import os, signal, sys
from pathlib import Path
import numpy as np
from ganforge_datasets.uint8_cache import cached

def pieces():
    for row in range(5):
        if row == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        yield np.ones((1, 3, 40, 40), np.uint8)

cached(Path(sys.argv[1]), "k", (5, 3, 40, 40), "test images", pieces, print)
"""


def test_a_build_that_is_killed_leaves_no_entry_and_the_next_one_sweeps(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("k.npy") and left.name.endswith(".tmp") and left.stat().st_size > 0
    other = tmp_path / "k2.npyabc.tmp"
    other.write_bytes(b"x")
    said = list[str]()
    assert np.array_equal(get(tmp_path, Maker(), said), WHOLE) and said == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k.json", "k.npy", other.name]


def test_a_build_under_way_is_not_swept(tmp_path: Path) -> None:
    large = np.ones((2, 3, 64, 64), np.uint8)

    def build(make: Callable[[], Iterable[np.ndarray]]) -> np.ndarray:
        return cached(tmp_path, "k", large.shape, "test images", make, said.append)

    def during() -> Iterator[np.ndarray]:
        yield large[:1]
        (mine,) = tmp_path.iterdir()
        assert mine.stat().st_size > 0, "larger than what Python keeps back from the disk"
        assert np.array_equal(build(lambda: [large]), large), "another process is faster"
        assert mine.exists()
        yield large[1:]

    said = list[str]()
    assert np.array_equal(build(during), large) and said == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k.json", "k.npy"]


def test_the_map_outlives_the_folder(tmp_path: Path) -> None:
    images = get(tmp_path, Maker())
    (tmp_path / "k.npy").unlink()
    assert np.array_equal(images, WHOLE)


def test_no_more_than_some_pieces_are_made_ahead_of_the_disk() -> None:
    made, taken = list[int](), 0

    def work(item: int) -> int:
        made.append(item)
        return item

    workers = 3
    for result in in_order(work, range(100), workers):
        assert result == taken
        taken += 1
        assert len(made) < taken + 2 * workers
    assert taken == 100


def test_an_error_of_the_work_is_raised_and_ends_it() -> None:
    made = list[int]()

    def work(item: int) -> int:
        made.append(item)
        if item == 4:
            raise Stopped
        return item

    taken = list[int]()
    with pytest.raises(Stopped):
        taken.extend(iter(in_order(work, range(1000), 2)))
    assert len(made) <= 4 + 2 * 2


@pytest.mark.parametrize(("size", "most"), [(8, 64), (512, 5), (1024, 1)])
def test_pieces_of_large_images_have_fewer(size: int, most: int) -> None:
    class Red(Store):
        path = Path("red")

        def names(self) -> list[str]:
            return []

        def where(self, name: str) -> str:
            return name

        def read(self, name: str) -> bytes:
            return PIXEL.getvalue()

        def fingerprint(self) -> str:
            return ""

    names = ["x"] * (2 * most + 1)
    pieces = decode_images(Red(), names, Form(size), lambda items, total, what: iter(items))
    assert [piece.shape for piece in pieces] == [(n, 3, size, size) for n in (most, most, 1)]


def test_many_at_once_do_not_damage_each_other(tmp_path: Path) -> None:
    both = threading.Barrier(4)
    said = list[str]()

    class Slow(Maker):
        def __call__(self) -> Iterator[np.ndarray]:
            both.wait(timeout=10)
            yield from super().__call__()

    threads = [threading.Thread(target=get, args=(tmp_path, Slow(), said)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    make = Maker()
    assert np.array_equal(get(tmp_path, make, said), WHOLE)
    assert make.calls == 0 and said == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k.json", "k.npy"]
