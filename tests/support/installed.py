"""The registry of the installed components, discovered once for all tests that only read it."""

from __future__ import annotations

import functools

from ganforge.components.registry import Registry, discover


@functools.cache
def installed() -> Registry:
    return discover()
