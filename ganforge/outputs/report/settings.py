"""The settings of a run as the difference to its example, or to the defaults."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ganforge
from ganforge.outputs.report.html import details, table, text
from ganforge.outputs.report.records import Record

ABSENT = "-"
EXAMPLES = Path(ganforge.__file__).parents[1] / "examples"
"""In a checkout; an installed package has none."""


def settings(record: Record) -> str:
    """A table of what differs, and the whole file."""
    whole = details("config.toml, every default filled in", f"<pre>{text(record.config_text)}</pre>")
    found = _compared(record)
    if found is None:
        return whole
    name, base = found
    here = dict(leaves(record.config))
    rows = [
        [text(key), text(base.get(key, ABSENT)), text(here.get(key, ABSENT))]
        for key in dict.fromkeys([*base, *here])
        if base.get(key) != here.get(key)
    ]
    head = f"<p>Compared with {text(name)}:</p>"
    if not rows:
        return f"<p>No difference to {text(name)}.</p>{whole}"
    return head + table(["key", "there", "this run"], rows, "settings", f"Differences to {name}") + whole


def differences(records: Sequence[Record]) -> str:
    """Where several runs' settings differ, one run a column."""
    found = [dict(leaves(record.config)) for record in records]
    keys = list(dict.fromkeys(key for each in found for key in each))
    rows = [
        [text(key), *(text(each.get(key, ABSENT)) for each in found)]
        for key in keys
        if len({each.get(key) for each in found}) > 1
    ]
    if not rows:
        return "<p>The runs have the same settings.</p>"
    return table(
        ["key", *(r.name for r in records)], rows, "settings", "Settings that differ between the runs"
    )


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, value as in JSON); a table in an array has its index in its key."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{key}.{place}")
    elif value not in ([], ""):
        yield key, json.dumps(value, ensure_ascii=False, default=str)


def example_of(record: Record) -> Path | None:
    """The example that the run was started from, in this installation. The recorded path itself is never
    opened: a run folder from elsewhere could name any file."""
    line = record.info.get("run_command")
    try:
        words = shlex.split(line) if isinstance(line, str) else []
    except ValueError:
        return None
    for word in words:
        parts = Path(word).parts
        if word.endswith(".toml") and "examples" in parts and ".." not in parts:
            file = EXAMPLES.joinpath(*parts[len(parts) - parts[::-1].index("examples") :])
            return file if file.is_file() and not file.is_symlink() else None
    return None


def _compared(record: Record) -> tuple[str, dict[str, str]] | None:
    """What the run is compared with: its name and its leaves. None if plugins of the run are missing here."""
    from ganforge.api import UserError
    from ganforge.components.registry import discover
    from ganforge.config import dump, load
    from ganforge.config.load import validate

    registry = discover()
    example = example_of(record)
    try:
        if example is not None:
            name = f"examples/{example.relative_to(EXAMPLES).as_posix()}"
            return name, dict(leaves(dump(load(example, registry))))
        bare = _required(json.loads(json.dumps(record.config, default=str)), registry)
        return "the defaults of its components", dict(leaves(dump(validate(bare, registry, file="defaults"))))
    except (UserError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _required(document: dict[str, Any], registry: Any) -> dict[str, Any]:
    """Only the components, and the keys of them that have no default."""
    from ganforge.config.schema import LISTS, SINGLE

    def bare(kind: str, part: Mapping[str, Any]) -> dict[str, Any]:
        fields = registry.find(kind, part["type"]).model_fields
        return {k: v for k, v in part.items() if k == "type" or (k in fields and fields[k].is_required())}

    kept: dict[str, Any] = {kind: bare(kind, document[kind]) for kind in SINGLE if kind in document}
    for kind in LISTS:
        kept[kind] = [bare(kind, part) for part in document.get(kind, [])]
    for side in ("generator", "discriminator"):
        optimizer = document.get(side, {}).get("optimizer")
        if optimizer:
            kept[side] = {"optimizer": bare("optimizer", optimizer)}
    return kept
