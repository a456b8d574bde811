"""Priors and architectures: where samples come from, and what discriminates them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ganforge.api.advice import Advice, RunView, batch_norms
from ganforge.api.component import Component
from ganforge.api.data import DataSpec
from ganforge.api.errors import UserError
from ganforge.api.tree import Tree


class Code(NamedTuple):
    """One interpretable part of the latent (InfoGAN): `width` classes or real numbers."""

    name: str
    kind: Literal["categorical", "continuous"]
    width: int


class Draw(NamedTuple):
    """A latent sample from the prior: everything the generator receives."""

    z: Tensor
    """[N, z_dim]"""
    cond: Any
    """[N, K], an image [N, C, H, W], a dict of such by name, or None: the conditions of the fakes."""
    codes: dict[str, Tensor]
    """Code name -> what Q should predict: classes [N] (int64) or values [N, width]."""


class Prior(Component):
    """`[prior]`: the distribution of the latent."""

    kind: ClassVar[str] = "prior"

    def __init_subclass__(cls, **given: Any) -> None:
        # The former name of `z_dim`, which plugins may still have.
        if "width" in vars(cls) and "z_dim" not in vars(cls):
            cls.z_dim = vars(cls)["width"]  # type: ignore[method-assign]
        super().__init_subclass__(**given)

    @abstractmethod
    def z_dim(self) -> int:
        """Dimension of the latent z."""

    def codes(self) -> tuple[Code, ...]:
        """The interpretable codes in the latent; none by default."""
        return ()

    @abstractmethod
    def sample(self, n: int, cond: Tree, generator: torch.Generator) -> Draw:
        """`n` latents on the generator's device, for the conditions `cond`, which the draw returns: [n, K],
        an image [n, C, H, W], a dict of such by name, or None."""

    def truncated(self, z: Tensor, limit: float) -> Tensor:
        """Latents [n, z_dim] of the prior -> the same latents moved toward its center, none beyond `limit`
        (truncation): less variety, better samples. Raises `UserError` if the prior does not support it."""
        raise UserError(f"prior '{self.type}' cannot be truncated; remove --truncation")

    def code_values(self, code: Code, columns: int) -> tuple[float, ...]:
        """The values of a code that a sheet shows along a row: all classes, or `columns` numbers."""
        if code.kind == "categorical":
            return tuple(float(each) for each in range(code.width))
        return tuple(torch.linspace(-1, 1, columns).tolist())

    def with_code(self, z: Tensor, code: Code, value: float) -> Tensor:
        """Latents [n, z_dim] -> the same latents with one code set to a class or, in all of its dimensions,
        to a number. Every prior that has codes implements it."""
        raise UserError(f"prior '{self.type}' cannot set code '{code.name}'")

    def mixed(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """Latents [n, Z] on the way from `a` [n, Z] (share 0) to `b` (1), which the prior could have drawn;
        by default on a straight line."""
        return torch.lerp(a, b, share)

    def traversals(self, rows: int, columns: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Code name -> latents [rows, columns, z_dim] in which only that code varies along a row, and
        everything else from row to row. A categorical code has one column per class."""
        codes = self.codes()
        if not codes:
            return {}
        base = self.sample(rows, None, generator).z
        return {
            code.name: torch.stack(
                [self.with_code(base, code, value) for value in self.code_values(code, columns)], dim=1
            )
            for code in codes
        }


class Verdict(NamedTuple):
    """The discriminator's output: logits, heads and features."""

    logits: Tree
    """The logits: [N], or [N, ...] for patches, or a list or dict of such for several scales. Unbounded,
    larger = more real; a loss defines their meaning."""
    heads: Mapping[str, Tensor] = MappingProxyType({})
    """Head name -> [N, width], for the heads that terms requested."""
    features: Tree = None
    """[N, F]: the trunk's last activations, for feature matching, or a tree of several layers' [N, ...];
    None if not provided."""


class Networks(NamedTuple):
    """Both networks: `generator(z, cond) -> [N, *shape]`, for images in [-1, 1], in training as well unless
    the critic keeps them there, and
    `discriminator(x, cond) -> Verdict`; `cond` is [N, K], an image [N, C, H, W], a dict of such by
    name, or None. A task may put
    several networks on a side, in an `nn.ModuleDict`."""

    generator: nn.Module
    discriminator: nn.Module


class Architecture(Component):
    """`[nets]`: a generator and a discriminator that match each other and the data."""

    kind: ClassVar[str] = "nets"

    @abstractmethod
    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        """Networks for samples of `spec.shape`, latents [N, z_dim], and one more output of the
        discriminator for each head (name -> width).

        Also called on the meta device. Raises `UserError` for incompatible arguments.
        """

    def advice(self, run: RunView) -> list[Advice]:
        """Batch normalization needs a batch. What overrides this calls `super().advice(run)`."""
        if run.batch > 1:
            return []
        layers = [layer for network in run.networks for layer in batch_norms(network)]
        if not layers:
            return []
        text = (
            f"{len(layers)} batch normalizations of nets '{self.type}' get {run.batch} sample at a time "
            "(train.batch_size over train.accumulate and the processes) and subtract its mean"
        )
        if any(isinstance(layer, nn.BatchNorm1d) for layer in layers):
            # Of vectors nothing is left but zeros, and torch refuses.
            text += ", which of vectors leaves nothing; raise train.batch_size"
            return [Advice(f"{self.type}.batch", text, fatal=True)]
        text += ", as instance normalization does; raise train.batch_size"
        return [Advice(f"{self.type}.batch", text)]

    def truncate(self, generator: nn.Module, limit: float) -> bool:
        """Lets `generator`, which this architecture has built, draw samples closer to the middle of a space
        of its own: in evaluation, until told otherwise. False where it has none; then the latents are
        truncated (`Prior.truncated`)."""
        return False

    def truncated(self, generator: nn.Module, z: Tensor, cond: Any, limits: Tensor) -> Tensor | None:
        """Samples [n, *shape] of `generator` in evaluation mode for `z` [n, z_dim], sample i as after
        `truncate(generator, limits[i])` with `limits` [n]: for exports, in which truncation is an input.
        `limits` is traced: no decision may depend on it. None, the default, where there is no such input."""
        return None

    def style_mixed(
        self, generator: nn.Module, coarse: Tensor, fine: Tensor, cond: Any, share: float
    ) -> Tensor | None:
        """Samples [n, *shape] of `generator`, which this architecture has built, in evaluation mode (style
        mixing): the first `share` of its layers follow the latents `coarse` [n, z_dim], the others `fine`
        [n, z_dim]. None, the default, where layers have no styles of their own."""
        return None
