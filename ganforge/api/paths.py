"""The path of a file or folder that a component reads, as run files give it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator


def absolute(path: Path) -> Path:
    """`path` with `~`, variables as in `$HOME` and the working folder written out, so that a recorded run
    file finds it again. What exists under the name as it is written is left alone.

    Raises `ValueError` where the home folder or a variable is not known, and for paths that can only be
    mistakes.
    """
    text = str(path)
    if not os.path.lexists(path):
        _refuse_addresses(text)
        _refuse_windows(text)
        if text != text.strip() and os.path.lexists(text.strip()):
            raise ValueError(f"'{text}' does not exist, but '{text.strip()}' does; remove the blank")
        text = os.path.expandvars(text)
        unset = re.search(r"\$(\w+|\{[^}]*\})", text)
        if unset is not None:
            raise ValueError(f"{unset[0]} in '{path}' is not set; set it, or write the path in full")
    try:
        found = Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"the home folder in '{path}' is not known; write the path in full") from None
    try:
        str(found).encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"the path {os.fsencode(found)!r} is not UTF-8, so a run file cannot name it; rename the folder, "
            "or link to it by another name"
        ) from None
    return found


def _refuse_addresses(text: str) -> None:
    """Raises `ValueError` for what is no path: addresses, commands of a shell, and quotes inside of quotes.
    Of an address such as `https://x`, one of the slashes is lost when it becomes a path."""
    found = re.match(r"([A-Za-z][\w+.-]+):/+(.*)", text)
    if found is not None and found[1].lower() == "file":
        raise ValueError(f"'{text}' is an address; write the path, '/{found[2]}'")
    if found is not None:
        raise ValueError(
            f"'{found[1]}://{found[2]}' is an address, which is not read; download it, and write its path"
        )
    if "$(" in text or "`" in text:
        raise ValueError(f"commands as in '{text}' are not run; write the path in full, or $NAME")
    if re.fullmatch(r"(['\"]).*\1", text):
        raise ValueError(f"the path {text} has quotes inside of its quotes; remove one pair")


def _refuse_windows(text: str) -> None:
    """Raises `ValueError` for paths of Windows, and for what TOML makes of their backslashes."""
    escapes = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f"}
    for sign, written in escapes.items():
        if sign in text:
            raise ValueError(
                f"the path {text!r} holds what TOML makes of {written} in double quotes; write it in single "
                "quotes, or with /"
            )
    if os.name != "nt" and re.match(r"[A-Za-z]:|\\\\", text):
        mounted = re.sub(r"^([A-Za-z]):[\\/]*", lambda drive: f"/mnt/{drive[1].lower()}/", text).replace(
            "\\", "/"
        )
        raise ValueError(
            f"'{text}' is a path of Windows, and this is not Windows; in its Linux (WSL) it is '{mounted}'"
        )
    if os.name != "nt" and re.search(r"\w\\[\w.]", text):
        forward = text.replace("\\", "/")
        raise ValueError(f"'{text}' has backslashes, which separate no folders here; write '{forward}'")
    if re.search(r"%\w+%", text):
        raise ValueError(f"variables as in '{text}' are not expanded; write $NAME, or the path in full")


def _refuse_empty(value: Any) -> Any:
    """Raises `ValueError` for an empty text, which as a path would be the working folder."""
    if value == "":
        raise ValueError("expected a path ('.' is the working folder)")
    return value


AbsolutePath = Annotated[Path, BeforeValidator(_refuse_empty), AfterValidator(absolute)]
