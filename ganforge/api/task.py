"""Who plays, what is compared with what, and what a sample is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

from torch import Tensor

from ganforge.api.component import Component
from ganforge.api.data import DataSpec
from ganforge.api.nets import Architecture, Draw, Networks


class Side(Protocol):
    """The generator's networks: the network itself where there is one, else a member by its name."""

    def __call__(self, *inputs: Any) -> Any: ...

    def __getitem__(self, member: str) -> Side: ...


class Comparison(NamedTuple):
    """Two sets of samples between which a critic is to find no difference."""

    real: Tensor
    """[N, ...]"""
    fake: Tensor
    """Like real."""
    cond: Any = None
    """What the critic is told of real: [N, K], an image [N, C, H, W], or None."""
    fake_cond: Any = None
    """What it is told of fake."""
    critic: str = ""
    """The member of the discriminator's side that judges; "" where that is a single network."""
    extra: Mapping[str, Any] = MappingProxyType({})
    """What else was made on the way, by name, for terms: `play.extra`."""


class Task(Component):
    """`[task]`: the networks of both sides, what is compared with what, and what a sample is.

    Everything else (losses, terms, penalties, augmentation, health) is applied to each comparison by itself.
    """

    kind: ClassVar[str] = "task"

    pairs: ClassVar[bool] = True
    """Each sample has to come with its own condition; False = data may have two collections instead."""

    def build(self, nets: Architecture, data: DataSpec, latent: int, heads: Mapping[str, int]) -> Networks:
        """The networks of each side, by one or several calls of `nets.build`: a network, or an
        `nn.ModuleDict` of several. Also called on the meta device. Raises `UserError` where the data or the
        architecture do not fit the task."""
        return nets.build(data, latent, heads)

    def compare(self, generator: Side, real: Tensor, cond: Any, draw: Draw) -> Mapping[str, Comparison]:
        """Name -> comparison, of samples `real` [N, *shape] with their conditions `cond`, and latents `draw`.

        The same in either player's update: the engine decides what carries gradient.
        """
        return {"": Comparison(real, generator(draw.z, draw.cond), cond, draw.cond)}

    def sample(self, generator: Side, draw: Draw) -> Tensor:
        """What a trained generator makes of `draw`: [N, *shape], in [-1, 1] for images."""
        samples: Tensor = generator(draw.z, draw.cond)
        return samples
