"""Perceptual: a fake is to look like its sample to a network that was trained for something else.

Perceptual Losses for Real-Time Style Transfer and Super-Resolution (Johnson, Alahi & Fei-Fei, 2016),
arXiv:1603.08155, equation 2; Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network (Ledig et al., 2016), arXiv:1609.04802, equation 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import PrivateAttr
from torch import Tensor, nn

from ganforge.api import AbsolutePath, DataSpec, Field, Play, Role, Scheduled, Shapes, Term
from ganforge_losses.frozen_features import frozen_features


class Perceptual(Term):
    """E (f(x) - f(G(z, y)))^2, the mean over the activations f of each stage and over the stages, in the
    generator's update. Fakes are made for the conditions of the batch's real samples, in their order."""

    type: Literal["perceptual"] = "perceptual"
    example: ClassVar[Mapping[str, Any]] = {
        "terms": [{"type": "perceptual", "features": "vgg16.safetensors"}]
    }
    source: ClassVar[str] = (
        "Perceptual Losses for Real-Time Style Transfer and Super-Resolution (Johnson, Alahi & Fei-Fei, "
        "2016), arXiv:1603.08155, equation 2"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    weight: Scheduled = Field(1.0, ge=0, description="Factor on the distance.")
    features: AbsolutePath = Field(
        description="The network: a judge's folder ('ganforge judge train'), or a safetensors file with the "
        "weights of a VGG without batch norm under torchvision's names."
    )
    _network: Any = PrivateAttr(None)

    def prepare(self, spec: DataSpec, shapes: Shapes) -> None:
        self._network = frozen_features(self.features, spec, self.type)

    def __call__(self, play: Play) -> Tensor:
        network: nn.Module = self._network
        with torch.no_grad():
            wanted = network(play.real)  # each [N, channels, h, w]
        distances = [(f - g).square().mean() for f, g in zip(wanted, network(play.fake), strict=True)]
        return torch.stack(distances).mean()  # [layers] -> scalar
