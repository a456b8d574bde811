"""`compare` refuses damaged runs and senseless requests, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command_line import Done, contents
from support.compared import compare, make, metric, record


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        ({"config.toml": None}, "b is not a run folder: it has no config.toml; pass the folder that 'ganforge run' wrote"),
        ({"config.toml": "x = "}, "b/config.toml: not TOML: Invalid value (at end of document); restore the file that 'ganforge run' wrote"),
        ({"run.json": "{"}, "b/run.json: not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1); restore the file that 'ganforge run' wrote"),
        ({"metrics.jsonl": '{"images_seen": 1}\n{"ima\n{"images_seen": 2}\n'}, "b/metrics.jsonl:2: expected a JSON object on this line; remove the line and try again"),
        ({"metrics.jsonl": '{"images_seen": 1}\n[1]\n'}, "b/metrics.jsonl:2: expected a row of metrics; remove the line and try again"),
        ({"evaluations.jsonl": "{}\n"}, "b/evaluations.jsonl:1: expected the record of an evaluation; remove the line and try again"),
        ({"evaluations.jsonl": '{"images_seen": 1, "network": "ema", "metrics": [3]}\n'}, "b/evaluations.jsonl:1: expected the record of an evaluation; remove the line and try again"),
        ({"evaluations.jsonl": "x\n{}\n"}, "b/evaluations.jsonl:1: expected a JSON object on this line; remove the line and try again"),
    ],
)  # fmt: skip
def test_damaged_runs_are_refused(tmp_path: Path, spoil: dict[str, str | None], expected: str) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", records=[record(metric())])
    for name, text in spoil.items():
        if text is None:
            (tmp_path / "b" / name).unlink()
        else:
            (tmp_path / "b" / name).write_text(text)
    before = contents(tmp_path)
    assert compare(tmp_path, "a", "b", "--out", "t.md") == Done(2, "", f"{expected}\n")
    assert contents(tmp_path) == before


def test_other_mistakes(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b")
    assert compare(tmp_path, "a") == Done(2, "", "expected two or more run folders to compare\n")
    assert compare(tmp_path, "a", "b", "./a") == Done(2, "", "run folder a is listed twice\n")
    assert compare(tmp_path, "a", "none").err.startswith("none is not a run folder: ")
    assert compare(tmp_path, "a", "b", "--out", "no/t.md") == Done(
        2, "", "cannot write no/t.md: No such file or directory; choose another path with --out\n"
    )
