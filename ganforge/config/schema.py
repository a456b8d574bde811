"""The type of a run file, generated from the registry.

A run file cannot be validated before the installed components are known. The engine is written against
the static `RunConfig`; `narrow` makes the type of one given file, in which each section is exactly the
component it names, and `run_schema` the type of all files, in which each section is the union of what
is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from functools import reduce
from operator import or_
from types import GenericAlias
from typing import Annotated, Any, NamedTuple

from pydantic import Field, PrivateAttr, create_model

from ganforge.api import (
    KINDS,
    Architecture,
    Callback,
    Component,
    Dataset,
    Loss,
    Metric,
    Prior,
    Task,
    Term,
    Tracker,
)
from ganforge.components.faults import KIND_NOUNS
from ganforge.components.registry import Registry
from ganforge.config.locate import Path
from ganforge.config.nested import nested_kinds, with_exact
from ganforge.config.origin import Origin
from ganforge.config.sections import (
    Ema,
    Health,
    Init,
    LearningRate,
    Logging,
    PlayerConfig,
    Section,
    Train,
    Wandb,
)

LISTS = ("terms", "callbacks", "metrics", "trackers")
PLAYERS = ("generator", "discriminator")
SINGLE = ("data", "prior", "nets", "task", "loss")
DEFAULTS = {"prior": "normal", "task": "generate", "loss": "bce", "optimizer": "adam"}
"""Defaults of absent sections; `data` and `nets` are required."""


class RunConfig(Section):
    """A run file with all defaults filled in."""

    data: Dataset = Field(description="The data set.")
    prior: Prior = Field(description=f"The distribution of the latent; absent = {DEFAULTS['prior']}.")
    nets: Architecture = Field(description="The generator and the discriminator.")
    task: Task = Field(
        description="The networks involved, and what the critics compare; absent = "
        f"{DEFAULTS['task']}, a plain GAN."
    )
    loss: Loss = Field(description=f"The adversarial loss; absent = {DEFAULTS['loss']}.")
    terms: tuple[Term, ...] = Field((), description="Additional terms of the players' objectives.")
    callbacks: tuple[Callback, ...] = Field(
        (), description="Callbacks that act on a network after its updates."
    )
    metrics: tuple[Metric, ...] = Field((), description="Metrics of the generator, computed during training.")
    trackers: tuple[Tracker, ...] = Field((), description="Where the run is recorded as well.")
    generator: PlayerConfig = Field(description="The generator's settings.")
    discriminator: PlayerConfig = Field(description="The discriminator's settings.")
    init: Init = Field(Init(), description="First weights, and what does not learn.")
    train: Train = Field(Train(), description="Length, batch size, precision and device of training.")
    lr: LearningRate = Field(LearningRate(), description="The schedule of both learning rates.")
    ema: Ema = Field(Ema(), description="The moving average of the generator.")
    logging: Logging = Field(Logging(), description="What is logged, and how often.")
    health: Health = Field(Health(), description="What to do when training fails.")
    wandb: Wandb = Field(Wandb(), description="The mirror on Weights & Biases.")

    _renamed: tuple[str, ...] = PrivateAttr(())
    _origin: Origin | None = PrivateAttr(None)

    @property
    def renamed(self) -> tuple[str, ...]:
        """A line for each key that the run file has under a former name."""
        return self._renamed

    @property
    def origin(self) -> Origin | None:
        """The run file; None for a config that no file describes."""
        return self._origin


class Mistake(NamedTuple):
    """A mistake at a path in the file."""

    path: Path
    message: str


def narrow(document: Mapping[str, Any], registry: Registry) -> tuple[type[RunConfig], list[Mistake]]:
    """The exact type of this file, and the mistakes in the components it names.

    A section whose component is unknown is not checked further, so that mistakes in the others are
    still found.
    """
    mistakes: list[Mistake] = []
    sections: dict[str, Any] = {}

    def component(table: Any, kind: str, path: Path) -> Any:
        found = _component(table, kind, path, registry)
        if isinstance(found, Mistake):
            mistakes.append(found)
            return Any
        return found

    for kind in SINGLE:
        if kind in document:
            sections[kind] = (component(document[kind], kind, (kind,)), _info(kind))
        elif kind in DEFAULTS:
            sections[kind] = _default(kind, registry)
    for kind in LISTS:
        tables = document.get(kind)
        if isinstance(tables, list) and tables:
            members = tuple(component(table, kind, (kind, i)) for i, table in enumerate(tables))
            sections[kind] = (GenericAlias(tuple, members), _info(kind))
    for side in PLAYERS:
        table = document.get(side)
        given = table.get("optimizer") if isinstance(table, dict) else None
        optimizer: Any = _default("optimizer", registry)
        if given is not None:
            optimizer = (component(given, "optimizer", (side, "optimizer")), ...)
        sections[side] = _player(optimizer, side)
    return _run_config(sections), mistakes


def named_components(
    document: Mapping[str, Any], registry: Registry
) -> Iterator[tuple[type[Component], dict[str, Any]]]:
    """The class and the table of every existing component that the file names."""
    tables = [(kind, document[kind]) for kind in SINGLE if kind in document]
    for kind in LISTS:
        if isinstance(document.get(kind), list):
            tables += [(kind, table) for table in document[kind]]
    for side in PLAYERS:
        if isinstance(document.get(side), dict):
            tables.append(("optimizer", document[side].get("optimizer")))
    for kind, table in tables:
        found = _component(table, kind, (kind,), registry)
        if not isinstance(found, Mistake):
            yield found, table


def run_schema(registry: Registry) -> dict[str, Any]:
    """The JSON Schema of a whole run file, with the components that are installed."""
    sections: dict[str, Any] = {}
    for kind in SINGLE:
        # A field of the static model would hide the union's discriminator.
        field = (
            _default(kind, registry)[1] if kind in DEFAULTS else Field(description=_info(kind).description)
        )
        sections[kind] = (_union(registry.of(kind).values(), kind), field)
    for kind in LISTS:
        union = _union(registry.of(kind).values(), kind)
        sections[kind] = (GenericAlias(tuple, (union, ...)), _info(kind))
    optimizers = _union(registry.of("optimizer").values(), "optimizer")
    for side in PLAYERS:
        sections[side] = _player((optimizers, _default("optimizer", registry)[1]), side)
    schema = _run_config(sections).model_json_schema()
    for definition in schema["$defs"].values():
        # pydantic allows a key with a default to be absent, but a table without `type` is meaningless.
        if "const" in definition.get("properties", {}).get("type", {}):
            definition["required"] = sorted({"type", *definition.get("required", [])})
    _to_draft_7(schema)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema, "title": "ganforge run file"}


def _to_draft_7(node: Any) -> None:
    """Tuples in terms of draft 7, which TOML editors support; changes `node`."""
    if isinstance(node, dict):
        if "prefixItems" in node:
            node["items"] = node.pop("prefixItems")
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            _to_draft_7(inner)


def _run_config(sections: dict[str, Any]) -> type[RunConfig]:
    create: Any = create_model
    model: type[RunConfig] = create("RunConfig", __base__=RunConfig, **sections)
    return model


def _component(table: Any, kind: str, path: Path, registry: Registry) -> type[Component] | Mistake:
    if not isinstance(table, dict):
        return Mistake(path, f"expected a table, got {table!r:.60}")
    installed = ", ".join(sorted(registry.of(kind)))
    if "type" not in table:
        return Mistake(path, f"the key 'type' is missing (one of: {installed})")
    name = table["type"]
    if not isinstance(name, str):
        return Mistake((*path, "type"), f"expected a name (one of: {installed}), got {name!r:.60}")
    if (kind, name) in registry.clashes:
        return Mistake((*path, "type"), registry.explain_clash(kind, name))
    if name not in registry.of(kind):
        return Mistake((*path, "type"), registry.explain_missing(kind, name))
    found = registry.of(kind)[name]
    inner: dict[str, Any] = {}
    for field, inner_kind in nested_kinds(found).items():
        # An absent one is found missing with the other keys.
        if field in table:
            exact = _component(table[field], inner_kind, (*path, field), registry)
            if isinstance(exact, Mistake):
                return exact
            inner[field] = exact
    return with_exact(found, inner) if inner else found


def _info(section: str) -> Any:
    # A copy: some releases of pydantic write the narrowed type into the field they are given.
    return copy(RunConfig.model_fields[section])


def _default(kind: str, registry: Registry) -> tuple[Any, Any]:
    """Type and field of an absent section; required if its default is not installed."""
    component = registry.of(kind).get(DEFAULTS[kind])
    description = f"The {KIND_NOUNS[kind]}; absent = {DEFAULTS[kind]}."
    if component is None:
        return KINDS[kind], Field(description=description)
    return component, Field(default_factory=component, description=description)


def _player(optimizer: tuple[Any, Any], side: str) -> tuple[Any, Any]:
    create: Any = create_model
    player = create("PlayerConfig", __base__=PlayerConfig, optimizer=optimizer)
    description = _info(side).description
    if optimizer[1] is ...:
        return player, Field(description=description)
    return player, Field(default_factory=player, description=description)


def _union(components: Iterable[type[Component]], kind: str) -> Any:
    """The components, discriminated by `type`; the kind itself if none is installed."""
    installed = [_spelled_out(each, list(components)) for each in components]
    if len(installed) < 2:
        return installed[0] if installed else KINDS[kind]
    union: Any = reduce(or_, installed)
    return Annotated[union, Field(discriminator="type")]


def _spelled_out(component: type[Component], same_kind: list[type[Component]]) -> type[Component]:
    """`component`, with all that may stand in its nested fields of its own kind but what nests itself."""
    plain = [each for each in same_kind if not nested_kinds(each)]
    inner = {
        field: _union(plain, kind)
        for field, kind in nested_kinds(component).items()
        if kind == component.kind
    }
    return with_exact(component, inner) if inner else component
