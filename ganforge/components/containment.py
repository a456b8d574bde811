"""Runs a plugin's own code so that what it does to the process reaches neither a command nor a run."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


@contextlib.contextmanager
def contained() -> Iterator[list[str]]:
    """Inside, what is printed goes to stderr: stdout may be JSON. After it, the working folder, torch's
    default dtype and the global random states are as before; the list then names those that were changed."""
    changed: list[str] = []
    folder, dtype, states = _folder(), torch.get_default_dtype(), _random_states()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield changed
    finally:
        if folder is not None and _folder() != folder:
            os.chdir(folder)
            changed.append("the working folder")
        if torch.get_default_dtype() != dtype:
            torch.set_default_dtype(dtype)
            changed.append("torch's default dtype")
        if _random_states() != states:
            _restore(states)
            changed.append("the global random state")


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # deleted by another process
        return None


def _random_states() -> tuple[Any, ...]:
    """Of Python, of numpy and of torch, comparable by ==."""
    state: Any = np.random.get_state()
    name, keys, *rest = state
    return random.getstate(), (name, bytes(keys), *rest), bytes(torch.get_rng_state().numpy())


def _restore(states: tuple[Any, ...]) -> None:
    python, (name, keys, *rest), torchs = states
    random.setstate(python)
    np.random.set_state((name, np.frombuffer(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(torch.frombuffer(bytearray(torchs), dtype=torch.uint8))
