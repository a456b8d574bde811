"""`cd tests && python -m experiments.further_inputs`: what becomes of inputs that people bring, drawn here.

Prints a line for each input whose outcome is not the expected one, and a table by kind; exit code 1 if
there is such an input. An expected outcome is the gray values of the images, with their labels where there
are any, or a part of the message with which they are refused.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from pydantic import ValidationError

from ganforge.api import Context, UserError
from ganforge_datasets.image_folder import ImageFolder
from support.encoded import encoded
from support.pictures import folder, png, zipped

Files = Mapping[str, bytes | str]
IMAGES: Files = {"r.png": png(10), "g.png": png(20), "b.png": png(30)}
RGB = [(10, "red"), (20, "green"), (30, "blue")]
NAMES = ("blue", "green", "red")
CLEAR = Image.new("LA", (8, 8), (0, 0))
NFC, NFD = "caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
J = json.dumps


class Input(NamedTuple):
    """Files in a folder, the keys of `[data]`, and what should come of it."""

    kind: str
    name: str
    files: Files
    keys: dict[str, Any]
    expected: object
    prepare: Callable[[Path], Path] = lambda root: root


def label_file(name: str, text: str | bytes, expected: object, file: str = "labels.csv") -> Input:
    keys = {"labels": "file", "names": NAMES}
    return Input("K4 label files", name, {**IMAGES, file: text}, keys, expected)


def clear(name: str, data: bytes) -> Input:
    return Input("K2 transparency", name, {f"a.{name.split()[0]}": data}, {"channels": 1}, [255])


def lines(separator: str, quote: str = "", end: str = "\n") -> str:
    rows = (("file", "label"), ("r.png", "red"), ("g.png", "green"), ("b.png", "blue"))
    return "".join(separator.join(f"{quote}{cell}{quote}" for cell in row) + end for row in rows)


LABELS = [
    label_file("blanks", lines(" "), RGB),
    label_file("bars", lines("|"), RGB),
    label_file("quotes", lines(",", '"'), RGB),
    label_file("single quotes", lines(",", "'"), RGB),
    label_file("tab, UTF-16, CRLF", lines("\t", end="\r\n").encode("utf-16"), RGB),
    label_file("comment", "# mine\n" + lines(","), RGB),
    label_file("sep=", "sep=;\n" + lines(";"), RGB),
    label_file("Latin-1", lines(",").replace("red", "r\u00e9d").encode("latin-1"), "save it as UTF-8"),
    label_file("no suffix", lines(",").replace(".png", ""), RGB),
    label_file("other suffix", lines(",").replace(".png", ".jpg"), "did you mean 'r.png'?"),
    label_file("other folder", lines(",").replace("r.png", "00000/r.png"), "did you mean 'r.png'?"),
    label_file("file://", lines(",").replace("r.png", "file:///x/r.png"), RGB),
    label_file("twice", lines(",") + "r.png,blue\n", "a second time; remove one"),
    label_file("by class", J({"red": ["r.png"], "green": ["g.png"], "blue": ["b.png"]}), RGB, "labels.json"),
    label_file("records by image", J({f"{c[0]}.png": {"label": c} for c in NAMES}), RGB, "labels.json"),
    label_file("JSON lines", "".join(J({"file": f"{c[0]}.png", "label": c}) + "\n" for c in NAMES), RGB, "labels.json"),
    label_file("array", J([{"file_name": f"{c[0]}.png", "label": c} for c in NAMES]), RGB, "metadata.jsonl"),
    label_file("COCO", J({"images": [], "annotations": []}), "which are no images", "labels.json"),
    label_file("null", J({"labels": None}), 'say data.labels = "none"', "dataset.json"),
    label_file("vectors", J({"labels": [["r.png", [1, 0]]]}), "label '0' is not one of data.names", "dataset.json"),
    label_file("capitals", lines(","), RGB, "Labels.CSV"),
    label_file("other name", lines(","), "rename 'train.csv' to labels.csv", "train.csv"),
    label_file("spreadsheet", b"PK", "save 'labels.xlsx' as labels.csv", "labels.xlsx"),
]  # fmt: skip
TRANSPARENCY = [
    *(clear(f"{kind.lower()}", encoded(CLEAR.convert("RGBA"), kind)) for kind in ("PNG", "GIF", "TIFF", "TGA", "QOI", "AVIF")),
    clear("webp lossy", encoded(CLEAR.convert("RGBA"), "WEBP", quality=80)),
    clear("png LA", encoded(CLEAR)),
    clear("png 1 bit", encoded(Image.new("1", (8, 8), 0), transparency=0)),
    clear("png palette", encoded(Image.new("P", (8, 8), 0), transparency=bytes([0]))),
    clear("tif premultiplied", encoded(CLEAR.convert("RGBA"), "TIFF", tiffinfo={338: 1})),
]  # fmt: skip


def skipped(name: str, files: Files, said: str) -> Input:
    return Input("K3 skipped files", name, {"a.png": png(1), **files}, {"said": said}, [1])


SKIPPED = [
    skipped("HEIC", {"b.heic": b"x"}, "1 in unsupported formats; convert to PNG (b.heic)"),
    skipped("raw", {"b.NEF": encoded(CLEAR, "TIFF")}, "1 in unsupported formats; convert to PNG (b.NEF)"),
    skipped("zip in a folder", {"b.zip": b"PK"}, "1 archives; unpack them (b.zip)"),
    skipped("thumbnails", {"@eaDir/b.png": png(2)}, "1 hidden (@eaDir/b.png)"),
    skipped("macOS", {"__MACOSX/._b.png": b"x", ".DS_Store": b"x"}, "2 hidden"),
    skipped("Windows", {"Thumbs.db": b"\xd0", "desktop.ini": ""}, "2 not images (Thumbs.db, desktop.ini)"),
    skipped("line break", {"b\nc.txt": ""}, "1 not images (b\\nc.txt)"),
    Input("K3 skipped files", "broken link", {"a.png": png(1)}, {"said": "1 broken links (cat)"}, [1],
          lambda root: (os.symlink("nowhere", root / "cat"), root)[1]),
    Input("K3 skipped files", "loop", {"a.png": png(1)}, {"said": "1 links to a folder they are in (x)"}, [1],
          lambda root: (os.symlink(".", root / "x"), root)[1]),
    Input("K3 skipped files", "splits", {"train/cat/a.png": png(1), "test/cat/b.png": png(2)},
          {"labels": "folder", "names": ("cat",)}, "set data.root to one of them"),
]  # fmt: skip
NAMED = [
    Input("K7 odd names", "Latin-1 image", {os.fsdecode(b"caf\xe9.png"): png(1)}, {}, [1]),
    Input("K7 odd names", "line break", {"a\nb/x.png": png(1)}, {"labels": "folder", "names": ("a\nb",)}, [(1, "a\nb")]),
    Input("K7 odd names", "dash and dollar", {"-x/a.png": png(1), "$HOME/a.png": png(2)},
          {"labels": "folder", "names": ("$HOME", "-x")}, [(2, "$HOME"), (1, "-x")]),
    Input("K7 odd names", "blank", {" b/a.png": png(1)}, {"labels": "folder"}, "rename the folder"),
    Input("K7 odd names", "255 bytes", {"a" * 251 + ".png": png(1)}, {}, [1]),
    Input("K8 Unicode forms", "folder NFD", {f"{NFD}/a.png": png(1)}, {"labels": "folder", "names": (NFC,)}, [(1, NFC)]),
    Input("K8 Unicode forms", "both", {f"{NFD}/a.png": png(1), f"{NFC}/b.png": png(2)},
          {"labels": "folder", "names": (NFC,)}, "differ only in how the letters are encoded"),
    Input("K8 Unicode forms", "Cyrillic", {"c\u0430t/a.png": png(1)}, {"labels": "folder", "names": ("cat",)}, "got 'c\\u0430t'"),
    Input("K8 Unicode forms", "ligature", {"\ufb01sh/a.png": png(1)}, {"labels": "folder", "names": ("fish",)}, "did you mean 'fish'?"),
    Input("K8 Unicode forms", "full width", {"\uff12/a.png": png(1)}, {"labels": "folder", "names": ("2",)}, "did you mean '2'?"),
]  # fmt: skip


def root_of(name: str, content: bytes | str, expected: str) -> Input:
    return Input("K10 dead ends", f"root {name}", {name: content}, {}, expected, lambda root: root / name)


ENDS = [
    root_of("d.7z", b"7z", "unpack it and give its folder"),
    root_of("labels.csv", "file,label", "is a table or text"),
    root_of("d.zip", "<html>404", "is a web page"),
    root_of("x.npy", b"\x93NUMPY", "holds arrays"),
    root_of("a.heic", b"x", "is one image; set data.root to the folder"),
    Input("K10 dead ends", "Git LFS", {"a.png": LFS}, {}, "run 'git lfs pull'"),
    Input("K10 dead ends", "web page", {"a.jpg": "<!DOCTYPE html>"}, {}, "is a web page"),
    Input("K10 dead ends", "HEIC in .jpg", {"a.jpg": b"\0\0\0\x18ftypheic" + bytes(40)}, {}, "is HEIC"),
    Input("K10 dead ends", "no bytes", {"a.jpg": b"", "b.png": png(1)}, {"skip_damaged": True}, [1]),
    Input("K10 dead ends", "lzma zip", {"a.png": png(1)}, {}, "re-create the zip with deflate or store",
          lambda root: repacked(root)),
    Input("K10 dead ends", "zip", {"a.png": png(1)}, {}, [1], lambda root: zipped(root, {"a.png": png(1)})),
]  # fmt: skip


def repacked(root: Path) -> Path:
    with zipfile.ZipFile(root / "d.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.png", png(1))
    return root / "d.zip"


def outcome(given: Input, place: Path) -> object:
    """The values and labels, or the message."""
    said = list[str]()
    keys = {"image_size": 8, **given.keys}
    wanted = str(keys.pop("said", ""))
    try:
        root = given.prepare(folder(place / "data", given.files))
        dataset = ImageFolder(root=root, **keys)
        spec = dataset.spec()
        samples = dataset.build("train", Context(place / "cache", said.append, lambda items, *_: iter(items)))
    except (UserError, ValidationError) as error:
        return str(error)
    if wanted not in "\n".join(said):
        return said
    grays = [int(value) for value in samples.images[:, 0, 4, 4]]
    if samples.labels is None:
        return grays
    names = [", ".join(spec.labels.decode(row)) for row in samples.labels]
    return list(zip(grays, names, strict=True))


def main() -> int:
    """Prints the table; gives the exit code."""
    tried, right = Counter[str](), Counter[str]()
    out = io.StringIO()
    for given in (*LABELS, *TRANSPARENCY, *SKIPPED, *NAMED, *ENDS):
        with tempfile.TemporaryDirectory() as place:
            found = outcome(given, Path(place))
        fits = (
            given.expected in str(found) if isinstance(given.expected, str) else _sorted(found) == _sorted(given.expected)
        )  # fmt: skip
        tried[given.kind] += 1
        right[given.kind] += fits
        if not fits:
            out.write(f"{given.kind}, {given.name}: got {found!r:.300}, expected {given.expected!r}\n")
    out.writelines(f"{kind:20} {right[kind]:3} of {tried[kind]:3} as expected\n" for kind in tried)
    sys.stdout.write(out.getvalue())
    return int(right != tried)


def _sorted(found: object) -> object:
    return sorted(found) if isinstance(found, list) else found


if __name__ == "__main__":
    sys.exit(main())
