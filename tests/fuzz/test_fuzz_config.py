"""Run files and overrides that nobody meant to write: one message, or a config that can be written down.

Caps: a run file has at most 256 KiB (`ganforge.config.load.MAX_BYTES`), is nested at most 16 deep, and
its message at most 41 lines.
"""

from __future__ import annotations

import copy
import tomllib
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from ganforge.api import UserError
from ganforge.config import dump, load, validate
from ganforge.config.explain import MAX_MISTAKES
from ganforge.config.load import MAX_BYTES, parse_override
from support.fuzz import ANY_TEXT, MIB, answer, damaged, fuzz, no_hang
from support.installed import installed
from support.paths import EXAMPLES
from support.scratch import scratch

REGISTRY = installed()
FILE = scratch() / "x.toml"
TEXTS = [file.read_text() for file in sorted(EXAMPLES.rglob("*.toml"))]
WORDS = sorted(
    {"type", "data", "prior", "nets", "loss", "terms", "callbacks", "metrics", "generator", "discriminator"}
    | {"train", "lr", "ema", "logging", "wandb", "optimizer"}
    | {key for kind in REGISTRY.components.values() for made in kind.values() for key in made.model_fields}
    | {name for kind in REGISTRY.components.values() for name in kind}
)
TOML_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(WORDS)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(2**63, 2**80),
    st.floats(),
    TOML_TEXT,
    st.dates(),
    st.datetimes(),
    st.times(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TOML_TEXT, inner, max_size=3),
    max_leaves=8,
)


def read(data: bytes, *overrides: str) -> Any:
    """The config, or the message, with the file's name alone."""
    FILE.write_bytes(data)
    found = answer(lambda: load(FILE, REGISTRY, overrides))
    return found.replace(str(FILE), FILE.name) if isinstance(found, str) else found


def checked(document: dict[str, Any]) -> None:
    """Validates; a config that comes of it is the same when it is written and read again."""
    config = answer(lambda: validate(document, REGISTRY, file="x.toml", text=tomli_w.dumps(document)))
    if not isinstance(config, str):
        again = validate(tomllib.loads(tomli_w.dumps(dump(config))), REGISTRY, file="x.toml")
        assert dump(again) == dump(config)
    else:
        assert config.count("\n") <= MAX_MISTAKES * (1 + config.count("names = "))


@given(st.dictionaries(TOML_TEXT, VALUES, max_size=6))
@fuzz(100)
def test_any_document(document: dict[str, Any]) -> None:
    checked(document)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """An example with keys dropped, renamed and added, and values of other types."""
    document: dict[str, Any] = copy.deepcopy(tomllib.loads(draw(st.sampled_from(TEXTS))))
    for _ in range(draw(st.integers(1, 4))):
        *way, last = draw(st.sampled_from([place for place in places(document) if place] or [("data",)]))
        owner: Any = document
        for key in way:
            owner = owner[key]
        how = draw(st.sampled_from(("drop", "value", "table", "rename", "add")))
        if how == "drop" and last in places(owner)[-1:]:
            del owner[last]
        elif how == "rename" and isinstance(owner, dict) and last in owner:
            owner[draw(TOML_TEXT)] = owner.pop(last)
        elif how == "add" and isinstance(owner, dict):
            owner[draw(TOML_TEXT)] = draw(VALUES)
        elif how == "table":
            owner[last] = {"type": draw(TOML_TEXT)}
        else:
            owner[last] = draw(VALUES)
    return document


@given(mutated())
@fuzz(150)
def test_mutated_examples(document: dict[str, Any]) -> None:
    checked(document)


@given(st.sampled_from(TEXTS).flatmap(lambda text: damaged(text.encode())))
@fuzz(100)
def test_damaged_files(data: bytes) -> None:
    read(data)


@given(
    st.sampled_from(TEXTS),
    st.lists(st.text(st.sampled_from(list("a.=[]{}\"'\\\n# \t,1é\0\u2028")), max_size=40)),
)
@fuzz(100)
def test_any_text(text: str, pieces: list[str]) -> None:
    """Lines of punctuation between those of an example: a lexer's food."""
    lines = text.splitlines()
    for index, piece in enumerate(pieces):
        lines.insert((index * 7) % (len(lines) + 1), piece)
    read("\n".join(lines).encode())


@given(
    st.lists(st.sampled_from(WORDS) | ANY_TEXT | st.integers(0, 3).map(str), min_size=1, max_size=4),
    SCALARS.map(str) | ANY_TEXT | VALUES.map(repr),
)
@fuzz(100)
def test_overrides(parts: list[str], value: str) -> None:
    override = f"{'.'.join(parts)}={value}"
    answer(lambda: parse_override(override))
    read(TEXTS[0].encode(), override)


LINE = "x.toml:1: TOML syntax error: "
NETS = '[nets]\ntype = "dcgan"\n'
CASES = {
    "a decimal of 5,000 digits": (f"a = {'9' * 5000}", "x.toml: TOML syntax error: a number has thousands of digits"),
    "a hexadecimal of 5,000 digits": (
        f"a = 0x{'f' * 5000}",
        "x.toml:1: a: expected a whole number of at most 64 bits",
    ),
    "a dotted key of 100,000 parts": (
        ".".join("a" * 100_000) + " = 1",
        "x.toml:1: a key has more than 32 parts",
    ),
    "a header of 100,000 parts": (f"[{'.'.join('a' * 100_000)}]", "x.toml:1: a key has more than 32 parts"),
    "100,000 brackets": ("a = " + "[" * 100_000, "x.toml: TOML syntax error: nested too deeply"),
    "arrays 20 deep": (f"a = {'[' * 20}{']' * 20}", None),
    "a key called line": ('a = { "in line x" = 1, "in line x" = 2 }', None),
    "a NUL": ("a = \"\0\"", f"{LINE}Illegal character '\\x00' (at line 1, column 6)"),
    "a table twice": ("[data]\n[data]", "x.toml:2: TOML syntax error: Cannot declare ('data',) twice (at line 2, column 6)"),
    "too many bytes": ("#" * (MAX_BYTES + 1), "x.toml: expected a run file of at most 262,144 bytes"),
    "quotes that never close": ("a = " + '\\"' * 100_000, None),
    "triple quotes that never close": ("a = " + '"""\\' * 60_000, None),
    "no UTF-8": ("a = '\udcff'", None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_hostile_texts(name: str) -> None:
    text, expected = CASES[name]
    message = read(text.encode(errors="surrogateescape"))
    assert isinstance(message, str)
    if expected is not None:
        assert message.splitlines()[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "a = '''" + "\n" * 200_000 + "'''\n" + NETS,
        "a = [\n" + "1,\n" * 40_000 + "]\n",
        "".join(f"k{index} = 1\n" for index in range(3_000)),
        "".join(f"[t{index}]\n" for index in range(3_000)),
        "# \u2028\u0085 not a line break\n" + "[[terms]]\n" * 3_000,
        f'data = "{"x" * 250_000}"',
    ],
    ids=["a long string", "a long array", "many keys", "many tables", "many terms", "a long value"],
)
def test_a_large_file_is_refused_in_time_and_space(text: str) -> None:
    tracemalloc.start()
    try:
        message = read(text.encode())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(message, str)
    assert len(message.splitlines()) <= MAX_MISTAKES + 1 and len(message) < 2**16
    assert peak < 256 * MIB


def test_more_mistakes_than_anyone_reads_are_counted() -> None:
    text = "".join(f"k{index} = 1\n" for index in range(100))
    *_, last = read(text.encode()).splitlines()
    assert last == "... and 62 more mistakes"


def test_separators_that_are_no_line_breaks_move_no_line(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('# \u2028 \u0085\n[data]\ntype = "nothing"\n' + NETS)
    with no_hang(), pytest.raises(UserError) as caught:
        load(file, REGISTRY)
    assert str(caught.value).startswith(f"{file}:3: data.type: no data set is called 'nothing'")
