"""A TOML file plus `--set` overrides -> a validated `RunConfig`."""

from __future__ import annotations

import codecs
import contextlib
import copy
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import tomli_w
from pydantic import ValidationError

from ganforge.api import UserError
from ganforge.components.faults import blame
from ganforge.components.registry import Registry
from ganforge.config.explain import findings, report
from ganforge.config.locate import MAX_PARTS, Path, overlong_key
from ganforge.config.origin import Origin
from ganforge.config.plain import check_plain
from ganforge.config.renamed import as_written, lines, modernize
from ganforge.config.schema import SINGLE, Mistake, RunConfig, named_components, narrow
from ganforge.config.syntax_hints import hint

MAX_BYTES = 256 * 1024


def load(
    file: FilePath,
    registry: Registry,
    overrides: Sequence[str] = (),
    changes: Mapping[Path, Any] | None = None,
) -> RunConfig:
    """Reads and validates a run file; each override is `dotted.key=value`, value as in TOML, and each change
    a key by its parts with its value.

    Raises `UserError` with one line per mistake, `file:line: key: ...`.
    """
    text = _read(file)
    overlong = overlong_key(text)
    if overlong is not None:
        raise UserError(f"{file}:{overlong}: a key has more than {MAX_PARTS} parts")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _error_line(error, text)
        raise UserError(f"{file}:{line}: TOML syntax error: {error}{hint(text, line, file)}") from None
    except RecursionError:
        raise UserError(f"{file}: TOML syntax error: nested too deeply") from None
    except ValueError:
        # The parser's own errors are caught above; this one comes from Python's limit on digits.
        raise UserError(f"{file}: TOML syntax error: a number has thousands of digits") from None
    given: dict[Path, str] = {}
    for override in overrides:
        path, value = parse_override(override)
        _put(document, path, value, override)
        given[path] = override
    given |= _change(document, changes or {})
    return validate(document, registry, file=str(file), text=text, overrides=given)


def from_tables(tables: Mapping[str, Any], registry: Registry, changes: Mapping[Path, Any]) -> RunConfig:
    """Validates the tables of a run file, with some keys changed."""
    document = copy.deepcopy(dict(tables))
    return validate(document, registry, file="config", overrides=_change(document, changes))


def _change(document: dict[str, Any], changes: Mapping[Path, Any]) -> dict[Path, str]:
    """Sets the keys; returns each as it would be written after `--set`."""
    given = {
        path: f"{'.'.join(map(str, path))}={json.dumps(value, default=str)}"
        for path, value in changes.items()
    }
    for path, value in changes.items():
        _put(document, tuple(map(str, path)), value, given[path])
    return given


def validate(
    document: dict[str, Any],
    registry: Registry,
    *,
    file: str,
    text: str = "",
    overrides: dict[Path, str] | None = None,
) -> RunConfig:
    """Validates a parsed run file; `text` is its source, for the line numbers."""
    origin = Origin(file, text, overrides or {})
    refused = check_plain(document)
    if refused:
        raise UserError(report(refused, origin))
    document, former, mistakes = modernize(document)
    schema, unknown = narrow(document, registry)
    mistakes += unknown
    config: RunConfig | None = None
    try:
        # Via JSON: in strict mode only JSON input lets a TOML array become a tuple and a string a path.
        config = schema.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        mistakes += [_with_choices(mistake, registry) for mistake in findings(error, schema)]
    except Exception:
        # Only a component's own validator raises anything else: find the one that does.
        for component, table in named_components(document, registry):
            with blame(component, "validation"), contextlib.suppress(ValidationError):
                component.model_validate_json(json.dumps(table, default=str))
        raise
    if mistakes or config is None:
        mistakes = [as_written(mistake, former) for mistake in mistakes]
        raise UserError(report(mistakes, origin))
    config._renamed = lines(former)
    config._origin = origin if text or overrides else None
    return config


def _with_choices(mistake: Mistake, registry: Registry) -> Mistake:
    """What a missing table may be."""
    if mistake.message != "is missing" or len(mistake.path) != 1 or mistake.path[0] not in SINGLE:
        return mistake
    kind = str(mistake.path[0])
    choices = ", ".join(sorted(registry.of(kind)))
    return Mistake(mistake.path, f"is missing; add a table [{kind}] with type = one of: {choices}")


def parse_override(override: str) -> tuple[tuple[str, ...], Any]:
    """`train.batch_size=32` -> (("train", "batch_size"), 32); a value that is not TOML is a string."""
    key, equals, value = override.partition("=")
    parts = tuple(part.strip() for part in key.split("."))
    if not equals or not all(parts):
        raise UserError(f"--set {override}: expected KEY=VALUE, such as --set train.batch_size=32")
    try:
        found = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return parts, value.strip()
    # 1e5 is a float in TOML, and what people write for a number of images.
    if isinstance(found, float) and "e" in value.lower() and found.is_integer():
        return parts, int(found)
    return parts, found


def dump(config: RunConfig) -> dict[str, Any]:
    """The resolved run file as plain data, without the keys that are off (None)."""
    document: dict[str, Any] = json.loads(config.model_dump_json(exclude_none=True, serialize_as_any=True))
    return document


def dumps(config: RunConfig) -> str:
    """The resolved run file as TOML; loading it yields the same config."""
    return tomli_w.dumps(dump(config))


def _read(file: FilePath) -> str:
    try:
        with file.open("rb") as handle:
            # Bounded, because a device file has no end.
            content = handle.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UserError(f"{file}: expected a run file of at most {MAX_BYTES:,} bytes")
        text = _decoded(content).replace("\r\n", "\n")
        # TOML allows only these two line breaks; the one of old Macs can mean nothing else.
        return text if "\n" in text else text.replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: not UTF-8 text (byte {error.start}); save it as UTF-8 in your editor"
        ) from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None


def _decoded(content: bytes) -> str:
    """The text of a file, without its byte order mark, which says the encoding: Windows' editors write one
    in front of UTF-8, its PowerShell UTF-16."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    # Without a mark: in UTF-16 every other byte of such a file is 0, and in UTF-8 none is.
    for encoding, zeros in (("utf-16-le", content[1::2]), ("utf-16-be", content[::2])):
        if len(content) % 2 == 0 and zeros.count(0) > len(content) // 4:
            return content.decode(encoding)
    return content.decode("utf-8-sig")


def _put(document: dict[str, Any], path: tuple[str, ...], value: Any, override: str) -> None:
    """Sets `path`; a number indexes an array of tables, as in `terms.0.weight`."""
    inner: Any = document
    for depth, part in enumerate(path[:-1]):
        if isinstance(inner, list):
            inner = _member(inner, part, override)
        elif isinstance(inner, dict):
            inner = inner.setdefault(part, {})
        if not isinstance(inner, dict | list):
            raise UserError(f"--set {override}: {'.'.join(path[: depth + 1])} is a value, not a table")
    if isinstance(inner, list):
        raise UserError(
            f"--set {override}: {'.'.join(path[:-1])} is an array; name a key in one of its tables"
        )
    inner[path[-1]] = value


def _member(items: list[Any], part: str, override: str) -> Any:
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(items):
        raise UserError(
            f"--set {override}: '{part}' is not an index of an array of length {len(items)} (counted from 0)"
        )
    return items[int(part)]


def _error_line(error: tomllib.TOMLDecodeError, text: str) -> int:
    """The parser reports the line only in words: `(at line 3, column 7)` or `(at end of document)`."""
    told = re.search(r"\(at line (\d+), column \d+\)$", str(error))
    return int(told[1]) if told else text.rstrip("\n").count("\n") + 1
