"""Labels in JSON: `labels.json`, in any of its forms, and the `dataset.json` of StyleGAN2-ADA's tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from ganforge.api import UserError
from ganforge_datasets.formats import is_image_name
from ganforge_datasets.image_match import Matcher, nfc
from ganforge_datasets.label_reading import Label, Reading, Value
from ganforge_datasets.label_table import labels_of, read_label_lines, table_of_records
from ganforge_datasets.stores import Store
from ganforge_datasets.text_files import line_of, parse_json, read_text

FORMS = 'should be {"a.png": "cat", ...} or {"a.png": ["red", "big"], ...}'
STYLEGAN = 'should be {"labels": [["a.png", 0], ...]}'
Entries = list[tuple[str, object]]
"""Images, and what the file gives for them."""


def read_label_json(store: Store, name: str, matcher: Matcher, reading: Reading) -> Iterator[Label]:
    """The labels of a JSON file. Raises `UserError` with file and line."""
    text, file = read_text(store, name), store.where(name)
    if _is_lines(text):
        return read_label_lines(store, name, matcher, reading)
    found = parse_json(text, file)
    if isinstance(found, dict) and _is_stylegan(found.get("labels", 0)):
        if found["labels"] is None:
            raise UserError(f'{file}:1: has no labels ("labels": null); say data.labels = "none"')
        return _labels(_pairs(found["labels"], file), file, text, reading)
    if isinstance(found, list) and found and all(isinstance(each, dict) for each in found):
        records = [(each, partial(str, f"{file}:1")) for each in found]
        return labels_of(table_of_records(file, records), matcher, reading)
    if isinstance(found, list) and _is_stylegan(found):
        return _labels(_pairs(found, file), file, text, reading)
    if not isinstance(found, dict):
        raise UserError(f"{file}:1: {STYLEGAN if name.lower().endswith('dataset.json') else FORMS}")
    return _by_image(found, file, text, matcher, reading)


def _is_lines(text: str) -> bool:
    """Whether each line is an object, as in `metadata.jsonl`; two are enough to tell."""
    lines = [line.strip() for line in text.splitlines() if line.strip()][:2]
    return len(lines) == 2 and all(line.startswith("{") and line.endswith("}") for line in lines)


def _is_stylegan(value: object) -> bool:
    return value is None or (
        isinstance(value, list) and bool(value) and all(isinstance(each, list) for each in value)
    )


def _pairs(pairs: Sequence[Sequence[object]], file: str) -> Entries:
    """Of `[["a.png", 0], ...]`; the classes are their numbers, or the places of the ones in vectors."""
    entries = Entries()
    for position, pair in enumerate(pairs):
        if len(pair) != 2 or not isinstance(pair[0], str):
            raise UserError(f"{file}:1: entry {position} (counted from 0) is {pair!r:.60}; {STYLEGAN}")
        entries.append((pair[0], pair[1]))
    return entries


def _by_image(
    found: Mapping[str, object], file: str, text: str, matcher: Matcher, reading: Reading
) -> Iterator[Label]:
    """Of an object with a member for each image; or for each class, with the images of it."""
    (only, inner) = next(iter(found.items())) if len(found) == 1 else ("", None)
    if isinstance(inner, dict) and matcher.find(only) is None:
        found = inner
    if found and not any(matcher.find(image) for image in found):
        classes = _by_class(found, matcher)
        if classes:
            return _labels(classes, file, text, reading)
        if not any(map(is_image_name, found)) or any(_value(value) is None for value in found.values()):
            keys = ", ".join(f"'{key[:40]}'" for key in list(found)[:3])
            raise UserError(f"{file}:1: {FORMS}; got an object with {keys}, which are no images")
    if found and all(_is_record(value) for value in found.values()):
        records = [({"file": image} | dict(value), partial(_line, file, text, image))  # type: ignore[call-overload]
                   for image, value in found.items()]  # fmt: skip
        return labels_of(table_of_records(file, records), matcher, reading)
    return _labels(list(found.items()), file, text, reading)


def _is_record(value: object) -> bool:
    """`{"label": "cat"}`, of which `{"red": 1, "big": 0}` is none."""
    return isinstance(value, dict) and "file" not in value and _value(value) is None


def _by_class(found: Mapping[str, object], matcher: Matcher) -> Entries:
    """Of `{"cat": ["a.png", "b.png"]}`; empty where the members are not images that are there."""
    of = dict[str, list[str]]()
    for name, images in found.items():
        for image in images if isinstance(images, list) else [None]:
            if not isinstance(image, str) or matcher.find(image) is None:
                return []
            of.setdefault(image, []).append(name)
    return list(of.items())


def _labels(entries: Entries, file: str, text: str, reading: Reading) -> Iterator[Label]:
    values = _of_vectors(entries, file, reading)
    if values is None:
        values = list[Value]()
        for image, value in entries:
            cell = _value(value)
            if cell is None:
                raise UserError(
                    f"{_line(file, text, image)}: image '{image}' should have a label or a list of labels; "
                    f"got {value!r:.60}"
                )
            values.append(cell)
    names = [[nfc(name.strip()) for name in ([cell] if isinstance(cell, str) else cell)] for cell in values]
    several = reading.kind == "many_of_k" or not reading.names
    if several and reading.splits_bars([cell for cell in values if isinstance(cell, str)]):
        names = reading.split(values)
    return _placed(entries, names, file, text)


def _placed(entries: Entries, names: Sequence[list[str]], file: str, text: str) -> Iterator[Label]:
    seen = Counter[str]()
    for (image, _), found in zip(entries, names, strict=True):
        seen[image] += 1
        yield Label(image, list(dict.fromkeys(found)), partial(_line, file, text, *[image] * seen[image]))


def _of_vectors(entries: Entries, file: str, reading: Reading) -> list[Value] | None:
    """The labels, by their numbers, of vectors of 0 and 1 that are equally long; None where they are not."""
    vectors = [value for _, value in entries if isinstance(value, list)]
    lengths = {len(vector) for vector in vectors}
    if len(vectors) < len(entries) or len(lengths) != 1 or min(lengths) < 2:
        return None
    if not all(isinstance(each, int | float) and each in (0, 1) for vector in vectors for each in vector):
        return None
    reading.known.update({str(number): partial(str, f"{file}:1") for number in range(min(lengths))})
    return [[str(number) for number, each in enumerate(vector) if each] for vector in vectors]


def _value(value: object) -> Value | None:
    """A label or labels as text; None for what is neither. A class may be a number."""
    if value is None or value == "":
        return []
    if isinstance(value, str) or _is_number(value):
        return _text(value)
    if isinstance(value, list) and all(isinstance(each, str) or _is_number(each) for each in value):
        return [_text(each) for each in value]
    if (
        isinstance(value, dict)
        and value
        and all(isinstance(each, bool) or each in (0, 1) for each in value.values())
    ):
        return [str(name) for name, on in value.items() if on]
    return None


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) else str(value)


def _is_number(value: object) -> bool:
    """A whole number, which JSON may write as 1.0."""
    return type(value) is int or (isinstance(value, float) and value.is_integer())


def _line(file: str, text: str, *images: str) -> str:
    return f"{file}:{line_of(text, *images)}"
