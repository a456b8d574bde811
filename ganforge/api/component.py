"""What every component is: a frozen, validated table of a run file.

A component *is* its configuration. Its fields are the keys of the TOML table, its field
descriptions are the help text, its `type` is the name a run file uses, and whatever has
weights or files is made from it by `build`.

What a component keeps between updates are private tensors (`memory`); frozen networks that it uses are
private modules, created in `prepare`. A run has its own copy of each component, so that the configuration
is never modified.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from pydantic import BaseModel, ConfigDict, PrivateAttr
from pydantic.fields import ModelPrivateAttr

if TYPE_CHECKING:
    from ganforge.api.advice import Advice, RunView
    from ganforge.api.data import DataSpec

Shapes = Mapping[str, tuple[int, ...]]
"""Name of a comparison -> the shape of one of its samples."""


class Each(ModelPrivateAttr):
    """Private attribute that each process has separately."""


def memory(value: Any = 0.0, each: bool = False) -> Any:
    """State of a component: `_mean: Tensor = memory(0.0)`, a float32 tensor initialized to `value`.

    It is on the run's device, saved in its checkpoints and restored by its rollbacks. All processes of a run
    must hold the same value; with `each`, every process has its own. Change it in place only
    (`self._mean.lerp_(x, 0.01)`), with tensors on the device that carry no graph; where it enters what is
    differentiated in the same update, use `self._mean.clone()`.
    """

    def start() -> torch.Tensor:
        return torch.tensor(value, dtype=torch.float32)

    return Each(default_factory=start) if each else PrivateAttr(default_factory=start)


class Component(BaseModel, ABC):
    """Base of all component kinds; subclass a kind (`Loss`, `Dataset`, ...), not this."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    kind: ClassVar[str] = ""
    """The section of a run file that names the component: data, prior, nets, loss, ..."""

    source: ClassVar[str] = ""
    """The paper: title, authors, year, arXiv id, equation. Empty if there is none."""

    also_called: ClassVar[tuple[str, ...]] = ()
    """Other names in the literature, for a hint to whoever writes one of them as `type`."""

    example: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Sections of a small run file that uses the component, for `ganforge plugin check`: its own table if
    keys are required or their defaults are large, and what else it needs, such as a prior with codes."""

    provider: ClassVar[str] = ""
    """The plugin that provides the class, for messages; set by the registry."""

    type: str

    @classmethod
    def type_name(cls) -> str:
        """The name by which a run file selects this component."""
        return str(cls.model_fields["type"].default)

    def prepare(self, spec: DataSpec, shapes: Shapes) -> None:
        """Called once, on the run's own copy, before training: replaces memory whose shape depends on the
        data (`self._pool = torch.zeros(50, *shapes[""])`) and loads frozen networks into private attributes
        (`self._vgg = ...`), which are then put on the device in evaluation mode, without gradients.

        `shapes`: see `Task.compare`; "" is the comparison of a plain GAN. Raises `UserError` if a file is
        missing or incompatible.
        """

    def advice(self, run: RunView) -> list[Advice]:
        """What of `run` does not go with this component, such as a penalty that another layer breaks. Called
        before the run, and by `ganforge check`; the networks are on the meta device, and no data are open."""
        return []

    def __eq__(self, other: object) -> bool:
        """Whether both are equal as run-file tables; the state of a run's copy is ignored."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def copied(self, **changes: Any) -> Self:
        """A copy with its own state, with these fields replaced."""
        return self.model_copy(update=changes, deep=True)
