"""What users and contributors read uses the field's words: no private vocabulary, one spelling."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT

WORDS = {
    r"besides?": "next to, compared with, in addition to",
    r"anew": "again, or the verb: regenerate, restart",
    r"so many": "this many, or the number's name",
    r"(?:is|are) due(?! to)": "expected ..., got ...",
    r"(?:un)?mend(?:s|ed|ing)?": "fix",
    r"(?:un)?sound": "intact, valid; it works",
    r"heed(?:s|ed|ing)?": "respond to; raise if stopped",
    r"settl(?:es?|ed|ing)": "flush, synchronize, warm up, resolve",
    r"tall(?:y|ies|ied)": "running means",
    r"surroundings": "environment",
    r"by-products?": "side effects",
    r"(?:bytes|ms|GFLOP|FLOPs|seconds|lines?|rows?|pages?|process(?:es)?|gpu) an? "
    r"(?:sample|iteration|image|line|row|file|node|update|second|process|gpu)": "per",
    r"laggards?": "stragglers",
    r"begun|goes? on|went on": "started, continues, continued",
    r"made to order": "for a given condition",
    r"at hand": "available",
    r"looks? (?:at|into|through)|look(?:ed|ing) (?:at|into|through)": "reads, inspects, uses",
    r"as it comes|of its own accord": "by default",
    r"exclude each other": "are mutually exclusive",
    r"pass(?:es|ed)? over": "skips",
    r"(?:said|told|tells?) (?:by|how|of|so|that|what|where|whether|why)": "reports, shows, means",
    r"does not (?:say|tell)|do not (?:say|tell)": "does not record, does not report",
    r"(?:gave|gives?) (?:a|an|no|logits|images|features)": "returns, returned",
    r"such scenes": "similar scenes",
    r"wherefore|whereof|whither|whence": "why, of which, where",
    r"has to (?:be|exceed)": "must be; expected ...",
    r"[A-Za-z]*(?:optim|normal|minim|maxim|regular|initial|synchron|penal|general|summar)is(?:e|ed|es|er|ers|ing|ation)": "American spelling: optimizer, normalize",
}
"""Private word, as a regular expression -> what to write instead."""

PATTERN = re.compile("|".join(rf"(?P<w{n}>\b{word}\b)" for n, word in enumerate(WORDS)), re.IGNORECASE)

ROOMS = (
    "ganforge/api",
    "ganforge/cli",
    "ganforge/components",
    "ganforge/config",
    "ganforge/engine",
    "ganforge/evaluation",
    "ganforge/outputs",
    "ganforge/profiling",
    "ganforge/sweep",
    "ganforge/training",
    "plugins",
)
PAGES = ("*.md", "docs/**/*.md", "docker/*.md", "examples/*.md", "plugins/**/*.md")


def texts(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each docstring and each string literal with a space in it, f-strings in one."""
    parts: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            values = [value for value in node.values if isinstance(value, ast.Constant)]
            parts.update(id(value) for value in values)
            yield node.lineno, "".join(str(value.value) for value in values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value


def private(text: str) -> list[str]:
    """The private words in `text`, each with its replacement."""
    found = []
    for match in PATTERN.finditer(re.sub(r"`[^`]*`", "", text)):
        assert match.lastgroup is not None
        found.append(f"'{match[0]}' (write: {list(WORDS.values())[int(match.lastgroup[1:])]})")
    return found


def complaints(file: Path) -> list[str]:
    """`file:line: word` for a Python file or a page."""
    source = file.read_text(encoding="utf-8")
    lines = texts(source) if file.suffix == ".py" else enumerate(source.splitlines(), start=1)
    where = file.relative_to(ROOT)
    return [f"{where}:{line}: {word}" for line, text in lines if " " in text for word in private(text)]


@pytest.mark.parametrize("room", ROOMS)
def test_strings_and_docstrings_use_the_words_of_the_field(room: str) -> None:
    found = [each for file in sorted((ROOT / room).rglob("*.py")) for each in complaints(file)]
    assert not found, "\n" + "\n".join(found)


def test_pages_use_the_words_of_the_field() -> None:
    pages = sorted({page for pattern in PAGES for page in ROOT.glob(pattern)})
    assert len(pages) > 7, "the pages are found"
    found = [each for page in pages for each in complaints(page)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "a tensor of float32 is due",
        "pack it ANEW",
        "no optimiser is called 'adm'",
        "what the user can mend",
        "the newest sound checkpoint",
    ],
)
def test_private_words_are_found(text: str) -> None:
    assert private(text)


@pytest.mark.parametrize(
    "text", ["expected uint8, got float64", "resound, commend, besiege", "see `settle()`"]
)
def test_other_words_are_not(text: str) -> None:
    assert not private(text)


def test_every_literal_is_read() -> None:
    source = '"""One two."""\nx = f"three {x} four" + "five six"\nlone = "seven"\n'
    assert list(texts(source)) == [
        (1, "One two."),
        (2, "three  four"),
        (2, "five six"),
        (3, "seven"),
    ] or sorted(texts(source)) == sorted([(1, "One two."), (2, "three  four"), (2, "five six"), (3, "seven")])
