"""Which networks there are, what the critics compare, and what a sample is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

from torch import Tensor

from ganforge.api.component import Component
from ganforge.api.data import DataSpec
from ganforge.api.nets import Architecture, Draw, Networks


class Side(Protocol):
    """The generator's networks: the network itself if there is one, otherwise a member by its name."""

    def __call__(self, *inputs: Any) -> Any: ...

    def __getitem__(self, member: str) -> Side: ...


class Comparison(NamedTuple):
    """Two sets of samples for a critic to discriminate."""

    real: Tensor
    """[N, ...]"""
    fake: Tensor
    """Like real."""
    cond: Any = None
    """The condition of `real`: [N, K], an image [N, C, H, W], a dict of such by name, or None."""
    fake_cond: Any = None
    """The condition of `fake`."""
    critic: str = ""
    """The critic: a member of the discriminator's side; "" if that is a single network."""
    extra: Mapping[str, Any] = MappingProxyType({})
    """Other intermediate results, by name, for terms: `play.extra`."""


class Task(Component):
    """`[task]`: the networks of both sides, what the critics compare, and what a sample is.

    Everything else (losses, terms, penalties, augmentation, health) is applied to each comparison separately.
    """

    kind: ClassVar[str] = "task"

    pairs: ClassVar[bool] = True
    """Each sample needs its own condition; False = the data may be two collections instead."""

    def build(self, nets: Architecture, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        """The networks of each side, by one or several calls of `nets.build`: a network, or an
        `nn.ModuleDict` of several. Also called on the meta device. Raises `UserError` if the data or the
        architecture do not support the task."""
        return nets.build(spec, z_dim, heads)

    def compare(self, generator: Side, real: Tensor, cond: Any, draw: Draw) -> Mapping[str, Comparison]:
        """Name -> comparison, of samples `real` [N, *shape] with their conditions `cond`, and latents `draw`.

        The same in both players' updates: the engine decides what carries gradient.
        """
        return {"": Comparison(real, generator(draw.z, draw.cond), cond, draw.cond)}

    def sample(self, generator: Side, draw: Draw) -> Tensor:
        """The trained generator's output for `draw`: [N, *shape], in [-1, 1] for images."""
        samples: Tensor = generator(draw.z, draw.cond)
        return samples
