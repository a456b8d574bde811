"""What every component is: a frozen, validated table of a run file.

A component *is* its configuration. Its fields are the keys of the TOML table, its field
descriptions are the help text, its `type` is the name a run file uses, and whatever has
weights or files is made from it by `build`. Losses and terms hold no state and are used as
they are.
"""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Component(BaseModel, ABC):
    """Base of all component kinds; subclass a kind (`Loss`, `Dataset`, ...), not this."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    kind: ClassVar[str] = ""
    """The section of a run file that names the component: data, prior, nets, loss, ..."""

    source: ClassVar[str] = ""
    """The paper: title, authors, year, arXiv id, equation. Empty where there is none."""

    provider: ClassVar[str] = ""
    """The plugin that brought the class, for messages; the registry writes it."""

    type: str

    @classmethod
    def type_name(cls) -> str:
        """The name by which a run file asks for this component."""
        return str(cls.model_fields["type"].default)
