"""Self-attention over the pixels of a feature map.

Self-Attention Generative Adversarial Networks (Zhang, Goodfellow, Metaxas & Odena, 2018),
arXiv:1805.08318, equations 1 to 3; keys and values from every second pixel in each direction, and value
width C / 2, as in the authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge_architectures.layers import Layers


class SelfAttention(nn.Module):
    """x [N, C, H, W] -> x + gain * attention(x); `gain` is 0 at first: the identity."""

    def __init__(self, channels: int, layers: Layers) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        value = max(1, channels // 2)
        self.query = layers.conv(channels, inner, 1, bias=False)
        self.key = layers.conv(channels, inner, 1, bias=False)
        self.value = layers.conv(channels, value, 1, bias=False)
        self.out = layers.conv(value, channels, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).flatten(2)  # [N, C/8, HW]
        key = F.max_pool2d(self.key(x), 2).flatten(2)  # [N, C/8, HW/4]
        value = F.max_pool2d(self.value(x), 2).flatten(2)  # [N, C/2, HW/4]
        # Written out: the fused kernels have no second derivative, which gradient penalties need.
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=2)  # [N, HW, HW/4]
        mixed = (value @ weights.transpose(1, 2)).reshape(*value.shape[:2], *x.shape[2:])  # [N, C/2, H, W]
        return torch.addcmul(x, self.gain, self.out(mixed))
