"""Sharded tar files (WebDataset) as training data."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_webdataset.data import WebDataset

GANFORGE_API = "1.0"


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [WebDataset]
