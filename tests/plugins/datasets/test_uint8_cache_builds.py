"""How an entry of the cache is made: piece by piece, by many at once, and again where it was broken off."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganforge_datasets.decode import Form
from ganforge_datasets.decode_many import decode_images
from ganforge_datasets.in_order import in_order
from ganforge_datasets.stores import Store
from ganforge_datasets.uint8_cache import cached
from support.cached_images import WHOLE, Maker, get

PIXEL = io.BytesIO()
Image.new("RGB", (1, 1), "red").save(PIXEL, "PNG")


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
    # Of another entry, which may never be asked for again.
    (tmp_path / "k2.npyabc.tmp").write_bytes(b"x")
    said = list[str]()
    assert np.array_equal(get(tmp_path, Maker(), said), WHOLE) and said == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k.json", "k.npy"]


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

        def head(self, name: str, size: int) -> bytes:
            return b""

        def state(self, names: Sequence[str]) -> str:
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
