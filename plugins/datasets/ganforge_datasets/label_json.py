"""Labels in JSON: `labels.json`, in any of its forms, and the `dataset.json` of StyleGAN2-ADA's tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

from ganforge.api import UserError
from ganforge_datasets.image_match import Matcher, nfc
from ganforge_datasets.label_reading import Label, Reading, Value
from ganforge_datasets.label_table import labels_of, table_of_records
from ganforge_datasets.stores import Store
from ganforge_datasets.text_files import line_of, read_json

FORMS = 'should be {"a.png": "cat", ...} or {"a.png": ["red", "big"], ...}'
STYLEGAN = 'should be {"labels": [["a.png", 0], ...]}'


def read_label_json(store: Store, name: str, matcher: Matcher, reading: Reading) -> Iterator[Label]:
    """The labels of a JSON file. Raises `UserError` with file and line."""
    found, text = read_json(store, name)
    file = store.where(name)
    if isinstance(found, dict) and _is_stylegan(found.get("labels", 0)):
        if found["labels"] is None:
            raise UserError(f'{file}:1: has no labels ("labels": null); say data.labels = "none"')
        return _pairs(found["labels"], file, text, reading)
    if isinstance(found, list) and found and all(isinstance(each, dict) for each in found):
        records = [(each, partial(str, f"{file}:1")) for each in found]
        return labels_of(table_of_records(file, records), matcher, reading)
    if isinstance(found, list) and _is_stylegan(found):
        return _pairs(found, file, text, reading)
    if not isinstance(found, dict):
        raise UserError(f"{file}:1: {STYLEGAN if name.endswith('dataset.json') else FORMS}")
    return _by_image(found, file, text, reading)


def _is_stylegan(value: object) -> bool:
    return value is None or (
        isinstance(value, list) and bool(value) and all(isinstance(each, list) for each in value)
    )


def _pairs(pairs: list[list[object]], file: str, text: str, reading: Reading) -> Iterator[Label]:
    """Of `[["a.png", 0], ...]`; the classes are their numbers."""
    entries = list[tuple[str, object]]()
    for position, pair in enumerate(pairs):
        if len(pair) != 2 or not isinstance(pair[0], str):
            raise UserError(f"{file}:1: entry {position} (counted from 0) is {pair!r:.60}; {STYLEGAN}")
        entries.append((pair[0], pair[1]))
    return _labels(entries, file, text, reading)


def _by_image(found: dict[str, object], file: str, text: str, reading: Reading) -> Iterator[Label]:
    return _labels(list(found.items()), file, text, reading)


def _labels(entries: list[tuple[str, object]], file: str, text: str, reading: Reading) -> Iterator[Label]:
    values = list[Value]()
    for image, value in entries:
        cell = _value(value)
        if cell is None:
            raise UserError(
                f"{_line(file, text, image)}: image '{image}' should have a label or a list of labels; got "
                f"{value!r:.60}"
            )
        values.append(cell)
    names = [[nfc(name.strip()) for name in ([cell] if isinstance(cell, str) else cell)] for cell in values]
    several = reading.kind == "many_of_k" or not reading.names
    if several and reading.splits_bars([cell for cell in values if isinstance(cell, str)]):
        names = reading.split(values)
    seen = Counter[str]()
    for (image, _), found in zip(entries, names, strict=True):
        seen[image] += 1
        yield Label(image, list(dict.fromkeys(found)), partial(_line, file, text, *[image] * seen[image]))


def _value(value: object) -> Value | None:
    """A label or labels as text; None for what is neither. A class may be a number; a vector is no label."""
    if value is None or value == "":
        return []
    if isinstance(value, str) or type(value) is int:
        return str(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return [str(each) for each in value]
    if (
        isinstance(value, dict)
        and value
        and all(isinstance(each, bool) or each in (0, 1) for each in value.values())
    ):
        return [str(name) for name, on in value.items() if on]
    return None


def _line(file: str, text: str, *images: str) -> str:
    return f"{file}:{line_of(text, *images)}"
