"""Activations of a frozen network, read from a judge's folder or from a file of VGG's weights."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ganforge.api import DataSpec, UserError
from ganforge.api.judge.judge import load_judge

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of red, green and blue between 0 and 1, as torchvision's networks expect them."""
VGG_KEY = re.compile(r"(?:features\.)?(\d+)\.(weight|bias)")


class Stages(nn.Module):
    """x [N, C, H, W] in [-1, 1] -> the activations after each stage."""

    def __init__(self, stages: list[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)  # [N, channels, h, w]
            found.append(x)
        return found


class ImageNetColors(nn.Module):
    """Images in [-1, 1], grey ones as color, in the scale that torchvision's networks expect."""

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(-1, 3, -1, -1)
        return (x * 0.5 + 0.5 - self.get_buffer("mean")) / self.get_buffer("std")


def frozen_features(path: Path, spec: DataSpec, term: str) -> Stages:
    """The network in `path`. Raises `UserError`, on behalf of the term called `term`, for data that are no
    images, and for what is missing, damaged or of another form."""
    if not spec.is_image:
        raise UserError(f"term '{term}' needs images, got samples of shape {spec.shape}; remove the term")
    if path.suffix == ".safetensors" and path.name != "weights.safetensors":
        return _vgg(path, spec, term)
    judge = load_judge(path)
    judge.refuse_misfit(spec, labels=False)
    return Stages(_by_stage(list(judge.network.body.children())))


def _by_stage(layers: list[nn.Module]) -> list[nn.Module]:
    """The layers of a residual network in pieces that each end with a stage of blocks; the average over
    pixels and what follows is left out."""
    simple = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d)
    stages: list[nn.Module] = []
    piece: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            break
        piece.append(layer)
        if not isinstance(layer, simple):
            stages.append(nn.Sequential(*piece))
            piece = []
    return stages


def _vgg(path: Path, spec: DataSpec, term: str) -> Stages:
    """VGG without batch norm: a piece ends before each pooling."""
    channels = spec.shape[0]
    if channels not in (1, 3):
        raise UserError(
            f"term '{term}': VGG takes images of 1 or 3 channels, got {channels}; name a judge's folder"
        )
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: expected a safetensors file with VGG's weights: {error}") from None
    convolutions: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        # Its classifier, which has other names or other shapes, is not needed.
        if (match := VGG_KEY.fullmatch(key)) is not None:
            convolutions.setdefault(int(match[1]), {})[match[2]] = tensor.float()
    if 0 not in convolutions or any(set(each) != {"weight", "bias"} for each in convolutions.values()):
        raise UserError(
            f"{path}: expected VGG's weights as torchvision names them (features.0.weight, features.0.bias, "
            f"features.2.weight, ...), got {', '.join(sorted(tensors)[:4]) or 'none'}"
        )
    return Stages(_pieces(path, convolutions))


def _pieces(path: Path, convolutions: dict[int, dict[str, Tensor]]) -> list[nn.Module]:
    pieces: list[nn.Module] = []
    piece: list[nn.Module] = [ImageNetColors()]
    inputs, last = 3, 0
    for number, tensors in sorted(convolutions.items()):
        weight = tensors["weight"]
        if weight.ndim != 4 or weight.shape[1:] != (inputs, 3, 3):
            raise UserError(
                f"{path}: features.{number}.weight: expected a 3x3 convolution of {inputs} channels, got "
                f"shape {list(weight.shape)}"
            )
        # Between two convolutions lies a ReLU, or a ReLU and a pooling.
        if number - last > 2:
            pieces.append(nn.Sequential(*piece))
            piece = [nn.MaxPool2d(2)]
        conv = nn.Conv2d(inputs, len(weight), 3, padding=1)
        conv.load_state_dict(tensors)
        piece += [conv, nn.ReLU()]
        inputs, last = len(weight), number
    return [*pieces, nn.Sequential(*piece)]
