"""The built-in generators and discriminators, one architecture per file."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_architectures.began import BEGAN
from ganforge_architectures.biggan import BigGAN
from ganforge_architectures.dcgan import DCGAN
from ganforge_architectures.mlp import MLP
from ganforge_architectures.r3gan import R3GAN
from ganforge_architectures.resnet import ResNet
from ganforge_architectures.stylegan2 import StyleGAN2
from ganforge_architectures.translator import Translator
from ganforge_architectures.unet import UNet
from ganforge_architectures.upscaler import Upscaler

__all__ = [
    "BEGAN",
    "DCGAN",
    "MLP",
    "R3GAN",
    "BigGAN",
    "ResNet",
    "StyleGAN2",
    "Translator",
    "UNet",
    "Upscaler",
    "ganforge_components",
]


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [BEGAN, BigGAN, DCGAN, MLP, R3GAN, ResNet, StyleGAN2, Translator, UNet, Upscaler]
