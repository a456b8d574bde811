"""Comparison of runs: settings that differ, metrics reached, and cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.comparison.runs import Measured, RunRecord, user_error
from ganforge.outputs.comparison.table import Cell, Comparison, Row, Section
from ganforge.outputs.progress import duration

MARKS = "abcdefghijklmnopqrstuvwxyz"


def compare(folders: Sequence[Path], parts: bool = False) -> Comparison:
    """`parts`: include per-part values, such as the recall of one label. Raises `UserError` for fewer
    than two runs, and for a folder that is not a run or is damaged."""
    runs = [RunRecord.read(path, name) for path, name in zip(folders, _names(folders), strict=True)]
    notes: list[str] = []
    kinds = (
        ("Evaluation", [list(run.evaluated()) for run in runs]),
        ("During training", [list(run.in_training()) for run in runs]),
    )
    sections = [Section(title, _numbers(runs, found, parts, notes)) for title, found in kinds]
    sections += [Section("Cost", _cost(runs)), Section("Settings that differ", _settings(runs))]
    return Comparison(
        tuple(run.name for run in runs),
        tuple(section for section in sections if section.rows),
        (*_missing(runs), *notes),
    )


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' names; full paths as given if names are ambiguous."""
    if len(folders) < 2:
        raise user_error("expected two or more run folders to compare")
    places = [folder.absolute() for folder in folders]
    for folder, place in zip(folders, places, strict=True):
        if places.count(place) > 1:
            raise user_error(f"run folder {folder} is listed twice")
    names = [place.name for place in places]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _missing(runs: Sequence[RunRecord]) -> list[str]:
    notes = []
    for run in runs:
        if not run.evaluations:
            notes.append(f"{run.name} has no evaluations; add one with: ganforge evaluate {run.path}")
        elif run.untraceable:
            notes.append(
                f"{run.name}: {run.untraceable} metrics in {run.path / 'evaluations.jsonl'} lack a record of "
                f"what they depend on and are left out; measure them again: ganforge evaluate {run.path}"
            )
    return notes


def _numbers(
    runs: Sequence[RunRecord], found: Sequence[Sequence[Measured]], parts: bool, notes: list[str]
) -> tuple[Row, ...]:
    """One row per name and fingerprint, so that only comparable values share a row."""
    by_name: dict[str, dict[str, list[Measured | None]]] = {}
    for place, numbers in enumerate(found):
        for each in numbers:
            if parts or "/" not in each.name:
                kinds = by_name.setdefault(each.name, {})
                kinds.setdefault(each.fingerprint, [None] * len(runs))[place] = each
    rows, unlike = [], dict[str, list[str]]()
    for name, kinds in by_name.items():
        marks = [MARKS[place % len(MARKS)] for place in range(len(kinds))] if len(kinds) > 1 else [""]
        for mark, (fingerprint, measured) in zip(marks, kinds.items(), strict=True):
            cells = tuple(each.cell if each else None for each in measured)
            rows.append(Row(name, cells, mark, fingerprint))
            tools = sorted({each.tool for each in measured if each and each.tool})
            if len(tools) > 1:
                notes.append(f"{rows[-1].label} was measured with {' and '.join(tools)}")
        if len(kinds) > 1:
            firsts = [next(each for each in measured if each) for measured in kinds.values()]
            reason = _reason([each.depends_on for each in firsts])
            unlike.setdefault(f"{_listed([f'[{mark}]' for mark in marks])}: {reason}", []).append(name)
    notes += [f"not comparable, {', '.join(names)} {reason}" for reason, names in unlike.items()]
    return tuple(rows)


def _reason(conditions: Sequence[Mapping[str, Any]]) -> str:
    """The differences between what the values depend on."""
    if not all(conditions):
        return "their dependencies were not recorded in every run"
    flat = [flatten(each) for each in conditions]
    keys = sorted({key for each in flat for key in each})
    differing = [key for key in keys if len({json.dumps(each.get(key)) for each in flat}) > 1]
    return "; ".join(f"{key} {_listed([_brief(each.get(key)) for each in flat])}" for key in differing)


def _brief(value: Any) -> str:
    """Hashes by their first digits, counts with thousands separators."""
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:8] if len(text) == 64 and set(text) <= set("0123456789abcdef") else text


def _listed(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]])


def _cost(runs: Sequence[RunRecord]) -> tuple[Row, ...]:
    """What is recorded for at least one run."""
    figures: dict[str, Callable[[RunRecord], Cell | None]] = {
        "images seen": _images,
        "wall time": lambda run: _cell(_last(run, "seconds"), duration),
        "images/s": _rate,
        "device": lambda run: _text(run.info.get("gpu") or run.info.get("device")),
        "CPU": lambda run: _text(run.info.get("cpu", {}).get("model")),
        "processes": lambda run: _cell(run.info.get("processes"), str),
        "peak memory (MiB)": lambda run: _cell(_most(run, "peak_memory_mib"), _whole),
        "peak GPU memory (MiB)": lambda run: _cell(_most(run, "peak_gpu_memory_mib"), _whole),
        "parameters of G": lambda run: _cell(run.info.get("parameters", {}).get("generator"), _whole),
        "parameters of D": lambda run: _cell(run.info.get("parameters", {}).get("discriminator"), _whole),
        "ganforge": lambda run: _text(run.info.get("ganforge")),
        "torch": lambda run: _text(run.info.get("packages", {}).get("torch")),
        "started": lambda run: _text(run.info.get("started")),
    }
    rows = [Row(name, tuple(figure(run) for run in runs)) for name, figure in figures.items()]
    return tuple(row for row in rows if any(row.cells))


def _images(run: RunRecord) -> Cell | None:
    wanted, seen = run.config.get("train", {}).get("images"), run.images_seen
    cut_short = f"of {wanted:,}" if seen is not None and wanted and seen < wanted else ""
    return None if seen is None else Cell(f"{seen:,}", seen, remark=cut_short)


def _rate(run: RunRecord) -> Cell | None:
    """Over the whole run, including its metrics, grids and checkpoints."""
    timed = [row for row in run.rows if row.get("seconds")]
    return _cell(timed[-1]["images_seen"] / timed[-1]["seconds"], "{:,.1f}".format) if timed else None


def _last(run: RunRecord, key: str) -> float | None:
    return next((row[key] for row in reversed(run.rows) if row.get(key) is not None), None)


def _most(run: RunRecord, key: str) -> float | None:
    """Over all rows: a resumed run starts counting from 0."""
    return max((row[key] for row in run.rows if row.get(key) is not None), default=None)


def _cell(value: float | None, text: Callable[[float], str]) -> Cell | None:
    return None if value is None else Cell(text(value), value)


def _text(value: str | None) -> Cell | None:
    return None if value is None else Cell(value, value)


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _settings(runs: Sequence[RunRecord]) -> tuple[Row, ...]:
    """The keys of the run files whose values differ between runs."""
    flat = [flatten(run.config) for run in runs]
    rows = []
    for key in dict.fromkeys(key for each in flat for key in each):
        texts = [_setting(each[key]) if key in each else None for each in flat]
        if any(one != other for one, other in pairwise(texts)):
            rows.append(Row(key, tuple(Cell(text, text) if text else None for text in texts)))
    return tuple(rows)


def _setting(value: Any) -> str:
    return repr(value) if value == "" else value if isinstance(value, str) else json.dumps(value)


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables flattened, with dotted keys, without empty arrays. An array of tables is keyed by
    their types if these are unique, so that an additional term does not shift those after it."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, list) and item and all(isinstance(each, Mapping) for each in item):
            item = dict(zip(_keys(item), item, strict=True))
        if isinstance(item, Mapping):
            flat |= flatten(item, f"{prefix}{key}.")
        elif item != []:
            flat[prefix + key] = item
    return flat


def _keys(tables: Iterable[Mapping[str, Any]]) -> list[str]:
    tables = list(tables)
    types = [str(table.get("type")) for table in tables]
    return types if len(set(types)) == len(types) else [str(place) for place in range(len(types))]


def write(file: Path, text: str) -> None:
    """Writes the text atomically. Raises `UserError` if that fails."""
    try:
        write_bytes(file, text.encode())
    except OSError as error:
        raise user_error(f"cannot write {file}: {error.strerror}; choose another path with --out") from None
