"""Images of several domains, translated by one generator into the domain that a label names.

StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation (Choi et al.,
2018), arXiv:1711.09020, section 3.1. The classification of domains is the term `auxiliary_classifier`
(equations 2 and 3), the way back to the source the term `cycle_consistency`
(equation 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Architecture, Comparison, DataSpec, Draw, LabelSpec, Networks, Side, Task, UserError

PARTS = {"image": "image", "origin": "one_of_k", "domain": "one_of_k"}
"""The conditions, by name, and of which kind they are."""


class MultiDomain(Task):
    """D(y) against D(G(x, c)), for a sample y of domain c and an image x of any domain c'.

    The conditions of the data are `image` (x), `origin` (c') and `domain` (c), as data 'domains' has them.
    A critic sees no condition, but terms have c as that of both. `extra["source"]` is x, and
    `extra["origin"]` c'; G(G(x, c), c') is x again by the term `cycle_consistency`.
    """

    type: Literal["multi_domain"] = "multi_domain"
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "domains", "of": {"type": "squares", "labels": "one_of_k"}},
        "nets": {"type": "translator", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1},
    }
    pairs: ClassVar[bool] = False
    source: ClassVar[str] = (
        "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation (Choi "
        "et al., 2018), arXiv:1711.09020, section 3.1"
    )

    def build(self, nets: Architecture, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        kinds = {name: part.kind for name, part in spec.labels.parts.items()}
        if kinds != PARTS:
            got = ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or spec.labels.in_words()
            raise UserError(
                f"task '{self.type}': expected the conditions image (image), origin (one_of_k) and domain "
                f"(one_of_k), got {got}; use data 'domains'"
            )
        seen = {name: spec.labels.parts[name] for name in ("image", "domain")}
        conditions = LabelSpec(kind="named", parts=seen)
        generator = nets.build(DataSpec(shape=spec.shape, labels=conditions), z_dim, {}).generator
        critic = nets.build(DataSpec(shape=spec.shape, labels=LabelSpec()), z_dim, heads).discriminator
        return Networks(generator, critic)

    def compare(self, generator: Side, real: Tensor, cond: Any, draw: Draw) -> Mapping[str, Comparison]:
        target = cond["domain"]
        extra = {"source": cond["image"], "origin": cond["origin"]}
        return {"": Comparison(real, self._made(generator, draw.z, cond), target, target, extra=extra)}

    def sample(self, generator: Side, draw: Draw) -> Tensor:
        return self._made(generator, draw.z, draw.cond)

    def _made(self, generator: Side, z: Tensor, cond: Any) -> Tensor:
        """x as it would be in the domain c."""
        made: Tensor = generator(torch.zeros_like(z), {"image": cond["image"], "domain": cond["domain"]})
        return made
