"""Tables of labels: `labels.csv`, `labels.tsv`, `metadata.csv`, and the records of `metadata.jsonl`.

What a column is for is taken from what it holds: the images are the column whose cells name images, an index
that pandas wrote is one of consecutive numbers without a name, and labels are columns of 0 and 1, or one
column with their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

from ganforge.api import UserError
from ganforge_datasets.image_match import Matcher, nfc
from ganforge_datasets.label_reading import Label, Reading, Value, Where
from ganforge_datasets.stores import Store
from ganforge_datasets.tables import EVIDENCE, HEADER, Row, Table, read_csv
from ganforge_datasets.text_files import parse_json, read_text

LABEL_COLUMNS = ("label", "labels", "class", "classes", "category", "categories", "tag", "tags", "target")
"""Names of columns that hold the names of labels."""
TRUE = ("1", "1.0", "true", "t", "yes", "y")
FALSE = ("0", "0.0", "false", "f", "no", "n")
MINUS = ("-1", "-1.0")
"""Means no where 1 is yes and 0 does not occur, as in CelebA; next to 0 it means "not known"."""


def read_label_table(store: Store, name: str, matcher: Matcher, reading: Reading) -> Iterator[Label]:
    """The labels of a file of separated values. Raises `UserError` with file and line."""
    return labels_of(
        _with_header(read_csv(store.where(name), read_text(store, name)), matcher), matcher, reading
    )


def read_label_lines(store: Store, name: str, matcher: Matcher, reading: Reading) -> Iterator[Label]:
    """The labels of a file with one JSON object a line. Raises `UserError` with file and line."""
    file, records, text = store.where(name), list[tuple[object, Where]](), read_text(store, name)
    if text.lstrip().startswith("["):
        whole = parse_json(text, file)
        rows = whole if isinstance(whole, list) else [whole]
        return labels_of(
            table_of_records(file, [(row, partial(str, f"{file}:1")) for row in rows]), matcher, reading
        )
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            records.append((parse_json(line, file, number), partial(str, f"{file}:{number}")))
    return labels_of(table_of_records(file, records), matcher, reading)


def table_of_records(file: str, records: Sequence[tuple[object, Where]]) -> Table:
    """Records such as `{"file_name": "a.png", "label": "cat"}` as a table; what one lacks is empty."""
    header = dict[str, None]()
    for record, where in records:
        if not isinstance(record, dict):
            raise UserError(f'{where()}: expected an object such as {{"file_name": "a.png", "label": "cat"}}')
        header.update(dict.fromkeys(record))
    if len(header) < 2 and records:
        raise UserError(
            f"{records[0][1]()}: has the key {', '.join(header) or '(none)'} alone; expected "
            '{"file_name": "a.png", "label": "cat"}'
        )
    rows = []
    for record, where in records:
        assert isinstance(record, dict)
        rows.append(Row([_cell(record.get(key), key, where) for key in header], where))
    return Table(file, 1, [nfc(key.strip()) for key in header], rows)


def _cell(value: object, key: str, where: Where) -> Value:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return nfc(str(value).strip())
    if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
        return [str(each) for each in value]
    raise UserError(f"{where()}: '{key}' is {value!r:.60}; expected a label or a list of labels")


def _with_header(table: Table, matcher: Matcher) -> Table:
    """The table with the names of its columns, where the first line is an image already."""
    named = [index for index, cell in enumerate(table.header) if _names_image(cell, matcher)]
    if not named:
        return table
    where = partial(str, f"{table.file}:{table.line}")
    if len(table.header) != 2:
        raise UserError(
            f"{where()}: is an image already; the first line should name the columns, 'file' and each label"
        )
    header = ["label", "label"]
    header[named[0]] = "file"
    return table._replace(header=header, rows=[Row(list(table.header), where), *table.rows])


def labels_of(table: Table, matcher: Matcher, reading: Reading) -> Iterator[Label]:
    """The label of each row; `reading` learns the labels that are columns. Raises `UserError`."""
    if not table.rows:
        return iter(())
    images = _image_column(table, matcher)
    files = [cell if isinstance(cell, str) else "" for cell in table.column(images)]
    table = _without_index(table.without(images), reading)
    named = [index for index, name in enumerate(table.header) if name.lower() in LABEL_COLUMNS]
    if len(table.header) > 1 and len(named) == 1 and _not_boolean(table) is not None:
        others = [name for index, name in enumerate(table.header) if index != named[0]]
        reading.said.append(
            f"{table.file}: labels are those of '{table.header[named[0]]}'; not used: {', '.join(others)}"
        )
        table = table.without(*(index for index in range(len(table.header)) if index != named[0]))
    names = _names_in(table, reading) if len(table.header) == 1 else _columns_of(table, reading)
    return (
        Label(file, labels, row.where) for file, labels, row in zip(files, names, table.rows, strict=True)
    )


def _without_index(table: Table, reading: Reading) -> Table:
    """Without a column of row numbers, as pandas writes it: whole numbers without a name, which are not in
    order where rows were drawn, or consecutive ones that are called index or id."""
    for index, name in enumerate(table.header):
        unnamed = not name or name.lower().startswith("unnamed:")
        if not unnamed and name.lower() not in ("index", "id", "idx"):
            continue
        cells = table.column(index)
        empty = all(cell == "" for cell in cells)
        index_like = _distinct(cells) if unnamed else _consecutive(cells)
        if len(table.header) > 1 and (empty or index_like):
            if not empty:
                reading.said.append(f"{table.file}: a column '{name}' of row numbers is not used")
            return table.without(index)
    if "" in table.header:
        raise UserError(f"{table.file}:{table.line}: {HEADER}; a column has no name")
    return table


def _distinct(cells: Sequence[Value]) -> bool:
    numbers = {cell for cell in cells if isinstance(cell, str) and re.fullmatch(r"\d{1,18}", cell)}
    return len(numbers) == len(cells)


def _consecutive(cells: Sequence[Value]) -> bool:
    first = cells[0]
    if not isinstance(first, str) or not re.fullmatch(r"\d{1,18}", first):
        return False
    return all(cell == str(int(first) + row) for row, cell in enumerate(cells))


def _image_column(table: Table, matcher: Matcher) -> int:
    """The column whose cells name images; else the first one, which may lack the suffixes."""
    hits = [
        sum(_names_image(cell, matcher) for cell in table.column(index)[:EVIDENCE])
        for index in range(len(table.header))
    ]
    return hits.index(max(hits))


def _names_image(cell: Value, matcher: Matcher) -> bool:
    """Whether it is the name of an image that is there, with its suffix: a bare number may be anything."""
    return isinstance(cell, str) and "." in cell and matcher.find(cell) is not None


def _names_in(table: Table, reading: Reading) -> list[list[str]]:
    """The labels that the cells of the only column name; or whether they have the label that it is."""
    (column,) = table.header
    cells = _whole_numbers(table.column(0))
    is_label = reading.kind == "many_of_k" and column.lower() not in LABEL_COLUMNS[:-1]
    if is_label and _not_boolean(table) is None and reading.names in ((), (column,)):
        names = _columns_of(table, reading)
        carried = sum(map(len, names))
        reading.said.append(
            f"{table.file}: '{column}' is one label, which {carried:,} of {len(names):,} images have; for "
            f'classes 0 and 1 say label_kind = "one_of_k" and name them'
        )
        return names
    if reading.kind == "many_of_k" or (not reading.names and reading.splits_bars(cells)):
        return reading.split(cells)
    return [_one(cell) for cell in cells]


def _one(cell: Value) -> list[str]:
    if isinstance(cell, list):
        return [nfc(name) for name in cell]
    return [cell] if cell else []


def _whole_numbers(cells: Sequence[Value]) -> list[Value]:
    """Numbers without the `.0` that pandas adds where one is missing; anything else as it is."""
    texts = [cell for cell in cells if cell]
    if texts and all(isinstance(cell, str) and re.fullmatch(r"\d+\.0", cell) for cell in texts):
        return [cell.removesuffix(".0") if isinstance(cell, str) else cell for cell in cells]
    return list(cells)


def _not_boolean(table: Table) -> tuple[int, Row] | None:
    """The column and the row of the first cell that is neither yes nor no; None where all are."""
    for row in table.rows:
        for index, cell in enumerate(row.cells):
            if not isinstance(cell, str) or cell.lower() not in (*TRUE, *FALSE, *MINUS):
                return index, row
    return None


def _columns_of(table: Table, reading: Reading) -> list[list[str]]:
    """The labels whose columns say yes."""
    found = _not_boolean(table)
    if found is not None:
        index, row = found
        raise UserError(f"{row.where()}: {_complaint(table, index, row.cells[index])}")
    _refuse_unknowns(table)
    reading.known.update(dict.fromkeys(table.header, partial(str, f"{table.file}:{table.line}")))
    if len(reading.known) < len(table.header):
        raise UserError(f"{table.file}:{table.line}: {HEADER}")
    return [
        [name for name, cell in zip(table.header, row.cells, strict=True) if str(cell).lower() in TRUE]
        for row in table.rows
    ]


def _complaint(table: Table, index: int, cell: Value) -> str:
    column = table.header[index]
    if cell == "":
        return f"'{column}' is empty; write 0 or 1"
    if all(cell in ("", *TRUE, *FALSE) for cell in table.column(index)[:1]) or len(table.header) > 1:
        return f"'{column}' is '{cell}', not 0 or 1 (a column of label names is called 'label')"
    return f"'{column}' is '{cell}', not 0 or 1"


def _refuse_unknowns(table: Table) -> None:
    """-1 is no where there is no 0; next to 0 it means something else."""
    minus = next((row for row in table.rows if any(cell in MINUS for cell in row.cells)), None)
    if minus is not None and any(str(cell).lower() in FALSE for row in table.rows for cell in row.cells):
        raise UserError(
            f"{minus.where()}: has -1 where other cells are 0; which of the two means no, and what does the "
            "other mean? Write 0 or 1"
        )
