"""A run in one line, and as a notebook shows it."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import Any, NamedTuple

from ganforge.api import DataSpec, UserError
from ganforge.files import read_regular
from ganforge.outputs.metrics_log import read_rows
from ganforge.outputs.run_folder import RunFolder

MAX_GRID_BYTES = 4 * 2**20
"""A notebook keeps what it shows; a larger grid stays where it is."""


class Card(NamedTuple):
    plain: str
    html: str


def card(run: RunFolder, spec: DataSpec) -> Card:
    """What was trained, how far, and the newest grid. All text in `html` is escaped."""
    config = run.read_config()
    names = [_in(config, key, "type") for key in ("nets", "data")]
    length = _in(config, "train", "images")
    rows = read_rows(run.metrics)
    seen = max((row["images_seen"] for row in rows if isinstance(row.get("images_seen"), int)), default=0)
    shape = "x".join(map(str, spec.shape))
    plain = (
        f"{names[0]} on {names[1]} ({shape}, {spec.labels.in_words()}), {seen:,} of "
        f"{length if isinstance(length, int) else 0:,} images seen"
    )
    found = f"<p><b>{html.escape(str(run.path))}</b><br>{html.escape(plain)}</p>"
    grids = run.grid_files()
    if grids:
        images, file = grids[-1]
        try:
            content = read_regular(file, MAX_GRID_BYTES)
        except (OSError, UserError):
            content = b""
        if content.startswith(b"\x89PNG"):
            picture = base64.b64encode(content).decode()
            found += f'<img alt="samples after {images:,} images" src="data:image/png;base64,{picture}">'
    return Card(plain, found)


def _in(config: Mapping[str, Any], table: str, key: str) -> Any:
    """A value of a config.toml that nobody has validated; None if it is absent."""
    found = config.get(table)
    return found.get(key) if isinstance(found, Mapping) else None
