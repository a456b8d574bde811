"""Diversity of a batch of fakes from fixed latents, relative to real samples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.api import Architecture, Prior, Samples, Task, mapped
from ganforge.components.results import draw_of
from ganforge.components.team import sampled
from ganforge.engine.data.conditions import conditions
from ganforge.engine.random import generator_for

SIDE = 16
"""Pixels; larger images are downsampled, since noise in single pixels is not diversity."""
LOOKED_AT = 4096
"""Samples searched for partners with the same label."""


class Diversity:
    """Mean distance between two fakes over that between two real samples: about 1 for a good model, 0 for
    one that maps every latent to the same image. If labels repeat, also between two fakes of the same
    label: a conditional model can collapse within each class."""

    def __init__(
        self,
        samples: Samples,
        task: Task,
        prior: Prior,
        nets: Architecture,
        count: int,
        seed: int,
        device: torch.device,
    ) -> None:
        """`count`: number of samples to compare."""
        self.task, self.nets = task, nets
        chosen, self.paired = _choose(samples, count, seed)
        real = samples.images[chosen].to(device)
        if real.dtype == torch.uint8:
            real = real.float() / 127.5 - 1.0
        cond = mapped(lambda each: each.to(device), conditions(samples.labels, chosen))
        self.draw = draw_of(prior, len(chosen), cond, generator_for(seed, "health", device=device))
        self._real = _distances(real, self.paired)

    @torch.no_grad()
    def measure(self, generator: nn.Module) -> dict[str, float]:
        """Name -> ratio, from the generator in evaluation mode, which updates none of its buffers. A
        measure that is constant among the real samples is left out. Synchronizes the device."""
        was_training = generator.training
        generator.eval()
        fake: Tensor = sampled(self.task, generator, self.nets, self.draw).float()
        generator.train(was_training)
        distances = _distances(fake, self.paired)
        return {f"health/{name}": distances[name] / real for name, real in self._real.items() if real > 0}


def _choose(samples: Samples, count: int, seed: int) -> tuple[Tensor, bool]:
    """int64 [n]: sample indices; True if sample i and sample i + n/2 have the same label."""
    rng = generator_for(seed, "health", "samples")
    order = torch.randperm(len(samples), generator=rng)
    if not isinstance(samples.labels, Tensor) or samples.labels.ndim > 2:
        return order[:count], False
    waiting: dict[bytes, int] = {}
    pairs: list[tuple[int, int]] = []
    for index in order[:LOOKED_AT].tolist():
        label = samples.labels[index].cpu().numpy().tobytes()
        if label in waiting:
            pairs.append((waiting.pop(label), index))
        else:
            waiting[label] = index
        if len(pairs) == count // 2:
            first, second = zip(*pairs, strict=True)
            return torch.tensor([*first, *second]), True
    return order[:count], False


def _distances(x: Tensor, paired: bool) -> dict[str, float]:
    """Mean Euclidean distances within `x` [n, ...]: over all pairs, and over those with equal labels."""
    if x.ndim == 4 and max(x.shape[2:]) > SIDE:
        x = F.adaptive_avg_pool2d(x, SIDE)
    flat = x.flatten(1)
    found = {"diversity": float(torch.pdist(flat).mean())}
    if paired:
        half = len(flat) // 2
        found["diversity_within"] = float((flat[:half] - flat[half:]).norm(dim=1).mean())
    return found
