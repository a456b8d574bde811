"""Lists of conditions, as files in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ganforge.api.data import LabelSpec
from ganforge.api.errors import UserError

MAX_BYTES = 16 * 2**20
"""Of a list; a device file has no end."""


def read_list(file: Path) -> list[Any]:
    """The entries of a JSON list that has some. Raises `UserError` for any other file."""
    try:
        with file.open("rb") as handle:
            content = handle.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UserError(f"{file}: expected a list of conditions of at most {MAX_BYTES:,} bytes")
        found = json.loads(content)
    except json.JSONDecodeError as error:
        raise UserError(f"{file}:{error.lineno}: not JSON: {error.msg}") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not JSON: {error}") from None
    if not isinstance(found, list) or not found:
        raise UserError(f'{file}: expected a list of conditions, such as [["red cube"], ["gray sphere"]]')
    return found


def read_conditions(file: Path, labels: LabelSpec) -> list[list[str]]:
    """The names in each condition of a list; an entry is a list of names, or one string as for `--condition`.

    Raises `UserError` for any other file. Whether the data can have them, `LabelSpec.encode` says.
    """
    conditions = [labels.parse(each) if isinstance(each, str) else each for each in read_list(file)]
    for position, names in enumerate(conditions):
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(
                f"{file}: expected condition {position} (counted from 0) to be a list of names, "
                f"got {names!r:.60}"
            )
    return conditions
