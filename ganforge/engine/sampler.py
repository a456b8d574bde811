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
    ) -> None:
        """`labels` [M, K] are what conditions are drawn from where none are asked for."""
        self.network = network
        self.prior = prior
        self.spec = spec
        self.device = torch.device(device)
        self.labels = labels

    @torch.no_grad()
    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        """`n` samples [n, *shape] on the CPU, float32, in [-1, 1] for images; `cond` [n, K]."""
        if cond is None and self.labels is not None:
            cond = self.conditions(n, seed)
        was_training = self.network.training
        self.network.eval()
        chunks = []
        for start in range(0, n, CHUNK):
            rows = range(start, min(start + CHUNK, n))
            draw = self._draw(rows, seed, cond)
            images: Tensor = self.network(draw.z, draw.cond)
            chunks.append(images.float().cpu())
        self.network.train(was_training)
        return torch.cat(chunks)

    def conditions(self, n: int, seed: int) -> Tensor:
        """`n` rows [n, K] of the training labels, drawn with replacement."""
        assert self.labels is not None
        chosen = torch.randint(len(self.labels), (n,), generator=generator_for(seed, "conditions"))
        return self.labels[chosen.to(self.labels.device)].float().cpu()

    def _draw(self, rows: range, seed: int, cond: Tensor | None) -> Draw:
        """One stream a sample, on the CPU: neither the batch nor the device changes an image."""
        rng = torch.Generator()
        draws = []
        for row in rows:
            rng.manual_seed(stream_seed(seed, "sample", row))
            draws.append(self.prior.sample(1, None, rng))
        z = torch.cat([draw.z for draw in draws]).to(self.device)
        return Draw(z, None if cond is None else cond[rows.start : rows.stop].to(self.device), {})
