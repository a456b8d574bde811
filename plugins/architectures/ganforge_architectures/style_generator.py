"""StyleGAN2's generator: a mapping, and a skip generator of modulated convolutions.

Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), arXiv:1912.04958, sections 2
and 4.1; style mixing and truncation: arXiv:1812.04948, section 3.1 and appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from ganforge.api import Tree, WholeBatch
from ganforge_architectures.filtered import upsampled
from ganforge_architectures.modulated import Form, NoiseMode, StyledConv, ToRGB
from ganforge_architectures.precision import full_precision, wide_stages
from ganforge_architectures.style_mapping import Mapping

W_DECAY = 0.998
"""Of the running mean of w, per batch."""


class SynthesisBlock(nn.Module):
    """Features [N, inputs, H/2, W/2] (None at the lowest resolution), colors or None, w [N, L, W] from its
    first layer on -> features [N, outputs, H, W] and colors [N, channels, H, W]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        channels: int,
        w_dim: int,
        size: tuple[int, int],
        noise: NoiseMode,
        form: Form,
    ) -> None:
        """`inputs` 0: the lowest resolution, which begins with a constant."""
        super().__init__()
        if inputs:
            self.conv0 = StyledConv(inputs, outputs, w_dim, size, True, noise, form)
        else:
            self.const = nn.Parameter(torch.randn(outputs, *size))
        self.conv1 = StyledConv(outputs, outputs, w_dim, size, False, noise, form)
        self.torgb = ToRGB(outputs, channels, w_dim, form)
        self.styles = 2 if inputs else 1
        """Styled convolutions; the colors share the style of the next one."""

    def forward(self, x: Tensor | None, colors: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
        if x is None:
            x = self.conv1(self.const.expand(w.shape[0], *self.const.shape), w[:, 0])  # [N, outputs, h, w]
        else:
            x = self.conv1(self.conv0(x, w[:, 0]), w[:, 1])  # [N, inputs, h/2, w/2] -> [N, outputs, h, w]
        added = self.torgb(x, w[:, self.styles])  # [N, channels, h, w]
        if colors is None:
            return x, added
        with full_precision(colors):
            return x, upsampled(colors) + added


class Synthesis(nn.Module):
    """w [N, L, W] -> images [N, channels, H, W], unbounded."""

    def __init__(
        self,
        widths: Sequence[int],
        base: tuple[int, int],
        channels: int,
        w_dim: int,
        noise: NoiseMode,
        form: Form,
    ) -> None:
        """`widths`: channels at each resolution, from `base` upward."""
        super().__init__()
        self.blocks = nn.ModuleList(
            SynthesisBlock(
                widths[i - 1] if i else 0,
                width,
                channels,
                w_dim,
                (base[0] << i, base[1] << i),
                noise,
                form,
            )
            for i, width in enumerate(widths)
        )
        self.layers = 2 * len(widths)
        """L: styles of an image."""

    def forward(self, w: Tensor) -> Tensor:
        x: Tensor | None = None
        colors: Tensor | None = None
        first = 0
        for i, block in enumerate(self.blocks):
            with full_precision(w) if i < wide_stages(len(self.blocks)) else nullcontext():
                x, colors = block(x, colors, w[:, first:])  # [N, width, h, w], [N, channels, h, w]
            first += 2 if i else 1
        assert colors is not None
        return colors


class StyleGenerator(nn.Module):
    """z [N, z_dim], cond [N, K] or None -> images [N, C, H, W]: in training as they come, in evaluation
    truncated, and clamped to [-1, 1]."""

    def __init__(self, mapping: Mapping, synthesis: Synthesis, w_dim: int, mixing: float) -> None:
        """`mixing`: probability that a sample in training has the styles of another latent from some layer
        on."""
        super().__init__()
        self.mapping = mapping
        self.synthesis = synthesis
        self.mixing = mixing
        self.batch = WholeBatch()
        self.truncation = 1.0
        """How far w may be from its mean, as a factor (psi), in evaluation."""
        self.register_buffer("w_mean", torch.zeros(w_dim))

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        w = self.mapping(z, cond)  # [N, L, W]
        mean = self.get_buffer("w_mean")
        if not self.training:
            if self.truncation != 1:
                w = torch.lerp(mean, w, self.truncation)
            images: Tensor = self.synthesis(w)
            return images.clamp(-1, 1)
        with torch.no_grad():
            mean.lerp_(self.batch.mean(w[:, 0].mean(0)), 1 - W_DECAY)
        if self.mixing:
            w = self._mixed(w, z, cond)
        unbounded: Tensor = self.synthesis(w)
        return unbounded

    def truncated(self, z: Tensor, cond: Tree, psi: Tensor) -> Tensor:
        """Images [N, C, H, W] in [-1, 1] with a factor `psi` [N] for each, in place of `truncation`."""
        w = torch.lerp(self.get_buffer("w_mean"), self.mapping(z, cond), psi[:, None, None])
        images: Tensor = self.synthesis(w)
        return images.clamp(-1, 1)

    def mixed(self, coarse: Tensor, fine: Tensor, cond: Tree, share: float) -> Tensor:
        """Images [N, C, H, W] in [-1, 1] with the styles of latents `coarse` [N, z_dim] in the first `share`
        of the layers, at least one, and those of `fine` in the others; truncated as any other."""
        first, rest = self.mapping(coarse, cond), self.mapping(fine, cond)
        cut = min(max(1, round(share * first.shape[1])), first.shape[1] - 1)
        w = torch.cat([first[:, :cut], rest[:, cut:]], dim=1)
        if self.truncation != 1:
            w = torch.lerp(self.get_buffer("w_mean"), w, self.truncation)
        images: Tensor = self.synthesis(w)
        return images.clamp(-1, 1)

    def _mixed(self, w: Tensor, z: Tensor, cond: Tree) -> Tensor:
        """With the styles of the next sample's latent, under the sample's own condition, from a random
        layer on."""
        n, layers = w.shape[:2]
        other = self.mapping(self.batch.mine(self.batch.gather(z).roll(-1, 0)), cond)
        cut = self.batch.rows(
            n, lambda n, rng: torch.randint(1, layers, (n, 1), generator=rng, device=z.device)
        )
        share = self.batch.rows(n, lambda n, rng: torch.rand(n, 1, generator=rng, device=z.device))
        mixes = share < self.mixing
        from_other = mixes & (torch.arange(layers, device=z.device) >= cut)  # [N, L]
        return torch.where(from_other[:, :, None], other, w)
