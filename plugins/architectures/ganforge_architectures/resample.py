"""Bilinear resampling by 2: the filter [1, 3, 3, 1] along both axes, with reflect padding or zeros.

As in the code of The GAN is dead; long live the GAN! (Huang et al., 2025), arXiv:2501.05441, where images go
on as zeros. Written as convolutions, which are exact in bfloat16 and have a second derivative everywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Resample(nn.Module):
    def __init__(self, total: float, mirror: bool) -> None:
        super().__init__()
        self.mirror = mirror
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        kernel = taps.outer(taps) * (total / 64)
        # A constant: in no checkpoint, but moved with the network.
        self.register_buffer("kernel", kernel[None, None], persistent=False)

    def _padded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x with reflect padding [N, C, H + 2, W + 2], or x itself where the convolution pads by zeros; and
        one kernel per channel [C, 1, 4, 4]."""
        kernel = self.get_buffer("kernel")
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect") if self.mirror else x
        return padded, kernel.expand(x.shape[1], 1, 4, 4)


class Downsample(_Resample):
    """[N, C, H, W] -> [N, C, H/2, W/2]; H and W even."""

    def __init__(self, mirror: bool = True) -> None:
        super().__init__(1.0, mirror)

    def forward(self, x: Tensor) -> Tensor:
        padded, kernel = self._padded(x)
        zeros = 0 if self.mirror else 1
        return F.conv2d(padded, kernel, stride=2, padding=zeros, groups=x.shape[1])  # [N, C, H/2, W/2]


class Upsample(_Resample):
    """[N, C, H, W] -> [N, C, 2H, 2W]."""

    def __init__(self, mirror: bool = True) -> None:
        super().__init__(4.0, mirror)

    def forward(self, x: Tensor) -> Tensor:
        padded, kernel = self._padded(x)
        # What the padding adds is cropped.
        crop = 3 if self.mirror else 1
        return F.conv_transpose2d(padded, kernel, stride=2, padding=crop, groups=x.shape[1])  # [N, C, 2H, 2W]
