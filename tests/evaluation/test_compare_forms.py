"""`compare` as Markdown, CSV and HTML: every form says the same."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from support.command_line import Done
from support.compared import compare, config, lines_of, make, metric, record
from support.html_page import Page


def test_csv_has_full_numbers_and_fingerprints(tmp_path: Path) -> None:
    make(tmp_path / "a", records=[record(metric(1 / 3))])
    make(tmp_path / "b", config(note='say "hi", twice'), records=[record(metric(None, samples=10_000))])
    done = compare(tmp_path, "a", "b", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(done.out)))
    assert list(found[0]) == ["run", "part", "name", "value", "std", "repeats", "remark", "fingerprint"]
    assert [list(line.values()) for line in found[:2]] == [
        ["a", "Evaluation", "fid", repr(1 / 3), "0.25", "3", "", f"{5000:016x}"],
        ["b", "Evaluation", "fid", "", "0.25", "3", "", f"{10_000:016x}"],
    ]
    assert {(line["run"], line["value"]) for line in found if line["name"] == "note"} == {
        ("b", 'say "hi", twice')
    }
    assert {line["value"] for line in found if line["name"] == "images/s"} == {"160.0"}


def test_html_stands_alone(tmp_path: Path) -> None:
    make(tmp_path / "a", config(note="<script>alert(1)</script>"), records=[record(metric())])
    make(tmp_path / "b", records=[record(metric(samples=10_000))])
    assert compare(tmp_path, "a", "b", "--out", "t.html") == Done(0, "t.html\n", "")
    text = (tmp_path / "t.html").read_text()
    page = Page(text)
    assert page.sources == []
    assert not page.tags & {"script", "link", "img"}
    assert "<script>alert(1)</script>" in page.shown
    assert "not comparable, fid [a] and [b]: generated 5,000 and 10,000" in page.shown
    assert "prefers-color-scheme: dark" in text


def test_markdown_stays_a_table(tmp_path: Path) -> None:
    make(tmp_path / "a|b", config(note="x|y\n`z`"))
    make(tmp_path / "c")
    assert lines_of(compare(tmp_path, "a|b", "c"), "| note") == ["| note | x\\|y \\`z\\` | - |"]


@pytest.mark.parametrize(
    ("name", "form"), [("t.csv", "csv"), ("t.HTML", "html"), ("t.md", "md"), ("t", "md"), ("t.txt", "md")]
)
def test_the_form_follows_the_file_name(tmp_path: Path, name: str, form: str) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b")
    assert compare(tmp_path, "a", "b", "--out", name) == Done(0, f"{name}\n", "")
    assert (tmp_path / name).read_text() == compare(tmp_path, "a", "b", "--format", form).out
    assert compare(tmp_path, "a", "b", "--out", name, "--format", "csv").code == 0
    assert (tmp_path / name).read_text().startswith("run,part,name")
