"""Run files as other editors, systems and shells write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.config import load
from support.installed import installed

REGISTRY = installed()
HEAD = '[data]\ntype = "image_folder"\nroot = '
TAIL = '\n[nets]\ntype = "dcgan"\n'
PLAIN = f'{HEAD}"/x"{TAIL}'


def root(folder: Path, content: bytes, *overrides: str) -> str:
    """`data.root`, or the message."""
    file = folder / "run.toml"
    file.write_bytes(content)
    try:
        return str(load(file, REGISTRY, overrides).data.root)  # type: ignore[attr-defined]
    except UserError as error:
        return str(error).replace(str(file), "run.toml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_encodings_and_line_breaks(tmp_path: Path, encoding: str, line_break: str) -> None:
    assert root(tmp_path, PLAIN.replace("\n", line_break).encode(encoding)) == "/x"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"~/x"', f"{Path.home()}/x"),
        ('"${HOME}/x"', f"{os.environ.get('HOME', '')}/x"),
        ('"~nobodyhere/x"', "run.toml:3: data.root: the home folder in '~nobodyhere/x' is not known; write the path in full"),
        ('"$NOPE_X/x"', "run.toml:3: data.root: $NOPE_X in '$NOPE_X/x' is not set; set it, or write the path in full"),
        ('"%USERPROFILE%/x"', "run.toml:3: data.root: variables as in '%USERPROFILE%/x' are not expanded; write $NAME, or the path in full"),
        ("'C:\\data\\new'", "run.toml:3: data.root: 'C:\\data\\new' is a path of Windows, and this is not Windows; in its Linux (WSL) it is '/mnt/c/data/new'"),
        ('"D:\\temp"', "run.toml:3: data.root: the path 'D:\\temp' holds what TOML makes of \\t in double quotes; write it in single quotes, or with /"),
        ("\u201c/x\u201d", "run.toml:3: TOML syntax error: Invalid value (at line 3, column 8); quotation marks must be straight: \" or '"),
    ],
)  # fmt: skip
def test_paths(tmp_path: Path, written: str, expected: str) -> None:
    found = root(tmp_path, f"{HEAD}{written}{TAIL}".encode())
    assert found.removesuffix(found[found.find(", got ") :] if ", got " in found else "") == expected


def test_paths_on_the_command_line(tmp_path: Path) -> None:
    for override in ("data.root='/y'", "data.root=/y", "data.root = /y", 'data.root="/y"', " data.root =/y "):
        assert root(tmp_path, PLAIN.encode(), override) == "/y"
    assert root(tmp_path, PLAIN.encode(), "data.root= /with blank ") == "/with blank"


def test_what_is_no_text(tmp_path: Path) -> None:
    assert root(tmp_path, PLAIN.encode() + "# caf\xe9".encode("latin-1")) == (
        f"run.toml: not UTF-8 text (byte {len(PLAIN) + 5}); save it as UTF-8 in your editor"
    )
