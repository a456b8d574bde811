"""Images kept on the disk: the same the second time, rebuilt if damaged, and no loss if it is full."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from support.cached_images import SHAPE, WHOLE, Maker, get


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
    assert said == [f"data: {tmp_path / 'k.npy'} is damaged; rebuilding it"]
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
    assert make.calls == 2, "what may be lost with the disk is rebuilt"
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


def test_the_map_outlives_the_folder(tmp_path: Path) -> None:
    images = get(tmp_path, Maker())
    (tmp_path / "k.npy").unlink()
    assert np.array_equal(images, WHOLE)
