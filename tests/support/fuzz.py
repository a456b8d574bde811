"""Property-based fuzzing: either success or a `UserError`, and neither a hang nor a flood of memory.

`GANFORGE_FUZZ=N` multiplies the examples of each target; the examples are the same ones every time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ganforge.api import UserError

T = TypeVar("T")
TIMES = int(os.environ.get("GANFORGE_FUZZ", "1"))
HANG_S = 60
"""A thousand times what an example takes; not a measure of speed."""
MIB = 2**20

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=12)
"""Any code points, lone surrogates and NUL among them."""

MEASURE = """
import resource, sys
{setup}
said = []
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for act in ({acts}):
    try:
        act()
        said.append("done")
    except UserError as error:
        said.append(str(error))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, said[-1])
"""


def fuzz(examples: int) -> settings:
    """This many examples, times `GANFORGE_FUZZ`."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


class Hang(BaseException):
    """Not an `Exception`, so that no code under test takes it for one of its own."""


@contextmanager
def no_hang() -> Iterator[None]:
    """Raises `Hang` out of what takes absurdly long."""

    def raised(number: int, frame: FrameType | None) -> None:
        raise Hang(f"still busy after {HANG_S} s")

    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGALRM, raised)
    signal.alarm(HANG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answer(act: Callable[[], T]) -> T | str:
    """What `act` gives, or the message of its `UserError`; anything else fails the test."""
    with no_hang():
        try:
            return act()
        except UserError as error:
            message = str(error)
    assert message.strip() and "Traceback" not in message
    # What is printed must be printable, whatever the input held.
    message.encode(errors="backslashreplace")
    return message


def peak_growth(setup: str, acts: list[str], *arguments: Path) -> list[tuple[float, str]]:
    """For each of `acts`, run one after the other in a fresh process: (MiB by which it has grown at most
    since the first, what came of it)."""
    program = MEASURE.format(setup=setup, acts="".join(f"lambda: {act}, " for act in acts))
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stderr == ""
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    return [(int(kibibytes) / 1024, said) for kibibytes, said in lines]


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` with some bytes changed, cut out, doubled or put in, or cut short."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(1, 16))
        how = draw(st.sampled_from(("flip", "set", "cut", "double", "insert", "end")))
        if how == "flip" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "set":
            data[place : place + length] = draw(st.sampled_from((b"\x00", b"\xff", b"\x7f"))) * length
        elif how == "cut":
            del data[place : place + length]
        elif how == "double":
            data[place:place] = data[place : place + length]
        elif how == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=length))
        else:
            del data[place:]
    return bytes(data)


def json_values(names: st.SearchStrategy[str] = ANY_TEXT) -> st.SearchStrategy[Any]:
    """Anything that JSON can say."""
    scalars = st.one_of(
        st.none(), st.booleans(), st.integers(), st.integers(2**60, 2**70), st.floats(), ANY_TEXT, names
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | ANY_TEXT, inner, max_size=4),
        max_leaves=12,
    )
