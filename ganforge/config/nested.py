"""Components inside components, such as the data set in `[data.of]`.

A field whose type is a kind (`of: Dataset`) is a table that names a component itself. The class as the plugin
wrote it cannot say which, so a run file is validated against a copy of the class in which the field has the
exact type that the file names.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any

from pydantic import create_model

from ganforge.api import KINDS, Component


def nested_kinds(component: type[Component]) -> dict[str, str]:
    """Field -> kind, of the fields that are components themselves."""
    kinds = {base: kind for kind, base in KINDS.items()}
    fields = component.model_fields.items()
    return {name: kinds[info.annotation] for name, info in fields if info.annotation in kinds}


def with_exact(component: type[Component], inner: dict[str, Any]) -> type[Component]:
    """`component` with these types for its nested fields; the same class for the same types."""
    return _with_exact(component, tuple(sorted(inner.items(), key=lambda each: each[0])))


@cache
def _with_exact(component: type[Component], inner: tuple[tuple[str, Any], ...]) -> type[Component]:
    create: Any = create_model
    # A copy: some releases of pydantic write the narrowed type into the field they are given.
    fields = {name: (kind, copy(component.model_fields[name])) for name, kind in inner}
    exact: type[Component] = create(
        component.__name__, __base__=component, __module__=component.__module__, **fields
    )
    exact.__doc__ = component.__doc__
    return exact
