"""`ganforge check`, `ganforge plugins` and `ganforge schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ganforge.api import Component, LabelSpec
    from ganforge.components.registry import Registry
    from ganforge.config import RunConfig
    from ganforge.training.preflight import Preflight


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="As for 'ganforge run'.")
def check(config: Path, overrides: tuple[str, ...]) -> None:
    """Say whether CONFIG can run, how big it is and how long it will take; touches no data."""
    from ganforge.components.registry import discover
    from ganforge.config import load
    from ganforge.training.preflight import preflight

    settings = load(config, discover(), overrides)
    click.echo(describe(str(config), preflight(settings), settings))


def describe(name: str, found: Preflight, config: RunConfig) -> str:
    """The preflight in a few lines."""
    from ganforge.outputs.progress import duration

    shape = "x".join(str(side) for side in found.spec.shape)
    terms = "; without the terms" if config.terms else ""
    lines = [
        f"{name}: everything fits together",
        f"  data           {config.data.type}: {shape}, {_labels(found.spec.labels)}",
        f"  generator      {config.nets.type}: {found.g_parameters:,} parameters",
        f"  discriminator  {config.nets.type}: {found.d_parameters:,} parameters",
        f"  memory         about {found.memory_bytes / 2**30:.2f} GiB at batch {config.train.batch_size}, "
        "besides the data",
        f"  arithmetic     {found.flops_per_image / 1e9:.3g} GFLOP an image{terms}; "
        f"matrix rate here {found.device_flops / 1e9:,.0f} GFLOP/s",
        f"  time           about {duration(found.seconds)} for {config.train.images:,} images, "
        f"at {found.images_per_second:,.0f} images/s (half of the matrix rate)",
    ]
    return "\n".join(lines)


def _labels(labels: LabelSpec) -> str:
    if labels.kind == "none":
        return "no labels"
    kind = {"one_of_k": "one of", "many_of_k": "many of", "vector": "a vector of"}[labels.kind]
    return f"{kind} {labels.width} labels" + (f", at most {labels.most}" if labels.most else "")


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(context: click.Context) -> None:
    """List every component with its plugin and version; 'plugins show KIND NAME' tells its keys."""
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
    """Show what component NAME of KIND is, its source, and its keys with types and defaults."""
    from ganforge.components.registry import discover

    registry = discover()
    click.echo(_show(registry, registry.find(kind, name)))


def _show(registry: Registry, component: type[Component]) -> str:
    import inspect

    plugin = registry.providers[component]
    lines = [f"{component.kind} '{component.type_name()}', from {plugin}", ""]
    # A class without a docstring of its own would show that of its kind.
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
    """A JSON Schema type in the words of a TOML file."""
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])  # type: ignore[attr-defined]
    if "anyOf" in schema:
        members = [_type(each) for each in schema["anyOf"]]  # type: ignore[attr-defined]
        return " | ".join(member for member in members if member != "null")
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
