"""A discriminator of overlapping patches, at one scale or several, and the keys that describe it.

Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou & Efros, 2016),
arXiv:1611.07004, section 3.2.2 and appendix 6.1.2; several scales from High-Resolution Image
Synthesis and Semantic Manipulation with Conditional GANs (Wang et al., 2017), arXiv:1711.11585,
section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.api import Architecture, DataSpec, Field, Tree, UserError, Verdict
from ganforge_architectures.conditioning import planes
from ganforge_architectures.heads import Heads
from ganforge_architectures.layers import Layers, normal

Norm = Literal["batch", "instance", "none"]
MAX_DOUBLINGS = 3
"""Channels grow up to 2^3 times the first layer's."""


def norm_of(kind: Norm, channels: int) -> list[nn.Module]:
    """The normalization after a convolution to `channels`. "instance" has no gain and bias, as in the
    authors' code: each channel of each image has mean 0 and variance 1 over its pixels."""
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    # One group per channel: unlike InstanceNorm2d it keeps channels_last.
    return [nn.GroupNorm(channels, channels, affine=False)] if kind == "instance" else []


class Patched(Architecture):
    """Base of the architectures with a patch discriminator; a subclass makes the generator."""

    d_width: int = Field(
        64, ge=1, description="Channels of the discriminator's first layer; doubled in each further one."
    )
    d_layers: int = Field(
        3,
        ge=1,
        le=6,
        description="Layers of the discriminator that halve the image. A patch has 16, 34, 70, 142, 286 or "
        "574 pixels per side with 1 to 6 of them.",
    )
    scales: int = Field(
        1,
        ge=1,
        le=4,
        description="Discriminators, each with weights of its own: of the image at full size, at half, ...",
    )
    d_norm: Norm = Field(
        "batch",
        description="Normalization in the discriminator: batch, instance, or none, as needed with "
        "spectral_norm and gradient penalties.",
    )
    spectral_norm: bool = Field(False, description="Spectral normalization of the discriminator.")
    show_condition: bool = Field(
        True,
        description="The discriminator sees an image together with its condition; false = alone.",
    )
    init_std: float = Field(
        0.02, gt=0, description="Standard deviation of the initial weights of convolutions."
    )

    def discriminator(self, spec: DataSpec, heads: Mapping[str, int]) -> Discriminator:
        """For images of `data`, with their conditions if these are images and used. Raises
        `UserError` for points and for images too small for `d_layers` and `scales`."""
        if not spec.is_image:
            raise UserError(
                f"nets '{self.type}': needs images, got samples of shape {spec.shape}; use nets 'mlp'"
            )
        self._check_size(spec)
        images = any(part.kind == "image" for part in spec.labels.each.values())
        condition = image_condition(self.type, spec) if self.show_condition and images else None
        shown = condition[0] if condition else 0
        layers = Layers(normal(self.init_std), self.spectral_norm)
        widths = [self.d_width * 2 ** min(i, MAX_DOUBLINGS) for i in range(self.d_layers + 1)]
        critics = [Patches(spec.shape[0] + shown, widths, self.d_norm, layers) for _ in range(self.scales)]
        return Discriminator(critics, bool(shown), Heads(widths[-1], heads))

    def _check_size(self, spec: DataSpec) -> None:
        side = smallest = min(spec.shape[1:])
        for _ in range(self.scales - 1):
            smallest = (smallest + 1) // 2
        if patches(smallest, self.d_layers) > 0:
            return
        fits = [n for n in range(1, self.d_layers) if patches(smallest, n) > 0]
        wish = f"d_layers = {fits[-1]}" if fits else "fewer scales"
        raise UserError(
            f"nets '{self.type}': an image of {side} pixels has {smallest} at scale {self.scales}, too few "
            f"for d_layers = {self.d_layers}; use {wish}, or larger images"
        )


def image_condition(nets: str, spec: DataSpec) -> tuple[int, int, int] | None:
    """(C, H, W) of the condition of `data` as `planes` makes it; None if there is none, as for a
    discriminator alone.

    Raises `UserError` for a condition without an image, and for images of several sizes."""
    labels = spec.labels
    if labels.kind == "none":
        return None
    sizes = {name: part.size[1:] for name, part in labels.each.items() if part.kind == "image"}
    if not sizes:
        raise UserError(
            f"nets '{nets}': expected an image as the condition, got labels of kind '{labels.kind}'; use "
            "data 'derived' or 'pairs', or nets 'dcgan'"
        )
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"'{name}' of {height}x{width}" for name, (height, width) in sizes.items())
        raise UserError(f"nets '{nets}': expected images of one size as conditions, got {found}")
    height, width = next(iter(sizes.values()))
    channels = sum(part.size[0] if part.kind == "image" else part.width for part in labels.each.values())
    return channels, height, width


class NoCondition(nn.Module):
    """Placeholder for the generator if the data has no condition to translate."""

    def __init__(self, nets: str) -> None:
        super().__init__()
        self.nets = nets

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        raise UserError(
            f"nets '{self.nets}': expected an image as the condition, got none; use data 'derived' or "
            "'pairs', or nets 'dcgan'"
        )


def patches(side: int, layers: int) -> int:
    """Patches along a side of `side` pixels, 0 or less if it is too short."""
    for _ in range(layers):
        side //= 2
    return side - 2


class Patches(nn.Module):
    """x [N, C, H, W] -> logits [N, 1, h, w], one per patch, and the activations of every layer before.

    4x4 convolutions: `len(widths) - 1` of stride 2, then two of stride 1; all but the first and the
    last are normalized.
    """

    def __init__(self, channels: int, widths: list[int], norm: Norm, layers: Layers) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        inputs = channels
        for i, outputs in enumerate(widths):
            stride = 2 if i < len(widths) - 1 else 1
            # Normalization removes the mean, and with it a bias before it.
            bias = i == 0 or norm == "none"
            block = [layers.conv(inputs, outputs, 4, stride=stride, padding=1, bias=bias)]
            block += norm_of(norm, outputs) if i else []
            blocks.append(nn.Sequential(*block, nn.LeakyReLU(0.2, inplace=True)))
            inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.last = layers.conv(inputs, 1, 4, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features: list[Tensor] = []
        for block in self.blocks:
            x = block(x)  # [N, width, H/2, W/2]; the last one keeps the size, less a pixel
            features.append(x)
        return self.last(x), features  # [N, 1, h, w]


class Discriminator(nn.Module):
    """x [N, C, H, W], cond [N, C', H', W'] or None -> `Verdict`.

    With one scale logits are [N, 1, h, w] and features a list of maps; with several both are lists,
    the finest scale first. Heads read the finest scale's last features, averaged over patches.
    """

    def __init__(self, critics: list[Patches], shows: bool, heads: Heads) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)
        self.shows = shows
        self.heads = heads

    def forward(self, x: Tensor, cond: Tree) -> Verdict:
        if self.shows:
            # A smaller condition (super-resolution) is upsampled to the image's size.
            x = torch.cat(
                [x, F.interpolate(planes(cond), x.shape[2:], mode="nearest")], dim=1
            )  # [N, C + C', H, W]
        logits: list[Tensor] = []
        features: list[list[Tensor]] = []
        for i, critic in enumerate(self.critics):
            if i:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)  # half of each side
            judged, seen = critic(x)
            logits.append(judged)
            features.append(seen)
        heads = self.heads(features[0][-1].mean(dim=(2, 3)))  # [N, width] -> name: [N, head]
        if len(self.critics) == 1:
            return Verdict(logits[0], heads, features[0])
        return Verdict(logits, heads, features)
