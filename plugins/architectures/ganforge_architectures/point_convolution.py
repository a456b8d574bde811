"""Convolutions between a single pixel and a whole image, as matrix products.

With a kernel as large as the image and no padding, each weight is used once per sample. As matrix products
they run at the speed of a linear layer, on a CPU several times that of torch's convolutions of that shape.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FromPoint(nn.ConvTranspose2d):
    """[N, I, 1, 1] -> [N, O, h, w], by a kernel of h x w."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], *, bias: bool) -> None:
        super().__init__(inputs, outputs, kernel, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        weight, (height, width) = self.weight, self.kernel_size
        # In the memory order of the weights, which is that of the image, too.
        if weight.is_contiguous(memory_format=torch.channels_last):
            rows = x.flatten(1) @ weight.permute(0, 2, 3, 1).flatten(1)  # [N, h w O]
            image = rows.view(x.shape[0], height, width, -1).permute(
                0, 3, 1, 2
            )  # [N, O, h, w], channels-last
        else:
            image = (x.flatten(1) @ weight.flatten(1)).view(x.shape[0], -1, height, width)  # [N, O, h, w]
        return image if self.bias is None else image + self.bias[:, None, None]


class ToPoint(nn.Conv2d):
    """[N, I, h, w] -> [N, O, 1, 1], by a kernel of h x w."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], *, bias: bool) -> None:
        super().__init__(inputs, outputs, kernel, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]  # [N, O, 1, 1]
