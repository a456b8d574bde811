"""An autoencoder whose codes match the prior.

Adversarial Autoencoders (Makhzani et al., 2015), arXiv:1511.05644, section 2. The distance between a sample
and its reconstruction is the term `reconstruction`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import Architecture, Comparison, DataSpec, Draw, LabelSpec, Networks, Side, Task
from ganforge_tasks.domains import as_condition


class Autoencode(Task):
    """D(z) against D(E(x)). The generator's side is an `encoder` and a `decoder`; a sample is decoded from
    the prior. `extra["x"]` is what was encoded, and `extra["cond"]` its label, which the decoder receives."""

    type: Literal["autoencode"] = "autoencode"
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "squares", "labels": "none"},
        "nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8]},
    }
    source: ClassVar[str] = "Adversarial Autoencoders (Makhzani et al., 2015), arXiv:1511.05644, section 2"

    def build(self, nets: Architecture, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        codes = DataSpec(shape=(z_dim,), labels=as_condition(spec.shape))
        encoder = nets.build(codes, z_dim, {}).generator
        critic = nets.build(DataSpec(shape=(z_dim,), labels=LabelSpec()), z_dim, heads).discriminator
        decoder = nets.build(spec, z_dim, {}).generator
        return Networks(nn.ModuleDict({"encoder": encoder, "decoder": decoder}), critic)

    def compare(self, generator: Side, real: Tensor, cond: Any, draw: Draw) -> Mapping[str, Comparison]:
        code = generator["encoder"](torch.zeros_like(draw.z), real)
        return {"": Comparison(draw.z, code, extra={"x": real, "cond": cond})}

    def sample(self, generator: Side, draw: Draw) -> Tensor:
        samples: Tensor = generator["decoder"](draw.z, draw.cond)
        return samples
