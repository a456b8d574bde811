"""A tab with an exported page, and the pictures of `ganforge sample` to compare with."""

from __future__ import annotations

import base64
import contextlib
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganforge.export.serve import server
from support.command_line import call

LEVELS = 2
"""The largest difference between the page's pixels and PyTorch's, of 255."""


class Page:
    """A tab, with what it asked for and complained about."""

    def __init__(self, browser: Any, **context: Any) -> None:
        self.tab = browser.new_context(**context).new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("console", lambda line: self.complaints.append(line.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, address: str) -> Page:
        self.tab.goto(address)
        self.tab.wait_for_selector("body[data-drawn]", timeout=120_000)
        return self

    def close(self) -> None:
        self.tab.context.close()

    def does(self, action: Callable[[], object]) -> None:
        """Waits until the page has drawn what `action` led to."""
        before = int(self.tab.get_attribute("body", "data-drawn"))
        action()
        for _ in range(1200):
            if int(self.tab.get_attribute("body", "data-drawn")) > before:
                return
            self.tab.wait_for_timeout(50)
        raise AssertionError(f"nothing was drawn: {self.complaints}")

    def click(self, name: str) -> None:
        self.does(lambda: self.tab.get_by_role("button", name=name, exact=True).click())

    def fill(self, where: str, value: object) -> None:
        self.does(lambda: self.tab.fill(where, str(value)))

    def pixels(self, where: str = "#image") -> np.ndarray:
        text = self.tab.eval_on_selector(where, "canvas => canvas.toDataURL('image/png')")
        return read(io.BytesIO(base64.b64decode(text.partition(",")[2])))


def read(file: Path | io.BytesIO) -> np.ndarray:
    """A picture as integers [H, W, 3]."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def by_pytorch(place: Path, *options: object, run: str = "mine") -> list[np.ndarray]:
    """The pictures of `ganforge sample` of a run in the folder `place`."""
    out = place / f"samples{len(list(place.iterdir()))}"
    done = call(place, "sample", run, *options, "--out", out.name)
    assert done.code == 0, done.err
    return [read(file) for file in sorted(out.glob("*.png"))]


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder's page."""
    with server(folder, "127.0.0.1", 0) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/"
        serving.shutdown()
