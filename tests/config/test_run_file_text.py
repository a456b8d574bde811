"""Run files as editors of Windows and shells leave them: read, or refused with what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.config import RunConfig, load
from support.installed import installed

REGISTRY = installed()
TEXT = '[data]\ntype = "image_folder"\nroot = "{root}"\n[nets]\ntype = "dcgan"\n'


def loaded(tmp_path: Path, content: str | bytes) -> RunConfig:
    file = tmp_path / "run.toml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(file, REGISTRY)


def refused(tmp_path: Path, content: str | bytes, name: str = "run.toml") -> str:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as caught:
        load(file, REGISTRY)
    return str(caught.value).removeprefix(f"{file}:")


GOOD = TEXT.format(root="/data")


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        "\ufeff" + GOOD,
        GOOD.encode("utf-16"),
        b"\xfe\xff" + GOOD.encode("utf-16-be"),
        b"\xff\xfe" + GOOD.replace("\n", "\r\n").encode("utf-16-le"),
    ],
)
def test_encodings_and_line_breaks(tmp_path: Path, content: str | bytes) -> None:
    assert str(loaded(tmp_path, content).data.root) == "/data"  # type: ignore[attr-defined]


def test_text_that_is_in_no_unicode(tmp_path: Path) -> None:
    content = GOOD.replace("/data", "/caf\u00e9").encode("latin-1")
    assert refused(tmp_path, content) == " not UTF-8 text (byte 41); save it as UTF-8 in your editor"


@pytest.mark.parametrize("root", ["$GF_PLACE/x", "${{GF_PLACE}}/x", "~/x", "$HOME/x"])
def test_variables_and_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    monkeypatch.setenv("GF_PLACE", "/place")
    monkeypatch.setenv("HOME", "/place")
    assert str(loaded(tmp_path, TEXT.format(root=root.format())).data.root) == "/place/x"  # type: ignore[attr-defined]


def test_a_folder_that_is_there_is_taken_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GF_PLACE", "/place")
    for name in ("$GF_PLACE", "a%b%", "c:\\x"):
        (tmp_path / name).mkdir()
        root = str(tmp_path / name)
        assert str(loaded(tmp_path, TEXT.replace('"{root}"', f"'{root}'")).data.root) == root  # type: ignore[attr-defined]


PATHS = {
    "unset": ('"$GF_NOTHING/x"', "$GF_NOTHING in '$GF_NOTHING/x' is not set; set it, or write the path in full"),
    "unset, in braces": ('"${GF_NOTHING}"', "${GF_NOTHING} in '${GF_NOTHING}' is not set; set it, or write the path in full"),
    "percents": ('"%USERPROFILE%/x"', "variables as in '%USERPROFILE%/x' are not expanded; write $NAME, or the path in full"),
    "drive": (r"'C:\Users\me'", r"'C:\Users\me' is a path of Windows, and this is not Windows; in its Linux (WSL) it is '/mnt/c/Users/me'"),
    "drive, slashes": ('"D:/me"', "'D:/me' is a path of Windows, and this is not Windows; in its Linux (WSL) it is '/mnt/d/me'"),
    "drive alone": ('"d:me"', "'d:me' is a path of Windows, and this is not Windows; in its Linux (WSL) it is '/mnt/d/me'"),
    "backslashes": (r"'data\train'", r"'data\train' has backslashes, which separate no folders here; write 'data/train'"),
    "address": ('"https://x.org/d.zip"', "'https://x.org/d.zip' is an address, which is not read; download it, and write its path"),
    "address of a file": ('"file:///data/x"', "'file:/data/x' is an address; write the path, '/data/x'"),
    "command": ('"$(pwd)/x"', "commands as in '$(pwd)/x' are not run; write the path in full, or $NAME"),
    "empty": ('""', "expected a path ('.' is the working folder), got ''"),
    "quotes twice": ("'\"/data/x\"'", 'the path "/data/x" has quotes inside of its quotes; remove one pair'),
    "share": (r"'\\server\x'", r"'\\server\x' is a path of Windows, and this is not Windows; in its Linux (WSL) it is '//server/x'"),
    "tab": (r'"C:\temp"', r"the path 'C:\temp' holds what TOML makes of \t in double quotes; write it in single quotes, or with /"),
    "line break": (r'"C:\new"', r"the path 'C:\new' holds what TOML makes of \n in double quotes; write it in single quotes, or with /"),
}  # fmt: skip


@pytest.mark.parametrize("case", PATHS)
def test_paths_that_can_only_be_mistakes(tmp_path: Path, case: str) -> None:
    value, message = PATHS[case]
    said = refused(tmp_path, TEXT.replace('"{root}"', value))
    assert said.startswith("3: data.root: ") and message in said


def test_a_blank_next_to_a_path_that_exists(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    said = refused(tmp_path, TEXT.replace("{root}", f"{tmp_path}/d "))
    assert f"'{tmp_path}/d ' does not exist, but '{tmp_path}/d' does; remove the blank" in said


SYNTAX = {
    "backslashes": (
        r'"C:\Users\me\data"',
        "; in double quotes \\ begins an escape; write 'C:\\Users\\me\\data' in single quotes, or \"C:/Users/me/data\"",
    ),
    "curly quotes": ("\u201c/data\u201d", "; quotation marks must be straight: \" or '"),
    "no quotes": ("/data", '; a text stands in quotes: "/data"'),
    "True": ("True", "; write true"),
    "no": ("no  # off", "; write false"),
    "None": ("None", "; TOML has no such value; leave the key out"),
    "comma at the end": ("3,", "; nothing follows a value: write 3"),
    "decimal comma": ("0,5", "; write a decimal point: 0.5"),
    "thousands": ("32k", "; write 32_000"),
    "an apostrophe": ("1'000", "; write 1_000"),
    "a minus sign of print": (
        "\u22125",
        "; there is '\u2212' (U+2212) in this line; outside of quotes, TOML is ASCII",
    ),
    "an invisible sign": (
        "1 \u200b",
        "; there is an invisible character (U+200B) in this line; outside of quotes, TOML is ASCII",
    ),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_hints_in_syntax_errors(tmp_path: Path, case: str) -> None:
    value, hint = SYNTAX[case]
    said = refused(tmp_path, TEXT.replace('"{root}"', value))
    assert said.startswith("3: TOML syntax error: ") and said.endswith(hint)


def test_hints_for_other_languages(tmp_path: Path) -> None:
    assert refused(tmp_path, GOOD + "; note\n").endswith("; a comment begins with #")
    assert refused(tmp_path, GOOD + "// note\n").endswith("; a comment begins with #")
    conflict = "; this is a merge conflict; keep one of the two versions"
    assert refused(tmp_path, GOOD + "<<<<<<< HEAD\n").endswith(conflict)
    assert refused(tmp_path, "<!DOCTYPE html>").endswith(
        "; this is a web page; download the raw file instead"
    )
    assert refused(tmp_path, GOOD.encode("utf-32")).endswith("outside of quotes, TOML is ASCII")
    toml = "; a run file is TOML, not JSON or YAML: [data] in a line of its own, then key = value"
    assert refused(tmp_path, '{"data": {"type": "x"}}').endswith(toml)
    assert refused(tmp_path, "data:\n  type: x\n", "run.yaml").endswith(toml)
    assert refused(tmp_path, "[data]\ntype: x\n").endswith("; write key = value, with an equals sign")
    assert (
        refused(tmp_path, "[data\n")
        == "1: TOML syntax error: Expected ']' at the end of a table declaration (at line 1, column 6)"
    )
