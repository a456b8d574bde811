"""What a text that is no TOML may have been meant to be: a hint for the end of the error message."""

from __future__ import annotations

import re
from pathlib import Path as FilePath


def hint(text: str, line: int, file: FilePath) -> str:
    """Begins with "; ", or is empty where nothing is recognized. `line` counts from 1."""
    lines = text.split("\n")
    source = lines[line - 1] if 0 < line <= len(lines) else ""
    if file.suffix.lower() in (".json", ".yaml", ".yml") or text.lstrip().startswith("{"):
        return "; a run file is TOML, not JSON or YAML: [data] in a line of its own, then key = value"
    if text.lstrip().startswith("<!") or text.lstrip().lower().startswith("<html"):
        return "; this is a web page; download the raw file instead"
    for recognized in (_backslashes, _foreign_lines, _quotes, _invisible, _literals, _numbers, _assignment):
        found = recognized(source)
        if found:
            return f"; {found}"
    return ""


def _backslashes(source: str) -> str:
    """Windows paths: in double quotes a backslash begins an escape sequence."""
    found = re.search(r'=\s*"([^"]*\\[^"]*)"?', source)
    if found is None:
        return ""
    path = found[1]
    forward = path.replace("\\", "/")
    return f"in double quotes \\ begins an escape; write '{path}' in single quotes, or \"{forward}\""


def _quotes(source: str) -> str:
    if re.search("[\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb]", source):
        return "quotation marks must be straight: \" or '"
    if "\u00a0" in source:
        return "there is a non-breaking space in this line; type an ordinary one"
    return ""


def _foreign_lines(source: str) -> str:
    """Comments of other languages, and what Git leaves where two versions conflict."""
    if source.lstrip().startswith((";", "//", "--", "/*")):
        return "a comment begins with #"
    if source.startswith(("<<<<<<<", "=======", ">>>>>>>")):
        return "this is a merge conflict; keep one of the two versions"
    return ""


def _invisible(source: str) -> str:
    """A character that is not ASCII, or no character at all, outside of quotes."""
    plain = re.sub(r"""\"[^"]*\"|'[^']*'|#.*""", "", source)
    found = re.search(r"[^\t\r -~]", plain)
    if found is None:
        return ""
    sign = found[0]
    name = (
        f"'{sign}' (U+{ord(sign):04X})"
        if sign.isprintable()
        else f"an invisible character (U+{ord(sign):04X})"
    )
    return f"there is {name} in this line; outside of quotes, TOML is ASCII"


def _literals(source: str) -> str:
    """Values as other languages write them, and texts without quotes."""
    found = re.match(r"""\s*[\w.-]+\s*=\s*([^\s"'\[{#][^#]*?)\s*(?:#.*)?$""", source)
    if found is None:
        return ""
    value = found[1].rstrip(",;")
    if value in ("True", "False", "TRUE", "FALSE", "yes", "no", "Yes", "No", "on", "off"):
        return f"write {'true' if value.lower() in ('true', 'yes', 'on') else 'false'}"
    if value in ("None", "null", "nil", "NULL"):
        return "TOML has no such value; leave the key out"
    if value != found[1]:
        return f"nothing follows a value: write {value}"
    if re.fullmatch(r"\d+,\d+", value):
        return f"write a decimal point: {value.replace(',', '.')}"
    if re.match(r"[A-Za-z_~/.$%]", value):
        return f'a text stands in quotes: "{value}"'
    return ""


def _numbers(source: str) -> str:
    """Numbers as people write them."""
    found = re.match(r"\s*[\w.-]+\s*=\s*(\d[\d' ]*)([kKmM]?)\s*(?:#.*)?$", source)
    if found is None:
        return ""
    number = int(re.sub(r"\D", "", found[1])) * {"": 1, "k": 1_000, "m": 1_000_000}[found[2].lower()]
    return f"write {number:_}"


def _assignment(source: str) -> str:
    if re.match(r"\s*[\w.-]+\s*:", source):
        return "write key = value, with an equals sign"
    return ""
