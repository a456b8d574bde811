"""Text and JSON files of a store, with `file:line` in what they raise."""

from __future__ import annotations

import codecs
import json
from typing import Any

from ganforge.api import UserError
from ganforge_datasets.stores import Store


def read_text(store: Store, name: str) -> str:
    """The text of a file: UTF-8, or what its byte order mark says. Raises `UserError` where it is not."""
    content = store.read(name)
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        form = "UTF-16" if wide else "UTF-8"
        raise UserError(
            f"{store.where(name)}: is not {form} text (byte {error.start}); save it as UTF-8 "
            "(Excel: 'CSV UTF-8')"
        ) from None


def read_json(store: Store, name: str) -> tuple[object, str]:
    """The value and the text of a JSON file. Raises `UserError` with file and line, also where an object
    has a key twice."""
    where, text = store.where(name), read_text(store, name)
    return parse_json(text, where), text


def parse_json(text: str, where: str, line: int = 1) -> object:
    """The value of a JSON text that begins in `line` of the file `where`. Raises `UserError`."""
    try:
        return json.loads(text, object_pairs_hook=_once_each)
    except _Twice as error:
        second = line_of(text, error.key, error.key)
        raise UserError(
            f"{where}:{line + second - 1}: lists '{error.key}' a second time; remove one of the two"
        ) from None
    except json.JSONDecodeError as error:
        raise UserError(f"{where}:{line + error.lineno - 1}: is not JSON: {error.msg}") from None
    except RecursionError:
        raise UserError(f"{where}:{line}: is nested too deeply") from None
    except ValueError as error:
        raise UserError(f"{where}:{line}: is not JSON: {error}") from None


class _Twice(Exception):
    def __init__(self, key: str) -> None:
        self.key = key


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set[str]()
        for key, _ in pairs:
            if key in seen:
                raise _Twice(key)
            seen.add(key)
    return found


def line_of(text: str, *words: str) -> int:
    """The line of the last of some strings that follow each other in a JSON text; 1 where not found."""
    position = end = 0
    for word in words:
        forms = (json.dumps(word, ensure_ascii=ascii_only) for ascii_only in (False, True))
        found = [(text.find(form, end), len(form)) for form in forms]
        there = [(at, length) for at, length in found if at >= 0]
        if not there:
            return 1
        position, length = min(there)
        end = position + length
    return text.count("\n", 0, position) + 1
