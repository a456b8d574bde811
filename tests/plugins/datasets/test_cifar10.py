"""`cifar10`, on small batches of its binary version."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ganforge_datasets.cifar10 import CIFAR10
from support.contexts import opened, refused

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
EACH = 7
BATCHES = [f"data_batch_{number}.bin" for number in range(1, 6)]
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6 * EACH, 3, 32, 32), dtype=np.uint8)
CLASSES = RNG.integers(0, 10, 6 * EACH, dtype=np.uint8)


def contents() -> dict[str, bytes]:
    """Five batches of seven images and one for tests, record by record as the format says."""
    found = {"batches.meta.txt": ("\n".join(NAMES) + "\n\n").encode(), "readme.html": b"<html>"}
    for number, name in enumerate([*BATCHES, "test_batch.bin"]):
        rows = range(number * EACH, (number + 1) * EACH)
        found[name] = b"".join(bytes([CLASSES[row]]) + IMAGES[row].tobytes() for row in rows)
    return found


def folder(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, content in contents().items():
        (root / name).write_bytes(content)
    return root


def inner_folder(root: Path) -> Path:
    folder(root / "cifar-10-batches-bin")
    return root


def packed(path: Path, prefix: str = "cifar-10-batches-bin/", mode: str = "w:gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in reversed(contents().items()):
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def archive(root: Path) -> Path:
    return packed(root / "downloaded.tar.gz")


def archive_in_folder(root: Path) -> Path:
    packed(root / "cifar-10-binary.tar.gz")
    return root


@pytest.mark.parametrize("form", [folder, inner_folder, archive, archive_in_folder])
def test_every_form_gives_the_same_samples(tmp_path: Path, form: Callable[[Path], Path]) -> None:
    root = form(tmp_path / "data")
    train = opened(CIFAR10(root=root, mirror=True), tmp_path)
    test = opened(CIFAR10(root=root), tmp_path, "test")
    assert train.images.shape == (5 * EACH, 3, 32, 32) and train.images.dtype == torch.uint8
    assert np.array_equal(torch.cat([train.images, test.images]).numpy(), IMAGES)
    assert train.labels is not None and test.labels is not None
    assert torch.cat([train.labels, test.labels]).argmax(1).tolist() == CLASSES.tolist()
    assert train.labels.sum(1).eq(1).all() and train.labels.dtype == torch.uint8
    assert train.mirror and not test.mirror and train.images.is_contiguous()


def test_labels_can_be_left_out(tmp_path: Path) -> None:
    assert opened(CIFAR10(root=folder(tmp_path), labelled=False), tmp_path).labels is None


def test_the_spec_needs_no_file(tmp_path: Path) -> None:
    spec = CIFAR10(root=tmp_path / "nothing").spec()
    assert spec.shape == (3, 32, 32) and spec.labels.kind == "one_of_k" and spec.labels.names == NAMES


def test_nothing_there(tmp_path: Path) -> None:
    end = "; put the binary version of CIFAR-10 there, from https://www.cs.toronto.edu/~kriz/cifar.html"
    start = f"{tmp_path} holds neither data_batch_5.bin nor cifar-10-binary.tar.gz"
    assert refused(CIFAR10(root=tmp_path), tmp_path) == start + end
    pickled = tmp_path / "cifar-10-batches-py"
    pickled.mkdir()
    hint = f"; {pickled} is the Python version, which is pickled"
    assert refused(CIFAR10(root=tmp_path), tmp_path) == start + hint + end


@pytest.mark.parametrize("name", ["data_batch_2.bin", "batches.meta.txt"])
def test_a_batch_is_missing(tmp_path: Path, name: str) -> None:
    (folder(tmp_path) / name).unlink()
    assert refused(CIFAR10(root=tmp_path), tmp_path) == (
        f"{tmp_path / name} cannot be read: No such file or directory"
    )


BROKEN = {
    "cut": (
        "data_batch_3.bin",
        lambda raw: raw[:-1],
        " has 21,510 bytes, not a multiple of 3,073; copy it again",
    ),
    "empty": ("data_batch_1.bin", lambda raw: b"", " has 0 bytes, not a multiple of 3,073; copy it again"),
    "class": ("data_batch_1.bin", lambda raw: b"\x0a" + raw[1:], " holds label 10; the labels are 0 to 9"),
    "names": (
        "batches.meta.txt",
        lambda raw: b"airplane\nboat",
        f" names airplane, boat; CIFAR-10 has {', '.join(NAMES)}",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(tmp_path: Path, case: str) -> None:
    name, change, message = BROKEN[case]
    path = folder(tmp_path) / name
    path.write_bytes(change(path.read_bytes()))
    assert refused(CIFAR10(root=tmp_path), tmp_path) == f"{tmp_path}: {name}{message}"


@pytest.mark.parametrize("prefix", ["../", "/etc/", "a/../../"])
def test_members_that_point_outside(tmp_path: Path, prefix: str) -> None:
    path = packed(tmp_path / "x.tar.gz", prefix)
    assert refused(CIFAR10(root=path), tmp_path) == (
        f"{path} holds '{prefix}test_batch.bin', which points outside of the archive; refused"
    )


def test_links_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in contents():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
    assert refused(CIFAR10(root=path), tmp_path) == (f"{path} holds no batches.meta.txt; copy it again")


@pytest.mark.parametrize("damage", ["cut", "text", "not compressed", "empty"])
def test_not_an_archive(tmp_path: Path, damage: str) -> None:
    path = packed(tmp_path / "x.tar.gz", mode="w" if damage == "not compressed" else "w:gz")
    raw = path.read_bytes()
    changed = {"cut": raw[: len(raw) // 2], "text": b"hello" * 500, "empty": b""}
    path.write_bytes(changed.get(damage, raw))
    assert refused(CIFAR10(root=path), tmp_path) == f"{path} is not a whole .tar.gz; copy it again"
