"""Rules about a component as a table of a run file."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import tomli_w
from pydantic import ValidationError

from ganforge.api import KINDS, UserError
from ganforge.testing.rules import require, rule
from ganforge.testing.subject import Subject
from ganforge.training.build import plan


@rule(
    "example",
    why="every other rule is tested in a small run, which must be valid.",
    fix="give the class `example: ClassVar[Mapping[str, Any]] = {...}`, the sections of a small run file "
    "that uses it, such as required keys or the prior that it needs.",
)
def example(subject: Subject) -> None:
    try:
        plan(subject.config).networks("meta")
    except UserError as error:
        require(False, f"the example cannot run: {error}")


@rule(
    "described",
    why="the component's help and the JSON Schema of a run file show these texts.",
    fix='write a docstring under the class line, and `key: float = Field(1.0, description="...")` for each '
    "key.",
)
def described(subject: Subject) -> None:
    component = subject.component
    base = KINDS[component.kind]
    own = [each.__doc__ for each in component.__mro__ if issubclass(each, base) and each is not base]
    require(any(own), f"class {component.__name__} has no docstring")
    silent = [key for key, info in component.model_fields.items() if key != "type" and not info.description]
    require(not silent, f"keys without a description: {', '.join(silent)}")


@rule(
    "frozen",
    why="the configuration is recorded at the start of a run; a component that changes its keys, or accepts "
    "unknown ones, is not the one on record.",
    fix="keep the base class's model_config; store what changes in `_name: Tensor = memory(...)`.",
)
def frozen(subject: Subject) -> None:
    instance = subject.instance
    for key in type(instance).model_fields:
        try:
            setattr(instance, key, getattr(instance, key))
        except ValidationError:
            continue
        require(False, f"key '{key}' can be assigned to")
    try:
        type(instance).model_validate({**instance.__dict__, "no_such_key": 1})
    except ValidationError as error:
        extra = any(each["type"] == "extra_forbidden" for each in error.errors())
        require(extra, "an unknown key is accepted")
    else:
        require(False, "an unknown key is accepted")


@rule(
    "round_trip",
    why="a run folder keeps the configuration as TOML and checkpoints keep it as JSON; both must load again.",
    fix="use plain types (numbers, strings, booleans, tuples, AbsolutePath, nested components) as keys, "
    "without validators that change the value.",
)
def round_trip(subject: Subject) -> None:
    instance = subject.instance
    plain = json.loads(instance.model_dump_json(exclude_none=True, serialize_as_any=True))
    written: Any = tomllib.loads(tomli_w.dumps(plain))
    for form, table in (("JSON", plain), ("TOML", written)):
        try:
            again = type(instance).model_validate_json(json.dumps(table))
        except ValidationError as error:
            require(False, f"what it writes as {form} is refused: {error.errors()[0]['msg']}")
        require(again == instance, f"loading what it writes as {form} gives another configuration")
    json.dumps(subject.component.model_json_schema())
