"""Pages of the components: one for each, from its schema, docstring and source.

A page holds what the class has to say: its docstring, its keys with types, limits and defaults, a table for
a run file, the paper, the example files that use it, and the equations of docs/mathematics.md.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ganforge.api import Component
from ganforge.components.faults import KIND_NOUNS
from ganforge.components.registry import Plugin, Registry

ROOT = Path(__file__).resolve().parent.parent
MATHEMATICS = ROOT / "docs" / "mathematics.md"
LISTS = ("terms", "callbacks", "metrics", "trackers")
OF_PLAYERS = ("generator.optimizer", "discriminator.optimizer")
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
DOI = re.compile(r"doi:(10\.\S+?)(?=[,;)]|$)")


def registry() -> Registry:
    """The components of this repository, whatever else is installed."""
    modules = []
    for project in (ROOT / "pyproject.toml", *sorted((ROOT / "plugins").glob("*/pyproject.toml"))):
        if project.parent != ROOT:
            sys.path.append(str(project.parent))
        table = tomllib.loads(project.read_text())["project"]
        for name, module in table.get("entry-points", {}).get("ganforge", {}).items():
            plugin = Plugin(name, table["name"], table["version"])
            modules.append((plugin, importlib.import_module(module)))
    found = Registry.from_modules(modules)
    if found.broken:
        raise SystemExit(f"{found.broken[0].plugin}: {found.broken[0].reason}")
    return found


def component_pages(found: Registry) -> dict[str, str]:
    """Name of the page in the site -> its text: one per component, and an index per kind."""
    users, equations = uses(), formulas()
    pages = {}
    for kind, components in found.components.items():
        for name, component in components.items():
            pages[f"components/{kind}/{name}.md"] = page(
                component,
                found.providers[component],
                equations.get((kind, name), ""),
                users.get((kind, name), ()),
            )
        pages[f"components/{kind}/index.md"] = index(kind, components)
    pages["components/index.md"] = overview(found)
    return pages


def overview(found: Registry) -> str:
    """All kinds with their components."""
    lines = [
        "# Components",
        "",
        "Everything that a run file can name; `ganforge plugins` lists what is installed.",
    ]
    lines += ["| kind | section | components |", "|---|---|---|"]
    for kind, components in found.components.items():
        names = ", ".join(f"[{name}]({kind}/{name}.md)" for name in components)
        lines.append(f"| [{plural(kind)}]({kind}/index.md) | `{section(kind)}` | {names} |")
    return "\n".join(lines) + "\n"


def page(component: type[Component], plugin: Plugin, equations: str, users: tuple[str, ...]) -> str:
    """The page of one component."""
    kind, name = component.kind, component.type_name()
    home = component.__module__.replace(".", "/")
    parts = [f"# {name}", f"*{noun(kind).capitalize()}, from `{plugin.distribution}` {plugin.version}.*"]
    if documented(component):
        parts.append(escaped(inspect.cleandoc(component.__doc__ or "")))
    if equations:
        parts += ["## Equations", equations]
    parts += ["## In a run file", f"```toml\n{table(component)}\n```"]
    keys = "\n".join(rows(component))
    if keys:
        head = "| key | type | default | meaning |\n|---|---|---|---|\n"
        parts += ["## Keys", head + keys]
    parts += ["## Source", linked(escaped(component.source)) + ".", f"Code: `{home}.py`."]
    if users:
        shown = ", ".join(f"[{user}](../../examples/{user}.md)" for user in users)
        parts += ["## Examples", shown]
    return "\n\n".join(parts) + "\n"


def index(kind: str, components: Mapping[str, type[Component]]) -> str:
    """All components of a kind, each in a line."""
    lines = [f"# {plural(kind).capitalize()}", "", f"What `{section(kind)}` of a run file can name.", ""]
    lines += ["| type | |", "|---|---|"]
    for name, component in components.items():
        text = inspect.cleandoc(component.__doc__ or "") if documented(component) else ""
        first = re.split(r"(?<=[.:]) ", " ".join(text.split("\n\n")[0].split()))[0]
        lines.append(f"| [{name}]({name}.md) | {cell(first.rstrip(':'))} |")
    return "\n".join(lines) + "\n"


def documented(component: type[Component]) -> bool:
    """Whether the class has a docstring of its own, and not that of its kind."""
    return bool(component.__doc__) and component.__doc__ != component.__mro__[1].__doc__


def noun(kind: str) -> str:
    return KIND_NOUNS.get(kind, kind.removesuffix("s"))


def plural(kind: str) -> str:
    word = noun(kind)
    return f"{word}es" if word.endswith("s") else f"{word}s"


def section(kind: str) -> str:
    """The header of the kind's table in a run file."""
    return f"[[{kind}]]" if kind in LISTS else f"[{OF_PLAYERS[0] if kind == 'optimizer' else kind}]"


def table(component: type[Component]) -> str:
    """The component's table in a run file with all defaults; required and absent keys are comments."""
    lines = [section(component.kind), f'type = "{component.type_name()}"']
    for key, schema in keys(component).items():
        default = schema.get("default")
        if default is None:
            required = key in component.model_json_schema().get("required", ())
            lines.append(f"# {key} = ...{'  (required)' if required else ''}")
        else:
            lines.append(f"{key} = {toml(default)}")
    return "\n".join(lines)


def toml(value: Any) -> str:
    """A default as TOML: numbers with separators, inline tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000:
        return f"{value:_}"
    return json.dumps(value)


def rows(component: type[BaseModel]) -> Iterator[str]:
    """A row of the table of keys for each."""
    required = component.model_json_schema().get("required", ())
    for key, schema in keys(component).items():
        default = schema.get("default")
        shown = f"`{toml(default)}`" if default is not None else ("required" if key in required else "absent")
        yield f"| `{key}` | {cell(in_words(schema))} | {shown} | {cell(schema.get('description', ''))} |"


def keys(component: type[BaseModel]) -> dict[str, dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = component.model_json_schema()["properties"]
    return {key: schema for key, schema in properties.items() if key != "type"}


def in_words(schema: Mapping[str, Any]) -> str:
    """The type of a key: `number >= 0 or a ramp`."""
    if schema.get("title") == "Ramp":
        return "a ramp"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if "anyOf" in schema:
        members = [in_words(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(members))
    if "$ref" in schema:
        return "table"
    if "prefixItems" in schema:
        return "[" + ", ".join(in_words(each) for each in schema["prefixItems"]) + "]"
    words = {"array": "list", "object": "table", "boolean": "true or false"}
    word = words.get(schema.get("type", "value"), schema.get("type", "value"))
    if word == "list" and "items" in schema:
        return f"list of {in_words(schema['items'])}"
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<", "lt": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return f"{word} {', '.join(limits)}".rstrip()


def escaped(text: str) -> str:
    """Plain text as Markdown: no sign of a formula starts emphasis or a tag; `code` stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part[:1] == "`" else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    return re.sub(r"([*_|\[\]$])", r"\\\1", text).replace("<", "&lt;")


def cell(text: str) -> str:
    """`text` in a cell of a table."""
    return escaped(" ".join(text.split()))


def linked(source: str) -> str:
    """A source whose arXiv ids and DOIs are links."""
    source = ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", source)
    return DOI.sub(r"[doi:\1](https://doi.org/\1)", source)


def formulas() -> dict[tuple[str, str], str]:
    """(kind, type) -> its section in docs/mathematics.md: `### `type`` under the `## ` of its kind."""
    kinds = {plural(kind).capitalize(): kind for kind in KIND_NOUNS}
    found = {}
    for chapter in re.split(r"^## ", MATHEMATICS.read_text(), flags=re.MULTILINE)[1:]:
        title, _, rest = chapter.partition("\n")
        for part in re.split(r"^### ", rest, flags=re.MULTILINE)[1:]:
            heading, _, body = part.partition("\n")
            for name in re.findall(r"`(\w+)`", heading):
                found[kinds[title.strip()], name] = body.strip()
    return found


def uses() -> dict[tuple[str, str], tuple[str, ...]]:
    """(kind, type) -> the examples that name it, without suffix."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for file in sorted((ROOT / "examples").rglob("*.toml")):
        document = tomllib.loads(file.read_text())
        name = file.relative_to(ROOT / "examples").with_suffix("").as_posix()
        named = {(kind, each["type"]) for kind, each in tables(document) if "type" in each}
        for pair in sorted(named):
            found[pair] = (*found.get(pair, ()), name)
    return found


def tables(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(kind, table) of every component that a run file names."""
    for kind in KIND_NOUNS:
        value = document.get(kind, ())
        for each in [value] if isinstance(value, dict) else value:
            yield kind, each
            yield from ((kind, inner) for inner in each.values() if isinstance(inner, dict))
    for side in ("generator", "discriminator"):
        yield "optimizer", document.get(side, {}).get("optimizer", {})
