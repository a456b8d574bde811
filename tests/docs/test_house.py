"""The tests lie as the package does, and what several of them use lies in tests/support."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from support.paths import ROOT, TESTS

OF_NO_MODULE = {"acme_gan", "benchmarks", "docker", "docs", "experiments", "fuzz", "gpu", "support"}
"""Rooms for what is tested besides modules, or is no test."""


def rooms(tests: Path) -> set[Path]:
    """Every folder of test files, relative to `tests`."""
    return {file.parent.relative_to(tests) for file in tests.rglob("test_*.py")}


def counterpart(room: Path, root: Path) -> Path:
    """The folder of the code that the tests in `room` are of."""
    match room.parts:
        case ("plugins", name):
            own = root / "plugins" / f"ganforge-{name}"
            return own if own.is_dir() else root / "plugins" / name
    return root / "ganforge" / room


def astray(root: Path) -> list[str]:
    """Rooms of `root`/tests without a counterpart."""
    found = {room for room in rooms(root / "tests") if str(room) not in OF_NO_MODULE}
    return sorted(str(room) for room in found if room == Path() or not counterpart(room, root).is_dir())


def borrowed(file: Path) -> list[str]:
    """The modules that `file` imports though they are test files or a conftest."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from api import test_judge` names the test file behind `import`.
            modules += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in modules if name.rpartition(".")[2].startswith("test_") or "conftest" in name]


def test_every_room_is_one_of_the_code() -> None:
    assert astray(ROOT) == []


def test_a_room_without_code_is_found(tmp_path: Path) -> None:
    for folder in ("ganforge/api", "plugins/losses", "plugins/ganforge-fidelity"):
        (tmp_path / folder).mkdir(parents=True)
    names = ("api", "attic", "fuzz", "plugins/losses", "plugins/fidelity", "plugins/attic", "plugins", ".")
    for name in names:
        room = tmp_path / "tests" / name
        room.mkdir(parents=True, exist_ok=True)
        (room / "test_it.py").touch()
    assert astray(tmp_path) == [".", "attic", "plugins", "plugins/attic"]


def test_no_test_file_is_imported() -> None:
    assert {str(file): found for file in TESTS.rglob("*.py") if (found := borrowed(file))} == {}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from test_judge import noise", ["test_judge"]),
        ("import api.test_judge as judge", ["api.test_judge"]),
        ("from api import test_judge", ["api.test_judge"]),
        ("def f():\n    from conftest import ROOT", ["conftest", "conftest.ROOT"]),
        ("from support.judges import noise", []),
        ("from ganforge.testing import contest", []),
    ],
)
def test_an_imported_test_file_is_found(tmp_path: Path, line: str, found: list[str]) -> None:
    (tmp_path / "file.py").write_text(line)
    assert borrowed(tmp_path / "file.py") == found


MAX_FILE, MAX_FUNCTION = 300, 60
"""Lines."""


def too_long(file: Path) -> list[str]:
    """What of `file` has more lines than a reader should have to hold."""
    text = file.read_text()
    functions = [
        f"{node.name}: {lines} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION
    ]
    lines = len(text.splitlines())
    return [f"{lines} lines"] * (lines > MAX_FILE) + functions


def test_files_and_functions_are_short() -> None:
    files = [
        file
        for room in ("ganforge", "plugins", "tests", "docs", "examples")
        for file in (ROOT / room).rglob("*.py")
    ]
    assert {str(file.relative_to(ROOT)): found for file in files if (found := too_long(file))} == {}


def test_a_long_file_and_a_long_function_are_found(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    for lines, found in ((60, []), (61, ["f: 61 lines"])):
        file.write_text("def f():\n" + "    g()\n" * (lines - 1))
        assert too_long(file) == found
    file.write_text("x = 1\n" * 300)
    assert too_long(file) == []
    file.write_text("x = 1\n" * 301)
    assert too_long(file) == ["301 lines"]


def test_base_names_are_unique() -> None:
    """`pytest -k name`, and a failure's headline, mean one file."""
    names = Counter(file.name for file in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
