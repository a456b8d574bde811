"""`ganforge check`, `ganforge plugins` and `ganforge schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ganforge.api import Component
    from ganforge.components.registry import Registry
    from ganforge.config import RunConfig
    from ganforge.profiling.preflight import Preflight


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="As for 'ganforge run'.")
@click.option("--data", "open_data", is_flag=True, help="Open the data as well, and report what is in them.")
def check(config: Path, overrides: tuple[str, ...], open_data: bool) -> None:
    """Check whether CONFIG can run, how large it is and how long it would take; opens no data without
    --data."""
    from ganforge.facade.training import check_file

    found = check_file(config, overrides)
    click.echo(str(found))
    if open_data:
        _open(found.config, found.preflight)


def _open(config: RunConfig, found: Preflight) -> None:
    """Opens the data and reports what a run would: what was taken, skipped and changed, and the labels."""
    from ganforge.outputs.cache import data_context
    from ganforge.training.build import load_samples

    samples = load_samples(config, found.spec, data_context(click.echo))
    click.echo(f"data: {len(samples):,} samples can be trained on")
    if samples.labels is not None and found.spec.labels.names:
        counts = samples.labels.gt(0.5).sum(0).tolist()
        carried = (f"{name} {count:,}" for name, count in zip(found.spec.labels.names, counts, strict=True))
        click.echo(f"data: samples per label: {', '.join(carried)}")
        bare = int((~samples.labels.gt(0.5).any(1)).sum())
        if bare:
            click.echo(f"data: {bare:,} samples carry no label")


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(context: click.Context) -> None:
    """List every component with its plugin and version; 'plugins show KIND NAME' shows its keys."""
    if context.invoked_subcommand is not None:
        return
    from ganforge.components.registry import discover

    registry = discover()
    for kind, components in registry.components.items():
        for name, component in components.items():
            plugin = registry.providers[component]
            click.echo(f"{kind:10}  {name:22}  {plugin.distribution} {plugin.version}  ({plugin.name})")
    for kind, name in registry.clashes:
        click.echo(registry.explain_clash(kind, name), err=True)
    for broken in registry.broken:
        click.echo(f"{broken.plugin} is not used: {broken.reason}", err=True)


@plugins.command()
@click.argument("kind")
@click.argument("name")
def show(kind: str, name: str) -> None:
    """Show component NAME of KIND: description, source, and its keys with types and defaults."""
    from ganforge.components.registry import discover

    registry = discover()
    click.echo(_show(registry, registry.find(kind, name)))


def _show(registry: Registry, component: type[Component]) -> str:
    import inspect

    plugin = registry.providers[component]
    lines = [f"{component.kind} '{component.type_name()}', from {plugin}", ""]
    # A class without its own docstring would show that of its kind.
    if component.__doc__ and component.__doc__ != component.__mro__[1].__doc__:
        lines += [inspect.cleandoc(component.__doc__), ""]
    if component.source:
        lines += [f"source: {component.source}", ""]
    properties = component.model_json_schema()["properties"]
    for key, info in component.model_fields.items():
        if key == "type":
            continue
        default = "required" if info.is_required() else json.dumps(properties[key].get("default"))
        lines.append(f"  {key}: {_type(properties[key])} = {default}")
        if info.description:
            lines.append(f"      {info.description}")
    return "\n".join(lines).rstrip()


def _type(schema: dict[str, object]) -> str:
    """A JSON Schema type in TOML terms."""
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])  # type: ignore[attr-defined]
    if "anyOf" in schema:
        members = [_type(each) for each in schema["anyOf"]]  # type: ignore[attr-defined]
        return " | ".join(member for member in members if member != "null")
    if "$ref" in schema:
        return "table"
    words = {"integer": "integer", "number": "number", "boolean": "true | false", "array": "array"}
    kind = str(schema.get("type", "value"))
    limits = [
        f"{sign} {schema[key]:g}"
        for key, sign in (
            ("minimum", ">="),
            ("exclusiveMinimum", ">"),
            ("maximum", "<="),
            ("exclusiveMaximum", "<"),
        )
        if key in schema
    ]
    return " ".join([words.get(kind, kind), *limits])


@click.command()
def schema() -> None:
    """Print the JSON Schema of a run file, for an editor's completion and checks."""
    from ganforge.components.registry import discover
    from ganforge.config import run_schema

    click.echo(json.dumps(run_schema(discover()), indent=1))
