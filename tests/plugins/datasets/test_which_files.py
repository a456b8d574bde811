"""Which files of a folder are taken: always said, with what is passed over and why; and damaged ones."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganforge.api import UserError
from ganforge_datasets.decode import Form, decode_image
from ganforge_datasets.image_files import ImageFiles
from support.contexts import opened, refused
from support.encoded import blank_png, encoded
from support.pictures import content, data, folder, png, zipped

RED = Image.new("RGB", (8, 8), (255, 0, 0))


@pytest.mark.parametrize("form", [folder, zipped])
def test_all_formats_are_taken_and_the_rest_is_named(tmp_path: Path, form: type) -> None:
    taken = {
        **{
            f"a.{suffix}": encoded(RED, kind)
            for suffix, kind in (("PNG", "PNG"), ("Tif", "TIFF"), ("gif", "GIF"))
        },
        **{f"b.{suffix}": encoded(RED, "JPEG") for suffix in ("jpg", "JPG", "JpEg", "jfif", "jpe")},
        **{"c.ppm": encoded(RED, "PPM"), "c.webp": encoded(RED, "WEBP"), "c.bmp": encoded(RED, "BMP")},
        **{"no_suffix": encoded(RED), "d.jpg_large": encoded(RED, "JPEG"), "e.photo": encoded(RED, "WEBP")},
    }
    others = {
        "notes.txt": "BM, a note",
        "x.db": b"\0" * 9,
        "y.pdf": b"%PDF-",
        "z": b"",
        ".h.png": b"",
        "w.npy": b"",
    }
    root = form(tmp_path / "data", taken | others)
    said = list[str]()
    assert len(opened(data(root), tmp_path / "cache", said=said)) == len(taken)
    assert said == [
        f"data: 14 images in {root}; skipped 1 arrays next to images (w.npy), 1 hidden (.h.png), 4 not images "
        "(notes.txt, x.db, y.pdf, ...)"
    ]


def test_it_is_said_when_the_images_come_from_the_cache_too(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a.png": png(10)})
    for _ in range(2):
        said = list[str]()
        opened(data(root), tmp_path / "cache", said=said)
        assert said == [f"data: 1 images in {root}; nothing skipped"]


def test_linked_folders_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    store = folder(
        tmp_path / "store", {"cat/a.png": png(10), "dog/b.png": png(20), "dog/deep/c.png": png(30)}
    )
    root = folder(tmp_path / "data", {"bird/a.png": png(40)})
    (root / "cat").symlink_to(store / "cat")
    (root / "dog").symlink_to("../store/dog")
    (root / "bird" / "b.png").symlink_to(store / "cat" / "a.png")
    dataset = data(root, labels="folder", names=("bird", "cat", "dog"))
    assert content(dataset, tmp_path) == {40: ["bird"], 10: ["cat"], 20: ["dog"], 30: ["dog"]}
    (root / "bird" / "again").symlink_to("..")
    (root / "bird" / "gone").symlink_to(tmp_path / "nowhere")
    said = list[str]()
    opened(dataset, tmp_path / "cache", said=said)
    assert said == [
        f"data: 5 images in {root}; skipped 1 broken links (bird/gone), 1 links to a folder they are in (bird/again)"
    ]


def test_formats_that_are_not_read_and_archives_are_told_apart(tmp_path: Path) -> None:
    """A raw file of a camera begins like a TIFF, whose first page would be its preview."""
    files = {
        "a.png": png(1),
        "b.HEIC": b"x",
        "c.dng": encoded(RED, "TIFF"),
        "d.zip": b"PK",
        "@eaDir/a.png": png(2),
    }
    said = list[str]()
    root = folder(tmp_path / "data", files)
    assert len(opened(data(root), tmp_path / "cache", said=said)) == 1
    assert said == [
        f"data: 1 images in {root}; skipped 1 archives; unpack them (d.zip), 1 hidden (@eaDir/a.png), "
        "2 in unsupported formats; convert to PNG (b.HEIC, c.dng)"
    ]


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "data", {"a.png": png(1), "cat/b.png": png(2)})
    scandir = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert ImageFiles(root).skips() == "skipped 1 folders that cannot be listed (cat: Permission denied)"


def test_names_of_any_length_with_line_breaks_stay_in_one_line(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a.png": png(1), "b\nc.txt": "", "d" * 200 + ".txt": ""})
    assert ImageFiles(root).skips() == f"skipped 2 not images (b\\nc.txt, ...{'d' * 76}.txt)"


def test_splits_are_no_classes(tmp_path: Path) -> None:
    files = {"train/cat/a.png": png(1), "train/dog/b.png": png(2), "test/cat/c.png": png(3)}
    root = folder(tmp_path / "data", files)
    message = f"{root} holds test and train, each with folders of its own; set data.root to one of them, {root}/train"
    assert refused(data(root, labels="folder", names=("cat", "dog")), tmp_path) == message
    followed = data(root / "train", labels="folder", names=("cat", "dog"))
    assert content(followed, tmp_path) == {1: ["cat"], 2: ["dog"]}
    # Where they are named, or hold the images, they are classes all the same.
    assert set(content(data(root, labels="folder", names=("train", "test")), tmp_path)) == {1, 2, 3}
    flat = folder(tmp_path / "flat", {"train/a.png": png(1), "test/b.png": png(2)})
    assert content(data(flat, labels="folder", names=("test", "train")), tmp_path) == {
        2: ["test"],
        1: ["train"],
    }


def test_links_that_were_copied_as_files_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"bird/a.png": png(40), "cat": "../store/cat"})
    with pytest.raises(UserError) as caught:
        data(root, labels="folder").spec()
    assert str(caught.value) == (
        f'data.labels = "folder" needs data.names; those of {root} (skipped 1 not images (cat)) are\nnames = ["bird"]'
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", png(1), "is one image; set data.root to the folder it is in, {folder}"),
        ("photo", encoded(RED, "JPEG"), "is one image; set data.root to the folder it is in, {folder}"),
        ("d.7z", b"7z", "is not a folder or zip of images; unpack it and give its folder"),
        ("d.parquet", b"PAR1", "is not a folder or zip of images; unpack it and give its folder"),
        ("d.zip", b"x", "is not a zip, or is cut short; copy it again"),
        ("d.zip", b"\n<!DOCTYPE html>", "is a web page, as failed downloads leave it; download it again"),
        ("d.bin", b"x", "is a file, but no zip; set data.root to a folder or zip with images"),
        ("labels.csv", b"file,label", "is a table or text; set data.root to the folder with the images"),
        ("x.npy", b"\x93NUMPY", "holds arrays; save each image as a file, and set data.root to their folder"),
        ("a.heic", b"\0\0\0\x18ftypheic", "is one image; set data.root to the folder it is in, {folder}"),
    ],
)
def test_a_root_that_is_no_folder(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    root = folder(tmp_path, {name: content}) / name
    assert refused(data(root), tmp_path / "cache") == f"{root} {message.format(folder=tmp_path)}"


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "whatever"])
def test_a_root_that_is_a_tar_archive(tmp_path: Path, suffix: str) -> None:
    root = tmp_path / f"d.{suffix}"
    with tarfile.open(root, "w:gz" if "gz" in suffix else "w") as archive:
        archive.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    message = "is a tar archive, which is not read in place; unpack it and give its folder"
    assert refused(data(root), tmp_path / "cache") == f"{root} {message}"


def test_an_encrypted_zip_is_named(tmp_path: Path) -> None:
    root = zipped(tmp_path / "data", {"a.png": png(1)})
    content = bytearray(root.read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + flags] |= 1
    root.write_bytes(content)
    hint = "\nto leave damaged images out:  data.skip_damaged = true"
    message = f"{root}/a.png is encrypted; unpack the zip with its password{hint}"
    assert refused(data(root), tmp_path / "cache") == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "is a pointer of Git LFS, not the file itself; run 'git lfs pull'",
        ),
        (b"<html><body>404", "is a web page, as failed downloads leave it; download it again"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "is HEIC, whatever its suffix, which is not read; convert it"),
    ],
)
def test_what_lies_in_place_of_an_image_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    root = folder(tmp_path / "data", {"a.jpg": content, "b.png": png(1)})
    hint = "\nto leave damaged images out:  data.skip_damaged = true"
    assert refused(data(root), tmp_path / "cache") == f"{root}/a.jpg {message}{hint}"


FILES = {f"{number:02}.png": png(10 * number) for number in range(20)}
CUT = png(np.arange(81, dtype=np.uint8).reshape(9, 9))[:-30]


def test_all_damaged_files_are_named_at_once(tmp_path: Path) -> None:
    bad = {"02.png": b"", "05.png": CUT, "07.png": b"hello"}
    root = folder(tmp_path / "data", FILES | bad)
    first, *lines, hint = refused(data(root), tmp_path / "cache").split("\n")
    assert first == "3 of 20 images cannot be used:"
    assert lines[0] == f"  {root}/02.png is empty (0 bytes); copy it again"
    assert lines[1].startswith(f"  {root}/05.png is damaged: ")
    assert lines[2].startswith(f"  {root}/07.png is not an image ") and len(lines) == 3
    assert hint == "to leave damaged images out:  data.skip_damaged = true"
    folder(root, {name: b"" for name in list(FILES)[:14]})
    lines = refused(data(root), tmp_path / "cache").split("\n")
    assert lines[0] == "14 of 20 images cannot be used:" and lines[11] == "  and 4 more" and len(lines) == 13


def test_damaged_files_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {f"{name[0]}/{name}": each for name, each in FILES.items()})
    for name in ("0/02.png", "0/05.png", "1/11.png", "1/12.png"):
        (root / name).write_bytes(b"")
    dataset = data(root, labels="folder", names=("0", "1"), skip_damaged=True)
    kept = [number for number in range(20) if number not in (2, 5, 11, 12)]
    for _ in range(2):  # decoded, and from the cache
        said = list[str]()
        assert content(dataset, tmp_path, said) == {10 * number: [str(number // 10)] for number in kept}
        first, *lines = said[1].split("\n")
        assert first == "data: 4 of 20 images are damaged and left out (data.skip_damaged):"
        assert lines[0] == f"  {root}/0/02.png is empty (0 bytes); copy it again"
        assert lines[3] == "  and 1 more" and len(lines) == 4
    (root / "0/02.png").write_bytes(png(77))
    assert 77 in content(dataset, tmp_path)


def test_where_all_are_damaged_there_is_nothing_to_leave_out(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a.png": b"", "b.png": b""})
    assert refused(data(root, skip_damaged=True), tmp_path / "cache").startswith(
        "2 of 2 images cannot be used:"
    )


def test_damaged_files_are_left_out_without_a_cache_too(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a.png": png(10), "b.png": b"", "c.png": png(20)})
    (tmp_path / "file").write_text("")
    said = list[str]()
    images = opened(data(root, skip_damaged=True), tmp_path / "file" / "cache", said=said).images
    assert images[:, 0, 0, 0].tolist() == [10, 20]
    assert said[-1].startswith("data: 1 of 3 images are damaged and left out (data.skip_damaged):")


@pytest.mark.parametrize("form", ["baseline", "progressive", "png", "palette", "transparent"])
def test_large_photographs(form: str) -> None:
    """24 megapixels: left half white, right half black, and turned by its EXIF where it is a JPEG."""
    image = Image.new("L", (6000, 4000), 255)
    image.paste(0, (3000, 0, 6000, 4000))
    if form in ("baseline", "progressive"):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be shown turned clockwise by a quarter
        image = image.convert("RGB")
        content = encoded(image, "JPEG", progressive=form == "progressive", exif=exif, quality=90)
        found = decode_image(content, "x", Form((48, 32), fit="crop")).pixels
        upper, lower = found[:, :22], found[:, 26:]
    else:
        if form == "transparent":
            image = Image.merge("LA", (Image.new("L", image.size, 0), image.point(lambda level: 255 - level)))
        elif form == "palette":
            image = image.convert("1").convert("P")
        found = decode_image(encoded(image, compress_level=1), "x", Form((32, 48), fit="crop")).pixels
        upper, lower = found[:, :, :22], found[:, :, 26:]
    assert upper.min() >= 250 and lower.max() <= 5


def test_more_than_a_large_photograph_is_refused_by_its_header() -> None:
    with pytest.raises(UserError) as caught:
        decode_image(blank_png(9000, 8000), "x", Form(8))
    assert str(caught.value) == "x is 9000 x 8000; more than 64,000,000 pixels is refused; make it smaller"


def test_a_file_name_that_is_no_text_is_used(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {os.fsdecode(b"\xe9.png"): png(10), os.fsdecode(b"\xe8.txt"): "x"})
    said = list[str]()
    assert len(opened(data(root), tmp_path / "cache", said=said)) == 1 and len(said) == 1
