"""Label files, IDX files and cache entries, whole and damaged: data, or one message.

Caps: a label file has at most 64 MiB, an IDX file says that it holds at most 1 GiB, and takes no more than
it holds.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganforge.api import Samples
from ganforge_datasets.idx import read_idx
from ganforge_datasets.uint8_cache import cached
from support.contexts import context, refused
from support.fuzz import ANY_TEXT, MIB, answer, damaged, fuzz, json_values
from support.pictures import FILES, data, folder
from support.scratch import scratch

PLACE = scratch()
ROOT = folder(PLACE / "data", FILES)
IMAGES = [*FILES, "a.png", "c.png", "no.png", "", "../cat/a.png", "/cat/a.png", "cat//a.png", "cat\\a.png"]
NAMES = ("cat", "dog")
ANY_LABEL = st.sampled_from(NAMES) | ANY_TEXT


def opened(kind: str) -> Samples | str:
    """The data set with the label file in `ROOT`, or its error."""
    dataset = data(ROOT, labels="file", names=NAMES, label_kind=kind)
    found = answer(lambda: dataset.build("train", context(PLACE / "cache")))
    if isinstance(found, Samples):
        assert found.labels is not None and len(found.labels) == len(found.images)
        assert kind == "many_of_k" or (found.labels.sum(1) == 1).all()
    # The same file, for the list of its labels.
    answer(data(ROOT, labels="file").spec)
    return found


@pytest.fixture(autouse=True)
def no_label_files() -> None:
    for name in ("labels.json", "labels.csv"):
        (ROOT / name).unlink(missing_ok=True)


def put(name: str, content: bytes) -> None:
    for other in ("labels.json", "labels.csv"):
        (ROOT / other).unlink(missing_ok=True)
    (ROOT / name).write_bytes(content)


ENTRIES = st.dictionaries(
    st.sampled_from(IMAGES) | ANY_TEXT,
    ANY_LABEL | st.lists(ANY_LABEL, max_size=3) | json_values(ANY_LABEL),
    max_size=5,
)


@given(ENTRIES | json_values(ANY_LABEL), st.sampled_from(("one_of_k", "many_of_k")))
@fuzz(150)
def test_any_json(value: Any, kind: str) -> None:
    put("labels.json", json.dumps(value).encode())
    opened(kind)


WHOLE_JSON = json.dumps({name: name.split("/")[0] for name in FILES}, indent=1).encode()
ROWS = [["file", *NAMES], *([name, "10"["dog" in name], "01"["dog" in name]] for name in FILES)]
WHOLE_CSV = "".join(",".join(row) + "\n" for row in ROWS).encode()


@given(damaged(WHOLE_JSON), st.sampled_from(("one_of_k", "many_of_k")))
@fuzz(150)
def test_damaged_json(content: bytes, kind: str) -> None:
    put("labels.json", content)
    opened(kind)


@given(damaged(WHOLE_CSV), st.sampled_from(("one_of_k", "many_of_k")))
@fuzz(150)
def test_damaged_csv(content: bytes, kind: str) -> None:
    put("labels.csv", content)
    opened(kind)


CELLS = st.sampled_from(("file", "label", "0", "1", *IMAGES)) | ANY_LABEL


@given(st.lists(st.lists(CELLS, max_size=4), max_size=5), st.sampled_from(("\n", "\r\n", "\r")))
@fuzz(150)
def test_any_csv(rows: list[list[str]], end: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows(rows)
    put("labels.csv", text.getvalue().encode(errors="surrogatepass"))
    opened("many_of_k")


def test_the_undamaged_files_are_read() -> None:
    for name, content in (("labels.json", WHOLE_JSON), ("labels.csv", WHOLE_CSV)):
        put(name, content)
        assert isinstance(opened("one_of_k"), Samples)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("labels.csv", b"\ncat/a.png,1\n", ":2: label '1' is not one of data.names; the labels there are\nnames = [\"1\"]"),
        ("labels.csv", b"", ":1: should be 'file,label', or 'file' and the name of each label, once; it is empty"),
        ("labels.csv", b'file,label\n"' + b"x" * 200_000, ":2: is not CSV: field larger than field limit (131072)"),
        ("labels.json", b"[" * 100_000, ":1: is nested too deeply"),
        ("labels.json", b"9" * 5000, ":1: is not JSON: Exceeds the limit (4300 digits) for integer string conversion: "
         "value has 5000 digits; use sys.set_int_max_str_digits() to increase the limit"),
        ("labels.json", b'{"a\xff": 1}', ": is not UTF-8 text (byte 3); save it as UTF-8 (Excel: 'CSV UTF-8')"),
        ("labels.json", b'{"cat/a.png": "\\ud800"}', ":1: label '\ud800' is not one of data.names"),
    ],
)  # fmt: skip
def test_hostile_label_files(name: str, content: bytes, expected: str) -> None:
    put(name, content)
    assert refused(data(ROOT, labels="file", names=NAMES), PLACE / "cache") == f"{ROOT / name}{expected}"


IDX = struct.pack(">4B3I", 0, 0, 8, 3, 2, 3, 4) + bytes(24)


@given(damaged(IDX), st.booleans(), st.integers(1, 3))
@fuzz(200)
def test_damaged_idx(content: bytes, packed: bool, dimensions: int) -> None:
    file = PLACE / ("x.gz" if packed else "x.idx")
    file.write_bytes(gzip.compress(content) if packed else content)
    found = answer(lambda: read_idx(file, dimensions))
    if not isinstance(found, str):
        assert found.ndim == dimensions and found.nbytes == len(content) - 4 - 4 * dimensions


@given(damaged(gzip.compress(IDX, mtime=0)))
@fuzz(200)
def test_damaged_gzip(content: bytes) -> None:
    (PLACE / "y.gz").write_bytes(content)
    answer(lambda: read_idx(PLACE / "y.gz", 3))


def test_memory_of_an_idx_file_that_says_too_much() -> None:
    claims = struct.pack(">4B3I", 0, 0, 8, 3, 2**20, 2**5, 2**5)
    (PLACE / "most.gz").write_bytes(gzip.compress(claims + bytes(MIB)))
    (PLACE / "more.gz").write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 2**20, 2**5, 2**5 + 1)))
    tracemalloc.start()
    try:
        most = answer(lambda: read_idx(PLACE / "most.gz", 3))
        more = answer(lambda: read_idx(PLACE / "more.gz", 3))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most == (
        f"{PLACE}/most.gz should hold 1,073,741,824 bytes after its header and has only 1,048,576; copy it again"
    )
    assert more == f"{PLACE}/more.gz says it holds 1,107,296,256 bytes; more than 1,073,741,824 is refused"
    assert peak < 16 * MIB


ENTRY = io.BytesIO()
np.save(ENTRY, np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4))
FRESH = np.full((1, 2, 3, 4), 7, np.uint8)


@given(
    damaged(ENTRY.getvalue()) | st.sampled_from((b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x80\x04."))
)
@fuzz(100)
def test_a_damaged_cache_entry_is_made_anew(content: bytes) -> None:
    (PLACE / "key.npy").write_bytes(content)
    said: list[str] = []
    found = cached(PLACE, "key", (1, 2, 3, 4), "x", lambda: [FRESH], said.append)
    assert found.shape == (1, 2, 3, 4) and found.dtype == np.uint8
    assert (said == []) or (
        said == [f"data: {PLACE}/key.npy is damaged; rebuilding it"] and np.array_equal(found, FRESH)
    )
