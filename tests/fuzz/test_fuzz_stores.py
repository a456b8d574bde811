"""Zips and folders of every kind, whole and damaged: their images, or one message."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganforge_datasets.formats import SUFFIXES
from ganforge_datasets.stores import FolderStore, ZipStore
from support.contexts import refused
from support.fuzz import answer, damaged, fuzz
from support.pictures import FILES, data, folder, png
from support.whole_images import WHOLE

NAMES = st.sampled_from(
    ("a.png", "cat/a.png", "../a.png", "/a.png", "C:\\a.png", "..\\a.png", "a\0.png", "", "/", "..", "é.png")
) | st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


@given(st.dictionaries(NAMES, st.sampled_from([*WHOLE.values(), b"", b"x"]), min_size=1, max_size=4))
@fuzz(60)
def test_zips_with_names_of_any_kind(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    place = tmp_path_factory.mktemp("zip")
    with zipfile.ZipFile(place / "a.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    read_all(place / "a.zip", place)
    assert sorted(path.name for path in place.iterdir()) == ["a.zip"]


def read_all(path: Path, place: Path) -> None:
    store = answer(lambda: ZipStore(path, by_path=True))
    if not isinstance(store, str):
        answer(lambda: store.state(store.names()))
        for name in store.names():
            answer(lambda name=name: store.read(name))
        store._zip.close()


def small_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(zipfile.ZipInfo(name), content, compresslevel=9)
    return buffer.getvalue()


ZIPS = [small_zip()]


@given(st.sampled_from(ZIPS).flatmap(damaged))
@fuzz(300)
def test_damaged_zips(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    place = tmp_path_factory.getbasetemp()
    (place / "damaged.zip").write_bytes(content)
    read_all(place / "damaged.zip", place)


def test_an_encrypted_zip_is_told(tmp_path: Path) -> None:
    content = bytearray(small_zip())
    # The flag of encryption, in the local header and in the central directory of the first member.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(bytes(content))
    store = ZipStore(tmp_path / "a.zip", by_path=True)
    message = answer(lambda: store.read("cat/a.png"))
    assert message == f"{tmp_path}/a.zip/cat/a.png is encrypted; unpack the zip with its password"


def test_a_zip_without_its_central_directory_is_told(tmp_path: Path) -> None:
    content = small_zip()
    (tmp_path / "a.zip").write_bytes(content[: content.index(b"PK\x01\x02")])
    assert answer(lambda: ZipStore(tmp_path / "a.zip")) == (
        f"{tmp_path}/a.zip is not a zip, or is cut short; copy it again"
    )


def test_a_zip_in_a_zip_is_no_image(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("inner.zip", small_zip())
    assert refused(data(tmp_path / "a.zip"), tmp_path / "cache") == (
        f"{tmp_path}/a.zip holds no images ({', '.join(SUFFIXES)}); skipped 1 archives; unpack them (inner.zip)"
    )


def test_what_is_no_file_in_a_folder_is_told(tmp_path: Path) -> None:
    os.mkfifo(folder(tmp_path / "pipe", {"a.png": png(10)}) / "b.png")
    (folder(tmp_path / "link", {"a.png": png(10)}) / "b.png").symlink_to(tmp_path / "nowhere")
    pipe, link = (data(tmp_path / name) for name in ("pipe", "link"))
    skip = "\nto leave damaged images out:  data.skip_damaged = true"
    assert refused(pipe, tmp_path / "cache") == f"{tmp_path}/pipe/b.png is no regular file; remove it{skip}"
    assert refused(link, tmp_path / "cache") == (
        f"{tmp_path}/link/b.png cannot be read: No such file or directory{skip}"
    )


def test_a_file_name_may_be_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    try:
        folder(tmp_path / "data", {name: png(10)})
    except OSError:
        pytest.skip("this file system takes no such names")
    store = FolderStore(tmp_path / "data", by_path=True)
    assert store.names() == [name]
    assert len(store.state([name])) == 64
