"""How a condition [N, K] enters the networks; one scheme serves one-hot, multi-hot and vectors, images
[N, C, H, W] as vectors of pixels, and several of these by name, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ganforge.api import DataSpec, Field, Tree, UserError
from ganforge_architectures.layers import Layers, fan_in_linear

HELP = (
    "How labels enter the networks. auto: concat if the data has labels (generator if a term needs a "
    "classifier of labels, as in AC-GAN), otherwise none. none: not at all. concat: concatenated to the "
    "latent and to the discriminator's input. generator: concatenated to the latent only. projection: "
    "to the latent; the discriminator adds the inner product of features and embedded label."
)
HELP_BN = (
    f"{HELP} conditional_bn: gain and bias of the generator's batch norms come from the label, and the "
    "discriminator projects. concat_bn: the same, and the label is concatenated to the latent, too. "
    "generator_bn: the generator of conditional_bn, and a discriminator that is not shown the label."
)

Conditioning = Annotated[
    Literal[
        "auto", "none", "concat", "generator", "projection", "conditional_bn", "concat_bn", "generator_bn"
    ],
    Field(description=HELP_BN),
]
"""The field `conditioning` of networks with batch norms in the generator."""
ConditionDim = Annotated[
    int,
    Field(
        ge=0,
        description="Width of the condition's embedding, concatenated to the latent; 0 = the label itself.",
    ),
]
"""The field `condition_dim`."""

LABEL_HEADS = ("label", "labels", "label_found")
"""Names of the classifier heads for the condition of an image: AC-GAN's for one and many of K, and that of a
discriminative classifier."""


GeneratorEnd = Literal["none", "concat", "norm", "both"]
DiscriminatorEnd = Literal["none", "concat", "projection"]

ENDS: dict[str, tuple[GeneratorEnd, DiscriminatorEnd]] = {
    "concat": ("concat", "concat"),
    "generator": ("concat", "none"),
    "projection": ("concat", "projection"),
    "conditional_bn": ("norm", "projection"),
    "concat_bn": ("both", "projection"),
    "generator_bn": ("norm", "none"),
}
"""What each value of the field `conditioning` means for the two networks."""


class Scheme(NamedTuple):
    """What each network does with the condition."""

    generator: GeneratorEnd
    discriminator: DiscriminatorEnd
    width: int
    """K, the width of a condition."""

    @property
    def norm_width(self) -> int:
        """K for the generator's batch norms; 0 if they are unconditional."""
        return self.width if self.generator in ("norm", "both") else 0


def scheme(
    nets: str,
    wanted: str,
    spec: DataSpec,
    heads: Mapping[str, int],
    auto: tuple[str, str] = ("concat", "generator"),
    images: bool = False,
) -> Scheme:
    """The meaning of `conditioning = wanted` in `nets` for this data and these heads.

    `auto` holds the meaning of "auto" for data with labels: without a classifier of them among
    the heads, and with one. `images`: `nets` takes an image as condition, as the vector of its pixels.

    Raises `UserError` for a condition on data without labels, for one that is an image where `nets`
    takes none, and for a discriminator that would be shown the labels it has to find.
    """
    width = spec.labels.numbers
    labelled = spec.labels.kind != "none"
    if wanted == "none" or (wanted == "auto" and not labelled):
        return Scheme("none", "none", 0)
    if not labelled:
        raise UserError(
            f"nets '{nets}': conditioning '{wanted}' needs labels, but the data has none; "
            'use conditioning = "none", or data with labels'
        )
    for name, part in spec.labels.each.items():
        if part.kind == "image" and not images:
            shape = "x".join(map(str, part.size))
            which = f"condition '{name}' is" if name else "got"
            raise UserError(
                f"nets '{nets}': expected labels as the condition, {which} an image of {shape}; use nets "
                "'unet', 'translator' or 'upscaler', or conditioning = \"none\""
            )
    classifiers = [name for name in LABEL_HEADS if name in heads]
    if wanted == "auto":
        wanted = auto[bool(classifiers)]
    if wanted == "concat" and classifiers:
        raise UserError(
            f"nets '{nets}': conditioning 'concat' gives the discriminator the labels that its "
            f'head \'{classifiers[0]}\' has to predict; use conditioning = "generator" or "projection"'
        )
    return Scheme(*ENDS[wanted], width)


def row(cond: Tree) -> Tensor:
    """The condition as the modules here take it: several by name in one row [N, K]."""
    if isinstance(cond, Tensor):
        return cond
    assert cond is not None
    return torch.cat([each.flatten(1) for each in _in_order(cond)], dim=1)


def planes(cond: Tree) -> Tensor:
    """The condition as an image [N, C, H, W]. Of several by name one at least is an image; they are
    concatenated, and a number becomes a plane (Choi et al. 2018, arXiv:1711.09020, section 3.2)."""
    if isinstance(cond, Tensor):
        return cond
    assert cond is not None
    parts = _in_order(cond)
    size = next(each.shape[2:] for each in parts if each.ndim == 4)
    return torch.cat(
        [each if each.ndim == 4 else each[:, :, None, None].expand(-1, -1, *size) for each in parts], dim=1
    )


def _in_order(cond: Mapping[str, Tensor]) -> list[Tensor]:
    """By name, so that the order of the dict, which differs by who made it, is without meaning."""
    return [cond[name] for name in sorted(cond)]


Embedding = Callable[[int, int], nn.Module]


class LatentInput(nn.Module):
    """The latent [N, z_dim], concatenated with the embedded condition [N, `condition_dim`] if the
    scheme says so (Mirza & Osindero 2014, arXiv:1411.1784). `condition_dim` 0 appends the
    condition itself."""

    def __init__(self, z_dim: int, how: Scheme, condition_dim: int, layer: Embedding = fan_in_linear) -> None:
        """`layer`: makes the embedding, of its width and that of its result."""
        super().__init__()
        self.concat = how.generator in ("concat", "both")
        self.embed = layer(how.width, condition_dim) if self.concat and condition_dim else nn.Identity()
        self.width = z_dim + (condition_dim or how.width) * self.concat

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        if not self.concat:
            return z
        return torch.cat([z, self.embed(row(cond).flatten(1))], dim=1)


class ConditionPlane(nn.Module):
    """Appends the condition to the image [N, C, H, W] as a plane, Linear(K -> H * W).

    Never spectrally normalized: the Lipschitz bound concerns the image, and a bounded plane would be
    too weak compared with it.
    """

    def __init__(self, width: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.shape = (1, *size)
        self.plane = fan_in_linear(width, size[0] * size[1])

    def forward(self, x: Tensor, cond: Tree) -> Tensor:
        plane: Tensor = self.plane(row(cond)).unflatten(1, self.shape)  # [N, 1, H, W]
        return torch.cat([x, plane], dim=1)  # [N, C + 1, H, W]


class Projection(nn.Module):
    """<V y, h>, the label's part of the logit (Miyato & Koyama 2018, arXiv:1802.05637, equation 5)."""

    def __init__(self, width: int, features: int, layers: Layers) -> None:
        super().__init__()
        self.embed = layers.linear(width, features, bias=False)

    def forward(self, features: Tensor, cond: Tree) -> Tensor:
        inner: Tensor = (self.embed(row(cond).flatten(1)) * features).sum(dim=1)
        return inner


class BatchNorm(nn.Module):
    """Batch norm whose gain and bias are linear in the condition, gain 1 + G y and bias b + B y (Dumoulin
    et al. 2017, arXiv:1610.07629; de Vries et al. 2017, arXiv:1707.00683), so that the parts of a
    multi-hot condition add up. With `width` 0 it is plain batch norm: gain 1, bias 0.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=width == 0)
        self.affine: nn.Linear | None = None
        if width:
            self.affine = nn.Linear(width, 2 * channels)
            nn.init.normal_(self.affine.weight, 0.0, 0.02)
            nn.init.ones_(self.affine.bias[:channels])
            nn.init.zeros_(self.affine.bias[channels:])

    def forward(self, x: Tensor, cond: Tree) -> Tensor:
        h: Tensor = self.norm(x)
        if self.affine is None:
            return h
        gain, bias = self.affine(row(cond)).unflatten(1, (2, -1, 1, 1)).unbind(dim=1)  # [N, C, 1, 1] each
        return torch.addcmul(bias, gain, h)
