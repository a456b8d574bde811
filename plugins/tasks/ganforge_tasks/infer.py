"""Generation and inference at once: the critic sees a sample together with its latent.

Adversarial Feature Learning (Donahue et al., 2017), arXiv:1605.09782, equation 3 (BiGAN), and Adversarially
Learned Inference (Dumoulin et al., 2017), arXiv:1606.00704, equation 2 (ALI).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import Architecture, Comparison, DataSpec, Draw, LabelSpec, Networks, Side, Task
from ganforge_tasks.domains import as_condition


class Infer(Task):
    """D(x, E(x)) against D(G(z), z): the latent is the critic's condition. The generator's side is an
    `encoder` and a `decoder`; both are trained, by the discriminator's loss with the two swapped."""

    type: Literal["infer"] = "infer"
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "squares", "labels": "none"},
        "nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8]},
    }
    source: ClassVar[str] = (
        "Adversarial Feature Learning (Donahue et al., 2017), arXiv:1605.09782, equation 3"
    )

    def build(self, nets: Architecture, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        codes = DataSpec(shape=(z_dim,), labels=as_condition(spec.shape))
        pairs = DataSpec(shape=spec.shape, labels=as_condition((z_dim,)))
        encoder = nets.build(codes, z_dim, {}).generator
        critic = nets.build(pairs, z_dim, heads).discriminator
        decoder = nets.build(DataSpec(shape=spec.shape, labels=LabelSpec()), z_dim, {}).generator
        return Networks(nn.ModuleDict({"encoder": encoder, "decoder": decoder}), critic)

    def compare(self, generator: Side, real: Tensor, cond: Any, draw: Draw) -> Mapping[str, Comparison]:
        code = generator["encoder"](torch.zeros_like(draw.z), real)
        return {"": Comparison(real, generator["decoder"](draw.z, None), code, draw.z)}

    def sample(self, generator: Side, draw: Draw) -> Tensor:
        samples: Tensor = generator["decoder"](draw.z, None)
        return samples
