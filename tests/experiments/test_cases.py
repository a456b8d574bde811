"""Every case that people brought, by one command: `python -m pytest -m slow tests/experiments/test_cases.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.cases import CASES, CASES_BY_NAME, fault_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CASES.is_dir(), reason="no cases: set GANFORGE_CASES to the folder that holds inputs/"
    ),
]


def test_every_case_is_run() -> None:
    assert {case.name for case in CASES.iterdir()} == set(CASES_BY_NAME)


@pytest.mark.parametrize("name", sorted(CASES_BY_NAME))
def test_case(tmp_path: Path, name: str) -> None:
    assert fault_of(name, tmp_path) == ""
