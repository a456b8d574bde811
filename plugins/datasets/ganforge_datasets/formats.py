"""Which files are images: by their suffix, or by their first bytes if there is none."""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath

from PIL import Image

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2", ".j2k", ".qoi", ".tga"),
)
"""Names of images end so, in either case."""
ARRAYS = (".npy", ".npz")
"""Names of arrays that are images where there are no files of another format."""
UNSUPPORTED = (
    *(".heic", ".heif", ".hif", ".jxl", ".ico", ".psd", ".psb", ".svg", ".exr", ".hdr", ".dds", ".eps"),
    *(".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"),
)
"""Images that are not read. Many of a camera's raw formats look like TIFF, of which the first page is a small
preview."""
ARCHIVES = (
    *(".zip", ".rar", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".lmdb", ".tfrecord", ".parquet"),
)
"""Files that hold others."""
HIDDEN = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information")
"""Folders of macOS in zips, of Synology next to images (with thumbnails), and of Windows on every drive."""
HEAD = 32
"""Bytes at the start of a file that tell its format."""

_WANTED = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000", "QOI", "TGA")
_SIGNATURES = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"qoif"),
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
)


@lru_cache(maxsize=1)
def formats() -> tuple[str, ...]:
    """The formats that are read, by Pillow's names. Not all of Pillow's: some start other programs
    (EPS), some are vector graphics, and the decoders of rare ones see little testing."""
    Image.init()
    return tuple(name for name in _WANTED if name in Image.OPEN)


def is_image_name(path: str) -> bool:
    return path.lower().endswith(SUFFIXES)


def is_array_name(path: str) -> bool:
    return path.lower().endswith(ARRAYS)


def is_hidden(path: str) -> bool:
    """Whether the file or a folder on its way is hidden. macOS leaves '._a.png' next to 'a.png', and a
    folder '__MACOSX' of them in zips; these are no images."""
    return any(part.startswith(".") or part in HIDDEN for part in PurePosixPath(path).parts)


def why_not_read(path: str) -> str | None:
    """The reason to skip a file that its name alone gives; None where there is none."""
    if path.lower().endswith(UNSUPPORTED):
        return "in unsupported formats; convert to PNG"
    if path.lower().endswith(ARCHIVES):
        return "archives; unpack them"
    return None


def is_image_head(head: bytes) -> bool:
    """Whether a file that begins with `head` (the first `HEAD` bytes) is an image."""
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[4:8] == b"ftyp":
        return head[8:12] in (b"avif", b"avis")
    # Two letters are too little to tell a bitmap; its reserved bytes are 0.
    return head.startswith(_SIGNATURES) or (head[:2] == b"BM" and head[6:10] == bytes(4) and len(head) >= 26)


def what_it_is(head: bytes) -> str | None:
    """What lies in place of an image, by its first bytes, and what to do; None if it is not recognized."""
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the file itself; run 'git lfs pull'"
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return "is a web page, as failed downloads leave it; download it again"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heif", b"mif1", b"msf1"):
        return "is HEIC, whatever its suffix, which is not read; convert it"
    return None
