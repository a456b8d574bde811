"""From image to image, learned from pairs.

Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017), arXiv:1611.07004,
equation 1: the critic sees both images of a pair. The paper's L1 distance is the term `l1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ganforge.api import Architecture, DataSpec, Networks, Task
from ganforge_tasks.domains import image_condition


class Translate(Task):
    """D(y, x) against D(G(z, x), x), for an image y of the data and the image x that is its condition."""

    type: Literal["translate"] = "translate"
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "squares", "labels": "image"},
        "nets": {"type": "unet", "width": 4, "d_width": 4, "d_layers": 1},
    }
    source: ClassVar[str] = (
        "Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017), "
        "arXiv:1611.07004, equation 1"
    )

    def build(self, nets: Architecture, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        image_condition(self.type, spec)
        return nets.build(spec, z_dim, heads)
