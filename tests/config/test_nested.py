"""A component in a component: read, refused with its line, written down, described to editors."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.config import dump, load, run_schema
from ganforge.config.drift import changes
from ganforge_datasets.derived import Derived
from ganforge_datasets.mnist import MNIST
from support.toys import toy_registry

REGISTRY = toy_registry()
FILE = """
[data]
type = "derived"
condition = "edges"

[data.of]
type = "mnist"
image_size = 32

[nets]
type = "unet"
"""


def loaded(tmp_path: Path, text: str = FILE, *overrides: str) -> object:
    file = tmp_path / "run.toml"
    file.write_text(text)
    return load(file, REGISTRY, overrides)


def test_the_inner_component_is_what_it_names(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert isinstance(config.data, Derived)  # type: ignore[attr-defined]
    assert type(config.data.of) is MNIST  # type: ignore[attr-defined]
    assert config.data.of.image_size == 32  # type: ignore[attr-defined]
    assert config.data.provider  # type: ignore[attr-defined]
    assert dump(config)["data"]["of"]["type"] == "mnist"  # type: ignore[arg-type]
    assert config.data == loaded(tmp_path).data  # type: ignore[attr-defined]


def test_the_inner_keys_can_be_set_and_are_compared(tmp_path: Path) -> None:
    config = loaded(tmp_path, FILE, "data.of.image_size=28")
    (change,) = changes(loaded(tmp_path), config)  # type: ignore[arg-type]
    assert str(change) == "data.of.image_size: 32 -> 28"


def test_the_plugin_of_each_is_known(tmp_path: Path) -> None:
    data = loaded(tmp_path).data  # type: ignore[attr-defined]
    assert REGISTRY.provider(type(data)) == REGISTRY.provider(Derived)
    assert REGISTRY.provider(type(data.of)) == REGISTRY.provider(MNIST)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image_size = 32", "side = 32", "{file}:8: data.of.side: unknown key 'side' (keys: type, root, download, image_size, labelled)"),
        ("image_size = 32", "image_size = 0", "{file}:8: data.of.image_size: should be "),
        ('type = "mnist"', 'type = "mnits"', "{file}:7: data.of.type: no data set is called 'mnits'; did you mean 'mnist'?"),
        ('type = "mnist"', "", "{file}:6: data.of: the key 'type' is missing (one of: "),
        ('[data.of]\ntype = "mnist"\nimage_size = 32', "of = 3", "{file}:6: data.of: expected a table, got 3"),
        ('[data.of]\ntype = "mnist"\nimage_size = 32', "", "{file}:2: data.of: is missing"),
        ('condition = "edges"', 'condition = "lines"', "{file}:4: data.condition: should be"),
    ],
)  # fmt: skip
def test_mistakes_inside_are_told_with_their_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as refusal:
        loaded(tmp_path, FILE.replace(old, new))
    assert str(refusal.value).startswith(message.format(file=tmp_path / "run.toml"))


def test_data_sets_are_nested_as_deep_as_one_likes(tmp_path: Path) -> None:
    text = FILE.replace("[data.of]", '[data.of]\ntype = "derived"\ncondition = "low"\n[data.of.of]')
    assert type(loaded(tmp_path, text).data.of.of) is MNIST  # type: ignore[attr-defined]


def test_the_schema_has_the_inner_tables() -> None:
    schema = run_schema(REGISTRY)
    import jsonschema

    validator = jsonschema.Draft7Validator(schema)
    good = {
        "data": {"type": "derived", "condition": "grey", "of": {"type": "mnist", "image_size": 32}},
        "nets": {"type": "unet"},
    }
    assert list(validator.iter_errors(good)) == []
    good["data"]["of"]["side"] = 3  # type: ignore[index]
    assert list(validator.iter_errors(good)) != []
