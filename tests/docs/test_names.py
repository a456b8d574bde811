"""A parameter, field or function of the sources is called what the glossary in ARCHITECTURE.md calls it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT

INSTEAD = {
    "dim": "z_dim, or what else has the dimension",
    "latent": "z_dim for its size, z for the tensor",
    "Z": "z_dim",
    "data": "dataset, spec, samples, placement or real",
}
"""A name that has meant several things -> what is meant."""
QUANTITY = re.compile(r"_?(MOST|LEAST|FEW|MANY)(_|$)")
BRITISH = re.compile(r"optimis|normalis|colour|behaviour", re.IGNORECASE)
BYTES = {"bytes", "bytearray", "memoryview"}
"""What `data` may be: in Python's own library, too, it is the content of a file."""

ALLOWED = {
    ("ganforge/config/schema.py", "data"): "the section [data] of run files",
    ("ganforge/config/starter.py", "data"): "a key in the output of `ganforge new --json`",
    ("ganforge/api/judge/judge.py", "data"): "a key of judge.json, which stored judges have",
    ("ganforge/testing/parts.py", "data"): "the rule of the kind `data`",
    ("plugins/priors/ganforge_priors/normal.py", "dim"): "the key prior.dim of run files",
    ("plugins/priors/ganforge_priors/uniform.py", "dim"): "the key prior.dim of run files",
    ("plugins/priors/ganforge_priors/codes.py", "dim"): "the key prior.dim of run files",
    ("plugins/losses/ganforge_losses/auxiliary_classifier.py", "MANY_OF_K"): "the kind of labels, many_of_k",
}
"""(file, name) -> why it stays."""


def named(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """(name, annotation) of every parameter, class, function, field and attribute, and of every constant."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, annotation=kind):
                yield name, kind and ast.unparse(kind)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, None
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind):
                yield name, ast.unparse(kind)
            case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=kind):
                yield name, ast.unparse(kind)
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, None
            case ast.Name(id=name, ctx=ast.Store()) if name.isupper() or BRITISH.search(name):
                yield name, None


def wrong(source: str) -> dict[str, str]:
    """Each name in `source` that is not to be used -> what to call it."""
    found = {}
    for name, kind in named(ast.parse(source)):
        if QUANTITY.match(name):
            found[name] = "MAX_ or MIN_"
        elif BRITISH.search(name):
            found[name] = "American spelling, as in the keys"
        elif name in INSTEAD and not (name == "data" and kind in BYTES):
            found[name] = INSTEAD[name]
    return found


def sources() -> list[Path]:
    return [file for room in ("ganforge", "plugins") for file in sorted((ROOT / room).rglob("*.py"))]


def test_names_are_those_of_the_glossary() -> None:
    found = {
        (file, name): instead
        for path in sources()
        for name, instead in wrong(path.read_text()).items()
        if ((file := path.relative_to(ROOT).as_posix()), name) not in ALLOWED
    }
    assert found == {}


def test_every_exception_is_one() -> None:
    assert [key for key in ALLOWED if key[1] not in wrong((ROOT / key[0]).read_text())] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(dim: int): ...", ["dim"]),
        ("def f(*, latent=3): ...", ["latent"]),
        ("class A:\n    Z: int = 3", ["Z"]),
        ("class A:\n    def __init__(self, samples):\n        self.data = samples", ["data"]),
        ("class A:\n    def __init__(self, samples):\n        self.data: Samples = samples", ["data"]),
        ("def f(data: Samples | None): ...", ["data"]),
        ("def data(): ...", ["data"]),
        ("def f(data: bytes): ...", []),
        ("MOST_ROWS = 3", ["MOST_ROWS"]),
        ("class A:\n    LEAST: ClassVar[int] = 3", ["LEAST"]),
        ("_FEW = 3", ["_FEW"]),
        ("def f(optimiser): ...", ["optimiser"]),
        ("def normalise(): ...", ["normalise"]),
        ("def f():\n    colour = 1", ["colour"]),
        ("def f(z_dim, dataset, spec):\n    MAX_ROWS = 3\n    latent = draw()\n    torch.cat(x, dim=1)", []),
    ],
)
def test_a_wrong_name_is_found(source: str, expected: list[str]) -> None:
    assert sorted(wrong(source)) == expected
