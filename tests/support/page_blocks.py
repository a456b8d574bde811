"""The code on a page: its fenced blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w./-]+\.\w+)`[^`\n]*:\n+$")


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str
    file: str
    """The file that the line above names as `file`: ...; empty if none is named."""


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        named = FILE.search(text[: match.start()])
        found.append(Block(match[2], match[3], named[1] if named else ""))
    return found


def commands(block: str) -> list[list[str]]:
    """The commands of a shell block as words; comments and continued lines are resolved."""
    lines = block.replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    parts = [part for words in split for part in _parts(words)]
    return [part for part in parts if part]


def _parts(words: list[str]) -> list[list[str]]:
    """`a && b; c` in three."""
    parts: list[list[str]] = [[]]
    for word in words:
        bare = word.rstrip(";")
        if word in ("&&", "||", ";", "&", "|"):
            parts.append([])
            continue
        parts[-1].append(bare)
        if bare != word:
            parts.append([])
    return parts
