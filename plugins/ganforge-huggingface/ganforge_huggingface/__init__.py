"""Data sets of the library `datasets`, local or from the Hugging Face hub, as training data."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_huggingface.data import HuggingFace

GANFORGE_API = "1.0"


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [HuggingFace]
