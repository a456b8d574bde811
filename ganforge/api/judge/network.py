"""The networks of judges: a small residual and a plain one of our own, and the published one of i-CLEVR.

Deep Residual Learning for Image Recognition (He et al., 2015), arXiv:1512.03385; the average
before a shortcut's convolution is that of Bag of Tricks (He et al., 2018), arXiv:1812.01187, figure 2c.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.api.optional import need

OwnArchitecture = Literal["small_resnet", "plain"]
"""What 'ganforge judge train' can train."""
JudgeArchitecture = Literal["small_resnet", "plain", "resnet18"]

STAGES = 4
PLAIN_STAGES = 3
RESNET18_FEATURES = 512


class JudgeNetwork(nn.Module):
    """A body that makes features [N, F] of images [N, C, H, W], and a linear head [N, K] on them."""

    def __init__(self, body: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(features, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images))
        return logits


def build_network(architecture: JudgeArchitecture, channels: int, classes: int, width: int) -> JudgeNetwork:
    """A network with initial weights; `width`: channels of the first stage of those of our own."""
    if architecture == "resnet18":
        return JudgeNetwork(_resnet18(), RESNET18_FEATURES, classes)
    if architecture == "plain":
        return JudgeNetwork(_plain(channels, width), width * 2 ** (PLAIN_STAGES - 1), classes)
    return JudgeNetwork(_small_resnet(channels, width), width * 2 ** (STAGES - 1), classes)


def _plain(channels: int, width: int) -> nn.Module:
    """Three strided convolutions, as in DCGAN's discriminator, and one without a stride: a fifth of the small
    residual network's work, and none of its layers."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
    ]
    for stage in range(1, PLAIN_STAGES):
        outputs = width * 2**stage
        layers += [
            nn.Conv2d(outputs // 2, outputs, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.2),
        ]
    layers += [
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _small_resnet(channels: int, width: int) -> nn.Module:
    """Four stages of one block, each with half the side and twice the width of the previous one."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, width, 5, stride=2, padding=2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    inputs = width
    for stage in range(STAGES):
        outputs = width * 2**stage
        layers.append(_Block(inputs, outputs, halve=stage > 0))
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _resnet18() -> nn.Module:
    """torchvision's, without its last layer."""
    # Imported here: torchvision is slow to import and only imported judges need it.
    body: nn.Module = need("torchvision.models", "a judge of the kind 'resnet18'").resnet18(weights=None)
    body.fc = nn.Identity()
    return body


class _Block(nn.Module):
    """[N, inputs, H, W] -> [N, outputs, H, W], or half the height and width, rounded up."""

    def __init__(self, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2 if halve else 1, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if halve:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(2, ceil_mode=True),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(x)))
        shortcut: Tensor = self.shortcut(x)
        return F.relu(shortcut + self.norm2(self.conv2(inner)))
