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
    for recognized in (_backslashes, _quotes, _literals, _assignment):
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


def _assignment(source: str) -> str:
    if re.match(r"\s*[\w.-]+\s*:", source):
        return "write key = value, with an equals sign"
    return ""
