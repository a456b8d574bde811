"""`ganforge plugins`: which components are installed, and whether their plugins work."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import click

from ganforge.cli.options import as_json as json_option

if TYPE_CHECKING:
    from ganforge.api import Component
    from ganforge.components.registry import Plugin, Registry

FAULTY = 1
"""Exit code of `plugins doctor` if a plugin cannot be used."""


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
@click.argument("name", required=False)
def show(kind: str, name: str | None, as_json: bool) -> None:
    """Show component NAME of KIND: description, source, and its keys with types and defaults.

    Without NAME, list the components of KIND, each with the first lines of its description.
    """
    from ganforge.components.registry import discover

    registry = discover()
    if name is None:
        _show_kind(registry, kind, as_json)
        return
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

    # Its warnings, slow imports among them, are part of what is printed.
    registry = discover(lambda line: None)
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

    # Its warnings, slow imports among them, are part of what is printed.
    registry = discover(lambda line: None)
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


def _show_kind(registry: Registry, kind: str, as_json: bool) -> None:
    if kind not in registry.components:
        # Says which kinds there are.
        registry.find(kind, "")
    summaries = {
        name: " ".join(_description(component).split("\n\n")[0].split())
        for name, component in registry.of(kind).items()
    }
    if as_json:
        click.echo(json.dumps(summaries, indent=1))
        return
    width = max(map(len, summaries), default=0)
    for name, summary in summaries.items():
        click.echo(f"{name:{width}}  {textwrap.shorten(summary, 100 - width, placeholder=' ...')}".rstrip())


def _description(component: type[Component]) -> str:
    """The docstring of the class itself, not that of its kind; empty if it has none."""
    own = component.__doc__ != component.__mro__[1].__doc__
    return (component.__doc__ or "") if own else ""


def _show(registry: Registry, component: type[Component]) -> str:
    import inspect

    plugin = registry.providers[component]
    lines = [f"{component.kind} '{component.type_name()}', from {plugin}", ""]
    description = _description(component)
    if description:
        lines += [inspect.cleandoc(description), ""]
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
