"""Text and JSON files of a store, with `file:line` in what they raise."""

from __future__ import annotations

import json

from ganforge.api import UserError
from ganforge_datasets.stores import Store


def read_text(store: Store, name: str) -> str:
    """The text of a file. Raises `UserError` where it is not UTF-8."""
    try:
        return store.read(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{store.where(name)}: is not UTF-8 text (byte {error.start})") from None


def read_json(store: Store, name: str) -> tuple[object, str]:
    """The value and the text of a JSON file. Raises `UserError` with file and line."""
    where, text = store.where(name), read_text(store, name)
    try:
        return json.loads(text), text
    except json.JSONDecodeError as error:
        raise UserError(f"{where}:{error.lineno}: is not JSON: {error.msg}") from None
    except RecursionError:
        raise UserError(f"{where}:1: is nested too deeply") from None
    except ValueError as error:
        raise UserError(f"{where}:1: is not JSON: {error}") from None


def line_of(text: str, *words: str) -> int:
    """The line of the last of some strings that follow each other in a JSON text; 1 where not found."""
    position = 0
    for word in words:
        position = text.find(json.dumps(word, ensure_ascii=False), position)
        if position < 0:
            return 1
    return text.count("\n", 0, position) + 1
