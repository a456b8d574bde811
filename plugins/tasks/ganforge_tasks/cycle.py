"""Two collections of images without pairs, translated into each other.

Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu et al., 2017),
arXiv:1703.10593, equations 1 and 3. The cycle back to the source is the term `cycle_consistency`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import Architecture, Comparison, DataSpec, Draw, LabelSpec, Networks, Side, Task, UserError
from ganforge_tasks.domains import as_condition


class Cycle(Task):
    """The samples are domain B, and their conditions domain A. Generators `ab` and `ba`, critics `a` and `b`.

    Comparison `b`: D_b(y) against D_b(ab(x)); comparison `a`: D_a(x) against D_a(ba(y)). A sample is ab(x).
    `extra["source"]` is what a fake was made from.
    """

    type: Literal["cycle"] = "cycle"
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "squares", "labels": "image", "pairs": False},
        "nets": {"type": "translator", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1},
    }
    pairs: ClassVar[bool] = False
    source: ClassVar[str] = (
        "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu et al., 2017), "
        "arXiv:1703.10593, equation 3"
    )

    def build(self, nets: Architecture, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        if spec.labels.kind not in ("image", "vector"):
            raise UserError(
                f"task '{self.type}': expected data whose conditions are images (or vectors) of another "
                f"domain, got labels of kind '{spec.labels.kind}'"
            )
        a, b = spec.labels.shape, spec.shape

        def network(shape: tuple[int, ...], condition: LabelSpec) -> Networks:
            return nets.build(DataSpec(shape=shape, labels=condition), z_dim, heads)

        there, back = network(b, as_condition(a)), network(a, as_condition(b))
        critics = {"a": network(a, LabelSpec()), "b": network(b, LabelSpec())}
        return Networks(
            nn.ModuleDict({"ab": there.generator, "ba": back.generator}),
            nn.ModuleDict({name: each.discriminator for name, each in critics.items()}),
        )

    def compare(self, generator: Side, real: Tensor, cond: Any, draw: Draw) -> Mapping[str, Comparison]:
        z = torch.zeros_like(draw.z)
        return {
            "b": Comparison(real, generator["ab"](z, cond), critic="b", extra={"source": cond}),
            "a": Comparison(cond, generator["ba"](z, real), critic="a", extra={"source": real}),
        }

    def sample(self, generator: Side, draw: Draw) -> Tensor:
        samples: Tensor = generator["ab"](torch.zeros_like(draw.z), draw.cond)
        return samples
