"""A small feature extractor, registered with torch-fidelity, which takes seconds to import."""

from __future__ import annotations

import torch
import torch_fidelity as fidelity
from torch import Tensor, nn

from support.tiny_fidelity import TINY_NAME


class TinyExtractor(fidelity.FeatureExtractorBase):  # type: ignore[misc, name-defined]
    """Six features and five logits: fixed projections of the pixels; counts the images it saw."""

    saw = 0

    def __init__(self, name: str, layers: list[str], **rest: object) -> None:
        super().__init__(name, layers)
        drawn = torch.Generator().manual_seed(3)
        self.body = nn.Linear(3 * 64, 11, bias=False)
        with torch.no_grad():
            self.body.weight.copy_(torch.randn(11, 3 * 64, generator=drawn) / 50)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        assert images.dtype == torch.uint8
        type(self).saw += len(images)
        found = self.body(images.float().flatten(1) / 25)
        parts = {"flat": found[:, :6], "logits": found[:, 6:]}
        return tuple(parts[layer] for layer in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("flat", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "flat"


fidelity.register_feature_extractor(TINY_NAME, TinyExtractor)
