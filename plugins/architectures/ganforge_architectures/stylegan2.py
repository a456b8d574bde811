"""StyleGAN2, as published in configuration F, with the conditions of StyleGAN2-ADA.

Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), arXiv:1912.04958; Training
Generative Adversarial Networks with Limited Data (Karras et al., 2020), arXiv:2006.06676. Additions here:
sides that are not powers of 2, labels of any kind, samples clamped to [-1, 1], minibatch deviation over
groups of consecutive samples, and mixing with the batch's next latent instead of a new one. In mixed
precision the four largest resolutions compute in 16 bits and the others in float32, as theirs.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from ganforge.api import Advice, Architecture, DataSpec, Field, Networks, RunView, UserError
from ganforge_architectures.conditioning import scheme
from ganforge_architectures.modulated import Form, NoiseMode
from ganforge_architectures.shapes import image_grid
from ganforge_architectures.style_discriminator import Design, StyleDiscriminator, group_size
from ganforge_architectures.style_generator import StyleGenerator, Synthesis
from ganforge_architectures.style_mapping import Mapping

LARGEST = 1024


class StyleGAN2(Architecture):
    """Images whose sides are base x 2^k, with k >= 2, where the shorter side of the base is 4 to 7: 32x32,
    64x96, 1024x1024, and so on.

    Of `ganforge sample --truncation`, the number is psi, the factor on the distance of w from its mean.
    """

    source: ClassVar[str] = (
        "Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), arXiv:1912.04958"
    )

    type: Literal["stylegan2"] = "stylegan2"
    also_called: ClassVar[tuple[str, ...]] = ("stylegan", "stylegan2_ada", "stylegan3")
    example: ClassVar[Map[str, Any]] = {
        "nets": {"type": "stylegan2", "channel_max": 4, "w_dim": 4, "mapping_layers": 1}
    }
    channel_base: int = Field(
        32_768,
        ge=1,
        description="Channels at a resolution: this number over the side that 4 x 2^k would have. 32768 is "
        "configuration F; half of it is usual below 512x512.",
    )
    channel_max: int = Field(512, ge=1, description="The most channels at any resolution.")
    w_dim: int = Field(512, ge=1, description="Width of the styles w, and of the embedded condition.")
    mapping_layers: int = Field(8, ge=1, description="Layers of the mapping networks; 2 suit few classes.")
    mapping_rate: float = Field(
        0.01, gt=0, description="Factor on the learning rate of the mapping networks."
    )
    noise: NoiseMode = Field(
        "random",
        description="Noise added after each convolution of G: random = new in training, and fixed in "
        "samples; fixed = always the same; none.",
    )
    mixing: float = Field(
        0.9, ge=0, le=1, description="Share of fakes in training whose finer styles are of another latent."
    )
    stddev_group: int = Field(
        4, ge=1, description="Samples in a group of the minibatch standard deviation; 1 = off."
    )
    discriminator: Design = Field(
        "residual",
        description="residual = as published for large images; skip = the image, downsampled, also enters at "
        "each lower resolution; plain = neither.",
    )
    modulation: Form = Field(
        "auto",
        description="How styles enter convolutions; the results are equal. scaled = by the input and the "
        "output; grouped = by weights of each sample's own; auto = the faster one.",
    )
    conditioning: Literal["auto", "none", "generator", "projection"] = Field(
        "auto",
        description="How labels enter the networks. auto: projection if the data has labels (generator if a "
        "term needs a classifier of labels), otherwise none. none: not at all. generator: through G's "
        "mapping. projection: the same; the logit is the inner product of D's output and the mapped label.",
    )

    def build(self, spec: DataSpec, z_dim: int, heads: Map[str, int]) -> Networks:
        base, widths = self._plan(spec)
        how = scheme(self.type, self.conditioning, spec, heads, auto=("projection", "generator"))
        condition = how.width if how.generator != "none" else 0
        synthesis = Synthesis(widths, base, spec.shape[0], self.w_dim, self.noise, self.modulation)
        mapping = Mapping(
            z_dim, condition, self.w_dim, self.mapping_layers, self.mapping_rate, synthesis.layers
        )
        of_labels = None
        if how.discriminator == "projection":
            of_labels = Mapping(0, how.width, widths[0], self.mapping_layers, self.mapping_rate, 1)
        return Networks(
            StyleGenerator(mapping, synthesis, self.w_dim, self.mixing),
            StyleDiscriminator(
                widths,
                base,
                spec.shape[0],
                self.stddev_group,
                self.discriminator,
                of_labels,
                heads,
            ),
        )

    def advice(self, run: RunView) -> list[Advice]:
        """Groups of the minibatch deviation that the samples of a micro-batch do not fill."""
        found = super().advice(run)
        samples = run.batch * run.processes
        used = group_size(samples, self.stddev_group)
        if samples % self.stddev_group == 0:
            return found
        text = (
            f"nets.stddev_group = {self.stddev_group} does not divide {samples}, the number of samples "
            f"that D gets at a time (train.batch_size over train.accumulate): groups of {used} are used "
            "instead"
        )
        if used == 1:
            text += ", whose deviation is always 0"
        other = used if used > 1 else samples
        text += f"; set train.batch_size to a multiple of {self.stddev_group} for each micro-batch"
        if other > 1:
            text += f", or nets.stddev_group = {other}"
        return [*found, Advice(f"{self.type}.stddev_group", text)]

    def truncate(self, generator: nn.Module, limit: float) -> bool:
        if isinstance(generator, StyleGenerator):
            generator.truncation = limit
            return True
        return False

    def truncated(self, generator: nn.Module, z: Tensor, cond: Any, limits: Tensor) -> Tensor | None:
        return generator.truncated(z, cond, limits) if isinstance(generator, StyleGenerator) else None

    def style_mixed(
        self, generator: nn.Module, coarse: Tensor, fine: Tensor, cond: Any, share: float
    ) -> Tensor | None:
        return generator.mixed(coarse, fine, cond, share) if isinstance(generator, StyleGenerator) else None

    def _plan(self, spec: DataSpec) -> tuple[tuple[int, int], list[int]]:
        """The lowest resolution, and the channels of each from there on."""
        grid = image_grid(self.type, spec)
        if max(spec.shape[1:]) > LARGEST:
            raise UserError(
                f"nets 'stylegan2': expected sides of at most {LARGEST} pixels, got {spec.shape[1]}x"
                f"{spec.shape[2]} (height x width); resize the data"
            )
        return grid.base, [
            min(self.channel_max, max(1, self.channel_base // (4 << i))) for i in range(grid.halvings + 1)
        ]
