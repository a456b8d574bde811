"""The file of `ganforge evaluate --metrics`: [[metrics]] tables as in a run file, and nothing else."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ganforge.api import UserError

EXAMPLE = '[[metrics]]\ntype = "condition_accuracy"\njudge = "path/to/judge"'


def read_tables(file: Path) -> tuple[list[dict[str, Any]], str]:
    """The tables and the text of `file`. Raises `UserError` for anything else."""
    try:
        text = file.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not TOML: {error}") from None
    tables = document.pop("metrics", None)
    if document or not isinstance(tables, list) or not tables:
        raise UserError(f"{file}: expected [[metrics]] tables and nothing else, such as\n{EXAMPLE}")
    return tables, text
