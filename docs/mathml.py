"""Formulas of a page as MathML, which browsers typeset without a script or a font: `$x$` and `$$x$$`."""

from __future__ import annotations

import re

CODE = re.compile(r"(^```.*?^```\s*$|`[^`\n]*`)", re.DOTALL | re.MULTILINE)
DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
INLINE = re.compile(r"(?<!\\)\$([^$\n]+?)(?<!\\)\$")


def with_mathml(text: str) -> str:
    """`text` with its formulas as MathML; code is left alone."""
    parts = CODE.split(text)
    parts[::2] = [INLINE.sub(_inline, DISPLAY.sub(_display, part)) for part in parts[::2]]
    return "".join(parts)


def _display(found: re.Match[str]) -> str:
    return f'\n<div class="formula">{mathml(found[1], "block")}</div>\n'


def _inline(found: re.Match[str]) -> str:
    # Markdown takes a `<math>` that starts a line for a block.
    return f'<span class="formula-inline">{mathml(found[1], "inline")}</span>'


def mathml(latex: str, display: str) -> str:
    """One formula in LaTeX as a `<math>` element, in one line, with nothing that Markdown would read."""
    from latex2mathml.converter import convert

    # The converter leaves out the space around a function's name.
    spaced = re.sub(r"\\(log|max)\b", r"\\,\\\1\\,", " ".join(latex.split()))
    element: str = convert(spaced, display=display)
    return re.sub(r">([^<]+)<", lambda found: f">{_plain(found[1])}<", element)


def _plain(text: str) -> str:
    return text.replace("*", "&#42;").replace("_", "&#95;").replace("|", "&#124;").replace("`", "&#96;")
