"""report.html: a whole run on one self-contained page that can be mailed and opened offline."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from ganforge.files import MOST_PICTURE, read_regular
from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.events import read_events
from ganforge.outputs.figures import render
from ganforge.outputs.metrics_log import read_rows
from ganforge.outputs.plots import draw_charts
from ganforge.outputs.progress import duration
from ganforge.outputs.report_style import CSS
from ganforge.outputs.run_folder import RunFolder

WIDEST = 1200
"""Pixels; wider grids are downscaled, or the page would be larger than the run's weights."""
SMALL = 400
"""Pixels; narrower grids are scaled up pixelated instead of blurred."""

Rows = Sequence[Mapping[str, Any]]


def write_report(run: RunFolder) -> Path:
    """Writes RUN/report.html atomically and returns its path. The page has no script and loads
    nothing from elsewhere; for a run in progress it is a snapshot."""
    rows, info = read_rows(run.metrics), run.read_info()
    title = escape(run.path.absolute().name)
    parts = [
        f"<header><h1>{title}</h1><p class='facts'>{escape(_facts(rows, info))}</p></header>",
        _warnings(rows, info, read_events(run.events)),
        _grids(run),
        _curves(rows),
        _recall(run),
        _section("Last values", _last_values(rows)),
        _section("Configuration", f"<pre>{escape(read_regular(run.config).decode(errors='replace'))}</pre>"),
        _section("Provenance", _table(_flat(info))),
    ]
    page = (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{title} - ganforge</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )
    write_bytes(run.report, page.encode(errors="backslashreplace"))
    return run.report


def _facts(rows: Rows, info: Mapping[str, Any]) -> str:
    """The run in one line: how far, how long, when, on what, from which commit."""
    facts = []
    if rows:
        facts.append(f"{rows[-1]['images_seen']:,} images seen")
    seconds = [row["seconds"] for row in rows if row.get("seconds") is not None]
    if seconds:
        facts.append(f"trained for {duration(seconds[-1])}")
    facts += [f"{key} {info[key]}" for key in ("started", "device") if isinstance(info.get(key), str)]
    commit = (info.get("git") or {}).get("commit")
    if commit:
        facts.append(f"commit {commit[:10]}")
    if "ganforge" in info:
        facts.append(f"ganforge {info['ganforge']}")
    return " · ".join(facts)


def _warnings(rows: Rows, info: Mapping[str, Any], events: Rows) -> str:
    found = [str(warning) for warning in info.get("warnings", [])]
    found += [
        f"{event.get('diagnosis', event['event'])} at {event['images_seen']:,} images: {event['what']}"
        for event in events
    ]
    lost: dict[str, list[int]] = {}
    for row in rows:
        for key in row.get("nonfinite", []):
            lost.setdefault(key, []).append(row["images_seen"])
    found += [
        f"{key} was not finite in {len(seen)} of {len(rows)} rows, first at {seen[0]:,} images"
        for key, seen in lost.items()
    ]
    if (info.get("git") or {}).get("dirty"):
        found.append("the working tree had uncommitted changes when the run started")
    if not rows:
        found.append("metrics.jsonl has no rows yet")
    items = "".join(f"<li>{escape(warning)}</li>" for warning in found)
    return f"<ul class='warnings'>{items}</ul>" if items else ""


def _grids(run: RunFolder) -> str:
    """The first, middle and last sample grid."""
    files = run.grid_files()
    shown = [files[index] for index in sorted({0, len(files) // 2, len(files) - 1})] if files else []
    figures = [
        f"<figure>{_picture(file, f'samples after {seen:,} images')}"
        f"<figcaption>after {seen:,} images</figcaption></figure>"
        for seen, file in shown
    ]
    return _section("Samples", f"<div class='side'>{''.join(figures)}</div>" if figures else "")


def _picture(file: Path, alt: str) -> str:
    data = read_regular(file, MOST_PICTURE)
    with Image.open(io.BytesIO(data)) as image:
        small = image.width < SMALL
        if image.width > WIDEST:
            smaller = io.BytesIO()
            height = round(image.height * WIDEST / image.width)
            image.resize((WIDEST, height), Image.Resampling.LANCZOS).save(smaller, format="PNG")
            data = smaller.getvalue()
    scaling = "small" if small else "large"
    return f"<img class='{scaling}' alt='{alt}' src='{_uri(data, 'image/png')}'>"


def _curves(rows: Rows) -> str:
    # As images rather than inline SVG: the ids of two inline SVGs would clash in one page.
    figures = [
        f"<figure><img class='curve' alt='{escape(chart.title)} against images seen' "
        f"src='{_uri(render(figure, 'svg'), 'image/svg+xml')}'></figure>"
        for chart, figure in draw_charts(rows)
    ]
    return _section("Curves", f"<div class='pairs'>{''.join(figures)}</div>" if figures else "")


def _recall(run: RunFolder) -> str:
    """The bar charts of the latest evaluations."""
    figures = [
        f"<figure>{_picture(file, 'recall of each label')}"
        f"<figcaption>{escape(file.stem.removesuffix('_recall'))}</figcaption></figure>"
        for file in sorted(run.plots.glob("*_recall.png"))
    ]
    return _section("Recall of each label", f"<div class='side'>{''.join(figures)}</div>" if figures else "")


def _last_values(rows: Rows) -> str:
    """A table of each metric's last value and when it was recorded."""
    last: dict[str, tuple[Any, int]] = {}
    for row in rows:
        for key, value in row.items():
            if key not in ("images_seen", "nonfinite"):
                last[key] = (value, row["images_seen"])
    lines = [
        f"<tr><th scope='row'>{escape(key)}</th><td class='number'>{_number(value)}</td>"
        f"<td class='number'>{seen:,}</td></tr>"
        for key, (value, seen) in sorted(last.items())
    ]
    columns = ("name", "value", "images seen")
    head = "".join(f"<th scope='col'>{column}</th>" for column in columns)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>" if lines else ""


def _number(value: Any) -> str:
    if value is None:
        return "not finite"
    return f"{value:.6g}" if isinstance(value, float) else escape(str(value))


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested tables flattened, with dotted keys."""
    flat: dict[str, str] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return flat


def _table(entries: Mapping[str, str]) -> str:
    lines = [f"<tr><th scope='row'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in entries.items()]
    return f"<table><tbody>{''.join(lines)}</tbody></table>" if lines else ""


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>" if content else ""


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
