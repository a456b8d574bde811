"""`ganforge plugins`: which components are installed, and whether their plugins work."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ganforge.api import Component
    from ganforge.components.registry import Plugin, Registry

FAULTY = 1
"""Exit code of `plugins doctor` if a plugin cannot be used."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def plugins(context: click.Context, as_json: bool) -> None:
    """List every component with its plugin and version; 'plugins show KIND NAME' shows its keys."""
    if context.invoked_subcommand is None:
        _list(as_json)


@plugins.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List every component with its plugin and version."""
    _list(as_json)


@plugins.command()
@json_option
@click.argument("kind")
@click.argument("name")
def show(kind: str, name: str, as_json: bool) -> None:
    """Show component NAME of KIND: description, source, and its keys with types and defaults."""
    from ganforge.components.registry import discover

    registry = discover()
    component = registry.find(kind, name)
    if as_json:
        found = {"kind": kind, "name": name, "plugin": _plugin(registry.providers[component])}
        click.echo(json.dumps({**found, "schema": component.model_json_schema()}, indent=1))
        return
    click.echo(_show(registry, component))


@plugins.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check that every installed plugin imports and can be used, and how long its import takes.

    Exit code 0, or 1 if one cannot be used. 'ganforge plugin check NAME' checks its components.
    """
    from ganforge.components.registry import discover

    registry = discover()
    if as_json:
        click.echo(json.dumps(_report(registry), indent=1))
    else:
        for plugin in registry.plugins:
            count = sum(owner == plugin for owner in registry.providers.values())
            duration = registry.seconds.get(plugin, 0.0)
            click.echo(f"ok     {plugin}: {count} components, imported in {duration:.1f} s")
        for line in _troubles(registry):
            click.echo(f"FAULT  {line}")
        for warned in registry.warned:
            click.echo(f"note   {warned.plugin} {warned.warning}")
    if registry.broken or registry.clashes:
        sys.exit(FAULTY)


def _list(as_json: bool) -> None:
    from ganforge.components.registry import discover

    registry = discover()
    if as_json:
        click.echo(json.dumps(_report(registry), indent=1))
        return
    for kind, components in registry.components.items():
        for name, component in components.items():
            plugin = registry.providers[component]
            click.echo(f"{kind:10}  {name:22}  {plugin.distribution} {plugin.version}  ({plugin.name})")
    for line in _troubles(registry):
        click.echo(line, err=True)
    for warned in registry.warned:
        click.echo(f"{warned.plugin} {warned.warning}", err=True)


def _troubles(registry: Registry) -> list[str]:
    """Each plugin or name that cannot be used, in one line."""
    lines = [registry.explain_clash(kind, name) for kind, name in registry.clashes]
    return lines + [f"{broken.plugin} is not used: {broken.reason}" for broken in registry.broken]


def _report(registry: Registry) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "plugins": [
            {**_plugin(plugin), "seconds": round(registry.seconds.get(plugin, 0.0), 3)}
            for plugin in registry.plugins
        ],
        "components": [
            {"kind": kind, "name": name, "plugin": registry.providers[component].name}
            for kind, components in registry.components.items()
            for name, component in components.items()
        ],
        "broken": [{**_plugin(broken.plugin), "reason": broken.reason} for broken in registry.broken],
        "clashes": [registry.explain_clash(kind, name) for kind, name in registry.clashes],
        "warnings": [{**_plugin(warned.plugin), "warning": warned.warning} for warned in registry.warned],
    }


def _plugin(plugin: Plugin) -> dict[str, str]:
    return {"name": plugin.name, "distribution": plugin.distribution, "version": plugin.version}


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
