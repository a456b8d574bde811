"""Priors, one per file."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_priors.codes import Codes
from ganforge_priors.normal import Normal
from ganforge_priors.uniform import Uniform


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [Codes, Normal, Uniform]
