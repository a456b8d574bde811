"""Pieces of HTML. Whatever comes from a file passes through `text`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


def text(value: object) -> str:
    """A string as HTML; characters that no file in UTF-8 can hold are spelled out."""
    return escape(str(value).encode("utf-8", errors="backslashreplace").decode(), quote=True)


def anchor(*names: str) -> str:
    """An id made of names."""
    return "-".join(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x" for name in names)


def section(identity: str, heading: str, *content: str) -> str:
    """A section with its heading; "" without content."""
    inner = "".join(content)
    return f"<section id='{identity}'><h2>{text(heading)}</h2>{inner}</section>" if inner else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "", caption: str = "") -> str:
    """A table in a box that scrolls; the first cell of each row names it. Cells are HTML."""
    lines = [
        f"<tr><th scope='row'>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>"
        for row in rows
    ]
    if not lines:
        return ""
    names = "".join(f"<th scope='col'>{text(name)}</th>" for name in head)
    top = f"<thead><tr>{names}</tr></thead>" if head else ""
    said = f"<caption>{text(caption)}</caption>" if caption else ""
    return (
        f"<div class='wide' tabindex='0' role='region' aria-label='{text(caption or 'table')}'>"
        f"<table class='{kind}'>{said}{top}<tbody>{''.join(lines)}</tbody></table></div>"
    )


def details(summary: str, content: str, opened: bool = False) -> str:
    """Content that opens on a click; always open in print."""
    return f"<details{' open' if opened else ''}><summary>{text(summary)}</summary>{content}</details>"


def paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<p>{text(line)}</p>" for line in lines)


def items(lines: Iterable[str], kind: str = "") -> str:
    """A list of plain lines; "" if there are none."""
    inner = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul class='{kind}'>{inner}</ul>" if inner else ""


def command(line: str) -> str:
    return f"<pre class='command'><code>{text(line)}</code></pre>"


def data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def data_block(identity: str, value: Any) -> str:
    """JSON that a script reads. It is not run, so no policy needs its hash."""
    plain = json.dumps(value, separators=(",", ":"), allow_nan=False)
    # "</script>" in a name would end the block, and "<!--" change how it is read.
    plain = plain.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f"<script type='application/json' id='{identity}'>{plain}</script>"


def csp_hash(source: str) -> str:
    """What a content security policy calls an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
