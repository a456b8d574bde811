"""A larger image from a small one, learned from pairs.

Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et al., 2017),
arXiv:1609.04802, equation 2: the critic sees the large image alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor

from ganforge.api import Architecture, Comparison, DataSpec, Draw, LabelSpec, Networks, Side, Task, UserError
from ganforge_tasks.domains import image_condition


class Upscale(Task):
    """D(y) against D(G(z, x)), for an image y of the data; its condition x is y at lower resolution."""

    type: Literal["upscale"] = "upscale"
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "squares", "labels": "image", "small": 4},
        "nets": {"type": "upscaler", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1, "d_norm": "none"},
    }
    source: ClassVar[str] = (
        "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et al., "
        "2017), arXiv:1609.04802, equation 2"
    )

    def build(self, nets: Architecture, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        _, height, width = image_condition(self.type, spec)
        factor = spec.shape[1] // height
        if factor < 2 or spec.shape[1:] != (factor * height, factor * width):
            raise UserError(
                f"task '{self.type}': expected samples 2, 3, ... times as large as their condition of "
                f"{width}x{height}, got {spec.shape[2]}x{spec.shape[1]}"
            )
        plain = DataSpec(shape=spec.shape, labels=LabelSpec())
        critic = nets.build(plain, z_dim, heads).discriminator
        return Networks(nets.build(spec, z_dim, {}).generator, critic)

    def compare(self, generator: Side, real: Tensor, cond: Any, draw: Draw) -> Mapping[str, Comparison]:
        return {"": Comparison(real, generator(draw.z, draw.cond))}
