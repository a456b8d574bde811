"""Assembles the page: one file, no request to anywhere, a content security policy with hashes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.report.curves import curves
from ganforge.outputs.report.evaluations import evaluations, last_values
from ganforge.outputs.report.films import GAP, films, img, stills
from ganforge.outputs.report.html import csp_hash, details, items, section, text
from ganforge.outputs.report.origin import cite, origin, reproduce
from ganforge.outputs.report.pictures import thumbnail
from ganforge.outputs.report.records import Record
from ganforge.outputs.report.settings import differences, settings
from ganforge.outputs.report.verdict import is_well, sentences
from ganforge.outputs.report.warnings import warnings
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from ganforge.api import UserError

MAX_BYTES = 9_500_000
"""Of a page by default: most mail servers take 10 MB."""
STYLES = ("uplot/uPlot.min.css", "report.css")
SCRIPTS = ("uplot/uPlot.iife.min.js", "charts.js", "films.js")
STILLS = 0.2
"""Share of a run's pictures for the pictures of its evaluations."""
TRIES = 4


def write_report(
    run: RunFolder, *others: RunFolder, out: Path | None = None, max_bytes: int = MAX_BYTES
) -> Path:
    """Writes the page of one or several runs atomically to `out` (RUN/report.html by default) and returns its
    path; for a run in progress it is a snapshot.

    Raises `UserError` if a folder is no readable run, or if the page exceeds `max_bytes` even without
    pictures.
    """
    runs = [run, *others]
    names = [each.path.absolute().name for each in runs]
    if len(set(names)) < len(names):
        names = [str(each.path) for each in runs]
    records = [Record.read(each, name) for each, name in zip(runs, names, strict=True)]
    drawn = curves(records)
    most = max_bytes
    for attempt in range(TRIES):
        # Base64 takes 4 bytes for 3, and the last picture of a film is in the page twice.
        pictures = 0 if attempt == TRIES - 1 else int(max(0, most - len(drawn)) * 0.6 / len(records))
        page = _page(records, drawn, pictures).encode("utf-8", errors="backslashreplace")
        if len(page) <= max_bytes:
            break
        most -= max(len(page) - max_bytes, most // 4)
    else:
        raise _user_error(
            f"the page takes {len(page) / 1e6:.1f} MB without any picture, but at most {max_bytes / 1e6:g} "
            "MB are allowed; raise --max-mb"
        )
    path = run.report if out is None else out
    write_bytes(path, page)
    return path


@cache
def asset(name: str) -> str:
    """A file of the page's style or script."""
    return files(__package__).joinpath("assets", *name.split("/")).read_text(encoding="utf-8")


def _page(records: Sequence[Record], drawn: str, most: int) -> str:
    styles, scripts = [asset(name) for name in STYLES], [asset(name) for name in SCRIPTS]
    policy = (
        f"default-src 'none'; img-src data:; style-src {' '.join(map(csp_hash, styles))}; "
        f"script-src {' '.join(map(csp_hash, scripts))}; base-uri 'none'; form-action 'none'"
    )
    title = text(", ".join(record.name for record in records))
    several = len(records) > 1
    parts = [
        section("verdict", "Verdict", *(_verdict(record, several) for record in records)),
        section("pictures", "Pictures", *_each(records, lambda r, p: films(r, p, int(most * (1 - STILLS))))),
        drawn,
        section(
            "evaluations", "Evaluations",
            *_each(records, lambda r, p: evaluations(r) + stills(r, int(most * STILLS))),
        ),
        section("differences", "Differences", differences(records)) if several else "",
        section("settings", "Settings", *_each(records, lambda r, p: settings(r))),
        section("provenance", "Provenance", *_each(records, lambda r, p: origin(r))),
        section("reproduce", "Reproduce", *_each(records, lambda r, p: reproduce(r))),
        section("cite", "Cite", *_each(records[:1], lambda r, p: cite(r))),
        section("values", "Values", *_each(records, lambda r, p: details("Last values", last_values(r)))),
    ]  # fmt: skip
    body = "\n".join(part for part in parts if part)
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{title} - ganforge</title>\n<link rel='icon' href='data:,'>\n"
        + "".join(f"<style>{style}</style>\n" for style in styles)
        + f"</head>\n<body>\n<a class='skip' href='#main'>Skip to the report</a>\n{_contents(parts)}\n"
        f"<main id='main'>\n<header><h1>{title}</h1></header>\n{body}\n</main>\n"
        + "".join(f"<script>{script}</script>\n" for script in scripts)
        + "</body>\n</html>\n"
    )


def _contents(parts: Sequence[str]) -> str:
    """Links to the sections that there are."""
    links = []
    for part in parts:
        if part:
            identity = part.split("'", 2)[1]
            heading = part.split("<h2>", 1)[1].split("</h2>", 1)[0]
            links.append(f"<li><a href='#{identity}'>{heading}</a></li>")
    return f"<nav aria-label='Contents'><ul>{''.join(links)}</ul></nav>"


def _each(records: Sequence[Record], content: Callable[[Record, str], str]) -> list[str]:
    """The content of each run, under its name if there are several."""
    found = []
    for place, record in enumerate(records):
        inner = content(record, f"run{place}")
        if inner and len(records) > 1:
            inner = f"<h3>{text(record.name)}</h3>{inner}"
        found.append(inner)
    return found


def _verdict(record: Record, several: bool) -> str:
    first, *rest = sentences(record)
    named = f"<strong>{text(record.name)}</strong>: " if several else ""
    picture = thumbnail(record, record.shape(), GAP)
    shown = img(picture, f"samples of {record.name} after {record.images_seen:,} images") if picture else ""
    kind = "well" if is_well(record) else "ill"
    lines = f"<p class='what'>{named}{text(first)}</p>" + "".join(f"<p>{text(line)}</p>" for line in rest)
    notes = items(warnings(record), "warnings")
    return f"<div class='verdict {kind}'><div>{lines}</div>{shown}</div>{notes}"


def _user_error(message: str) -> UserError:
    """Imported late, because its package imports torch."""
    from ganforge.api import UserError

    return UserError(message)
