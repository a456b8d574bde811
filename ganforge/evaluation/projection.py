"""Projection: the latent whose sample is nearest to an image.

Generative Visual Manipulation on the Natural Image Manifold (Zhu et al., 2016), arXiv:1609.03552,
section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ganforge.api import DataSpec, Draw, Tree, UserError, mapped, taken
from ganforge.components.team import sampled
from ganforge.evaluation.sample import TrainedGenerator, condition_rows

CANDIDATES = 64
"""Latents of which the nearest is the first guess."""
LEARNING_RATE = 0.05
SCALES = 3
"""The error is averaged over the image and its halves: far from the image, only coarse pixels have a useful
gradient."""


@dataclass(frozen=True)
class Projection:
    """The nearest sample that was found, and its distance."""

    target: Tensor
    """[C, H, W]"""
    start: Tensor
    """The nearest of the candidates, [C, H, W]."""
    image: Tensor
    z: Tensor
    """[1, Z]"""
    cond: Tree
    rmse: float
    """Root mean square error of the pixels, in [-1, 1]: 0 is best, 2 the largest possible."""

    @property
    def psnr(self) -> float:
        """Decibels, of the range 2."""
        return math.inf if self.rmse == 0 else 20 * math.log10(2 / self.rmse)


def project(
    generator: TrainedGenerator,
    target: Tensor,
    wanted: Tree,
    steps: int,
    seed: int,
    shown: Callable[[int, float], None] = lambda step, rmse: None,
) -> Projection:
    """Minimizes the error by Adam, from the nearest of `CANDIDATES` latents of the seed; the learning rate
    decays to 0. The condition is the first of `wanted`, or that of the nearest candidate."""
    sampler = generator.sampler
    z = sampler.latents(CANDIDATES, seed).z
    if wanted is None:
        cond = condition_rows(generator.spec.labels, [], CANDIDATES, seed)
    else:
        cond = taken(wanted, torch.zeros(CANDIDATES, dtype=torch.long))
    images = sampler.generate(z, cond)
    errors = torch.stack([_error(image[None], target[None]) for image in images])
    nearest = int(errors.argmin())
    start = images[nearest]
    best, lowest = z[nearest : nearest + 1], float(errors[nearest])
    device = sampler.device
    goal = target[None].to(device)
    chosen = mapped(lambda each: each[nearest : nearest + 1].to(device), cond)
    sampler.network.eval().requires_grad_(False)
    latent = best.clone().to(device).requires_grad_()
    optimizer = torch.optim.Adam([latent], lr=LEARNING_RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        image = sampled(sampler.task, sampler.network, sampler.nets, Draw(latent, chosen, {}))
        error = _error(image.float(), goal)
        if float(error.detach()) < lowest:
            best, lowest = latent.detach().cpu().clone(), float(error.detach())
        optimizer.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        shown(step + 1, math.sqrt(float(F.mse_loss(image.detach(), goal))))
    cond = mapped(Tensor.cpu, chosen)
    found = sampler.generate(best, cond)[0]
    return Projection(target, start, found, best, cond, math.sqrt(float(F.mse_loss(found, target))))


def read_target(file: Path, spec: DataSpec) -> tuple[Tensor, bool]:
    """The image [C, H, W] in [-1, 1], and whether it was resized to the size of the samples.

    Raises `UserError` for what is no image, and for samples that are not gray or RGB.
    """
    if not spec.is_image or spec.shape[0] not in (1, 3):
        raise UserError(f"only gray and RGB images can be projected; the samples are of shape {spec.shape}")
    channels, height, width = spec.shape
    try:
        with Image.open(file) as opened:
            picture = opened.convert("L" if channels == 1 else "RGB")
    except UnidentifiedImageError:
        raise UserError(f"{file}: not an image") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from None
    resized = picture.size != (width, height)
    if resized:
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(picture)).view(height, width, channels).permute(2, 0, 1)
    return pixels.float() / 127.5 - 1, resized


def _error(image: Tensor, target: Tensor) -> Tensor:
    """Mean square error [] of [1, C, H, W], averaged over `SCALES` scales."""
    total = F.mse_loss(image, target)
    scales = 1
    while scales < SCALES and min(image.shape[2:]) >= 4:
        image, target = F.avg_pool2d(image, 2), F.avg_pool2d(target, 2)
        total = total + F.mse_loss(image, target)
        scales += 1
    return total / scales
