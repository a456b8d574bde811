"""Progress of a run: a bar on a terminal, plain lines in a log file."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TextIO, TypeVar

from tqdm import tqdm

from ganforge.outputs.printable import printable

T = TypeVar("T")
PATIENCE_S = 2.0
"""Seconds a task may take before its progress is shown."""


LOG_FORMAT = "GANFORGE_LOG_FORMAT"
Style = Literal["text", "json", "quiet"]
"""text = a bar or lines; json = one JSON object per line; quiet = messages only."""
WIDE, NARROW = "{percentage:3.0f}%|{bar}| {n:,}/{total:,} images{postfix}", "{percentage:3.0f}%{postfix}"
NARROW_COLUMNS = 100
"""Below this width of the terminal the losses stand first, and the bar makes room for them."""
NOTEBOOK_COLUMNS = 110
"""Width of the bar where there is no terminal to ask."""


class Progress:
    """Progress of one run. On a terminal and in a notebook, a bar updated in place; elsewhere, one line per
    row."""

    def __init__(
        self, total_images: int, stream: TextIO | None = None, start: int = 0, deadline: float = math.inf
    ) -> None:
        """`start`: images seen already when a run is resumed. `stream` is stderr by default. `deadline`: the
        task ends by then, on the clock of `time.monotonic`."""
        self.total = total_images
        self.deadline = deadline
        self.stream: Any = _Display(sys.stderr if stream is None else stream)
        self._rate: float | None = None
        self._rates = 0
        self._losses: dict[str, str] = {}
        self._metric: dict[str, str] = {}
        self._start = start
        self._bar: tqdm[Any] | None = None
        """Made by the first update: what only says something has no bar."""

    def _made_bar(self) -> tqdm[Any] | None:
        if self._bar is None and style() == "text" and (self.stream.isatty() or in_notebook()):
            self._bar = tqdm(
                total=self.total,
                initial=self._start,
                unit="images",
                file=self.stream,
                dynamic_ncols=self.stream.isatty(),
                ncols=None if self.stream.isatty() else NOTEBOOK_COLUMNS,
                bar_format=WIDE,
            )
        return self._bar

    def update(self, images_seen: int, row: Mapping[str, Any]) -> None:
        """Moves to `images_seen` and shows the row; an empty row only moves the bar."""
        rate = row.get("images_per_second")
        self._rate = self._rate if rate is None else float(rate)
        self._rates += rate is not None
        if style() != "text":
            if row and style() == "json":
                self._write({"event": "row", "images": self.total, **row})
            return
        metrics = _figures(row, "metric/")
        self._metric = metrics or self._metric
        losses = {f"loss_{name}": value for name, value in _figures(row, "loss/").items()}
        # On the bar each value stays until there is a newer one: a row of metrics has no losses.
        self._losses = losses or self._losses
        bar = self._made_bar()
        if bar is not None:
            if row:
                kept = [f"{key} {value}" for key, value in (self._losses | self._metric).items()]
                # In a notebook there is no terminal to be narrow.
                columns = shutil.get_terminal_size().columns if self.stream.isatty() else NOTEBOOK_COLUMNS
                narrow = columns < NARROW_COLUMNS
                speed = self._rate_and_eta(images_seen)
                shown = _fitting([*kept, *reversed(speed)], columns - 8) if narrow else [*speed, *kept]
                bar.bar_format = NARROW if narrow else WIDE
                bar.set_postfix_str("  ".join(shown), refresh=False)
            bar.n = images_seen
            bar.refresh()
        elif row:
            shown = self._rate_and_eta(images_seen) + [f"{k} {v}" for k, v in (losses | metrics).items()]
            self.say("  ".join([f"{images_seen:,}/{self.total:,} images", *shown]))

    def say(self, line: str) -> None:
        """Prints one line, above the bar if there is one."""
        line = printable(line)
        if style() == "json":
            self._write({"event": "message", "text": line})
        elif self._bar is not None:
            self._bar.write(line, file=self.stream)
        else:
            self.stream.write(line + "\n")
            self.stream.flush()

    def close(self) -> None:
        """Closes the bar where it is."""
        if self._bar is not None:
            self._bar.close()

    def _rate_and_eta(self, images_seen: int) -> list[str]:
        if not self._rate:
            return []
        speed = f"{self._rate:,.1f} images/s"
        if self._rates < 2 and math.isinf(self.deadline):
            # The first row includes what happens once: allocation, compilation, autotuning.
            return [speed]
        left = min(max(0, self.total - images_seen) / self._rate, max(0.0, self.deadline - time.monotonic()))
        return [speed, f"eta {duration(left)}"]

    def _write(self, record: Mapping[str, Any]) -> None:
        """One line of JSON, which has no NaN: such values are null."""
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in record.items()
        }
        self.stream.write(json.dumps(finite) + "\n")
        self.stream.flush()


def _fitting(parts: Sequence[str], columns: int) -> list[str]:
    """As many of them as fit into a line, with two blanks in between."""
    shown = list(parts)
    while len(shown) > 1 and len("  ".join(shown)) > columns:
        shown.pop()
    return shown


def style() -> Style:
    """How progress is shown, as `GANFORGE_LOG_FORMAT` says; the command line sets it, and processes that a
    run starts inherit it."""
    wished = os.environ.get(LOG_FORMAT)
    return "json" if wished == "json" else "quiet" if wished == "quiet" else "text"


class _Display:
    """A stream that may fail: a closed terminal fails every write, which must not end the run."""

    def __init__(self, stream: TextIO) -> None:
        self.real = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self.real.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self.real.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def in_notebook() -> bool:
    """Whether a Jupyter kernel shows what this process writes; it honors carriage returns, without being a
    terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def track(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yields `items` with a bar on stderr if that takes longer than two seconds; the `Track` that
    data sets are given. In a log file the bar is a single line."""
    if sys.stderr.isatty() or in_notebook():
        yield from tqdm(items, desc=what, total=total, delay=PATIENCE_S, leave=False, file=sys.stderr)
        return
    start, told = time.monotonic(), False
    for done, item in enumerate(items):
        if not told and time.monotonic() - start > PATIENCE_S:
            told = True
            sys.stderr.write(f"{what}: {done:,} of {total:,}\n")
            sys.stderr.flush()
        yield item


def duration(seconds: float) -> str:
    """42s, 5m03s, 24h12m: the two largest units; hours do not roll over into days."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def throughput(seconds_per_image: float) -> str:
    """`1,240 images/s`, `0.34 images/s`, or from four seconds on `4.2 s per image`."""
    if seconds_per_image >= 4:
        figures = ",.0f" if seconds_per_image >= 10 else ".1f"
        return f"{seconds_per_image:{figures}} s per image"
    rate = 1 / seconds_per_image
    return f"{rate:,.0f} images/s" if rate >= 10 else f"{rate:.2g} images/s"


def _figures(row: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """The numbers under `prefix`, by the rest of their key, in short form."""
    return {
        key.removeprefix(prefix): _short(value)
        for key, value in row.items()
        if key.startswith(prefix) and isinstance(value, int | float)
    }


def _short(value: float) -> str:
    return f"{value:.2f}" if value == 0 or 0.1 <= abs(value) < 10_000 else f"{value:.3g}"
