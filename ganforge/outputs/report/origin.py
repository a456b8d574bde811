"""Where a run comes from, how to run it again, and what to cite."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ganforge.outputs.report.html import command, details, items, paragraphs, table, text
from ganforge.outputs.report.records import Record


def origin(record: Record) -> str:
    """The provenance in words, and run.json as it is."""
    whole = table(
        ["key", "value"], [[text(k), text(v)] for k, v in flat(record.info)], "settings", "run.json"
    )
    return paragraphs(in_sentences(record)) + details("run.json, key by key", whole)


def in_sentences(record: Record) -> list[str]:
    """When, on what, with which versions, from which commit and data."""
    info = record.info
    where = info.get("gpu") or record.table("cpu").get("model")
    processes = info.get("processes")
    started = _date(info.get("started"))
    lines = [
        " ".join(
            part
            for part in (
                f"Started {started}" if started else "Trained",
                f"on {info['device']}" if isinstance(info.get("device"), str) else "",
                f"({where})" if isinstance(where, str) else "",
                f"in {processes} processes" if isinstance(processes, int) and processes > 1 else "",
                f"under {info['platform']}" if isinstance(info.get("platform"), str) else "",
            )
            if part
        )
        + "."
    ]
    versions = [f"{name} {version}" for name, version in record.table("packages").items()]
    own = f"ganforge {info['ganforge']}, " if isinstance(info.get("ganforge"), str) else ""
    if own or versions:
        lines.append(f"Software: {own}Python {info.get('python', '?')}, {', '.join(versions)}.")
    git = record.table("git")
    if isinstance(git.get("commit"), str):
        changed = ", with uncommitted changes that are not recorded" if git.get("dirty") else ""
        lines.append(f"Code: commit {git['commit'][:12]}{changed}.")
    if "seed" in info:
        lines.append(f"Seed {info['seed']}.")
    parameters = [f"{name} {n:,}" for name, n in record.table("parameters").items() if isinstance(n, int)]
    if parameters:
        lines.append(f"Trainable weights: {', '.join(parameters)}.")
    data = info.get("data")
    if isinstance(data, list) and data:
        lines.append("Data: " + "; ".join(str(line).removeprefix("data: ") for line in data[:8]) + ".")
    return lines


def reproduce(record: Record) -> str:
    """What to type to get the same run, and to use it."""
    quoted, steps = shlex.quote(record.name), []
    commit = record.table("git").get("commit")
    if isinstance(commit, str):
        steps.append(f"git checkout {shlex.quote(commit)}")
    version = record.info.get("ganforge")
    if not steps and isinstance(version, str):
        steps.append(f"pip install ganforge=={shlex.quote(version)}")
    steps.append(f"ganforge run {quoted}/config.toml --out again")
    line = record.info.get("run_command")
    started = f"<p>It was started as:</p>{command(line)}" if isinstance(line, str) else ""
    use = [f"ganforge sample {quoted} --n 16 --seed 7 --out samples.png", f"ganforge evaluate {quoted}"]
    return (
        f"<p>To train it again, from the run folder's own file:</p>{command(chr(10).join(steps))}{started}"
        f"<p>To use it:</p>{command(chr(10).join(use))}"
    )


def cite(record: Record) -> str:
    """An entry for the software, and what the components say of their source."""
    version = record.info.get("ganforge", "")
    year = str(record.info.get("started", ""))[:4]
    entry = [
        "@software{ganforge,",
        "  title = {ganforge: GANs from one validated file},",
        "  author = {{The ganforge developers}},",
        f"  version = {{{version}}},",
        *([f"  year = {{{year}}},"] if year.isdigit() else []),
        "}",
    ]
    sources = [f"{kind} {name}: {said}" for kind, name, said in _components(record)]
    listed = f"<p>Its components, with their sources:</p>{items(sources)}" if sources else ""
    return command("\n".join(entry)) + listed


def flat(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested tables flattened, with dotted keys."""
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _components(record: Record) -> Iterator[tuple[str, str, str]]:
    """Kind, name and first paragraph of the docstring of each component that is installed here."""
    from ganforge.components.registry import discover

    registry = discover()
    parts = [(kind, record.section(kind)) for kind in ("data", "prior", "nets", "loss")]
    for kind in ("terms", "callbacks", "metrics"):
        found = record.config.get(kind)
        parts += (
            [(kind, part) for part in found if isinstance(part, Mapping)] if isinstance(found, list) else []
        )
    seen = set()
    for kind, part in parts:
        name = part.get("type")
        of_kind = registry.components.get(kind, {})
        if isinstance(name, str) and name in of_kind and (kind, name) not in seen:
            seen.add((kind, name))
            said = " ".join((of_kind[name].__doc__ or "").split("\n\n")[0].split())
            yield kind.removesuffix("s") if kind in ("terms", "callbacks", "metrics") else kind, name, said


def _date(value: Any) -> str:
    try:
        return datetime.fromisoformat(value).strftime("on %d %B %Y at %H:%M %Z").strip()
    except (ValueError, TypeError):
        return ""
