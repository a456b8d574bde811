"""Sampling from a generator: the same image for the same seed and index, whatever the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganforge.api import DataSpec, Draw, Prior
from ganforge.engine.streams import generator_for, stream_seed

CHUNK = 64


class GeneratorSampler:
    """Draws from a generator in evaluation mode."""

    def __init__(
        self,
        network: nn.Module,
        prior: Prior,
        spec: DataSpec,
        device: torch.device | str = "cpu",
        labels: Tensor | None = None,
        truncation: float | None = None,
    ) -> None:
        """`labels` [M, K] are what conditions are drawn from where none are asked for;
        `truncation`: see `Prior.truncated`."""
        self.network = network
        self.prior = prior
        self.spec = spec
        self.device = torch.device(device)
        self.labels = labels
        self.truncation = truncation

    @torch.no_grad()
    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        """`n` samples [n, *shape] on the CPU, float32, in [-1, 1] for images; `cond` [n, K]."""
        return self.draw(n, seed, cond)[0]

    def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
        """Samples as from `sample`, and the draw they were made from, on the CPU."""
        if cond is None and self.labels is not None:
            cond = self.conditions(n, seed)
        latents = self.latents(n, seed)
        return self.generate(latents.z, cond), Draw(latents.z, cond, latents.codes)

    @torch.no_grad()
    def generate(self, z: Tensor, cond: Tensor | None) -> Tensor:
        """What the generator makes of `z` [n, Z] and `cond` [n, K]: [n, *shape] on the CPU."""
        was_training = self.network.training
        self.network.eval()
        chunks = []
        for start in range(0, len(z), CHUNK):
            part = slice(start, start + CHUNK)
            wanted = None if cond is None else cond[part].to(self.device)
            images: Tensor = self.network(z[part].to(self.device), wanted)
            chunks.append(images.float().cpu())
        self.network.train(was_training)
        return torch.cat(chunks)

    def conditions(self, n: int, seed: int) -> Tensor:
        """`n` rows [n, K] of the training labels, drawn with replacement."""
        assert self.labels is not None
        chosen = torch.randint(len(self.labels), (n,), generator=generator_for(seed, "conditions"))
        return self.labels[chosen.to(self.labels.device)].float().cpu()

    def latents(self, n: int, seed: int) -> Draw:
        """`n` latents without conditions: one stream a sample, on the CPU, so that neither the
        batch nor the device changes an image."""
        rng = torch.Generator()
        draws = []
        for index in range(n):
            rng.manual_seed(stream_seed(seed, "sample", index))
            draws.append(self.prior.sample(1, None, rng))
        codes = {name: torch.cat([draw.codes[name] for draw in draws]) for name in draws[0].codes}
        z = torch.cat([draw.z for draw in draws])
        if self.truncation is not None:
            z = self.prior.truncated(z, self.truncation)
        return Draw(z, None, codes)
