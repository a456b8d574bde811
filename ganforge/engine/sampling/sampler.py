"""Sampling from a generator: the same image for the same seed and index, whatever the batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ganforge.api import Architecture, DataSpec, Draw, Prior, Task, Tree, mapped, taken
from ganforge.components.faults import blame
from ganforge.components.results import check_samples, draw_of
from ganforge.components.team import sampled
from ganforge.engine.data.conditions import conditions, count
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.random import generator_for, stream_seed

CHUNK = 64


class GeneratorSampler:
    """Draws from a generator in evaluation mode."""

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        prior: Prior,
        nets: Architecture,
        spec: DataSpec,
        device: torch.device | str = "cpu",
        labels: Tree = None,
        truncation: float | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """`labels` [M, K]: conditions are drawn from these if none are given; `truncation`: see
        `Architecture.truncate` and `Prior.truncated`; `runtime`: the processes that share the work."""
        self.network = network
        self.task = task
        self.prior = prior
        self.nets = nets
        self.spec = spec
        self.device = torch.device(device)
        self.labels = labels
        if truncation is not None and nets.truncate(network, truncation):
            truncation = None
        self.truncation = truncation
        """Of latents; None where the generator truncates by itself."""
        self.runtime = runtime

    @torch.no_grad()
    def sample(self, n: int, seed: int, cond: Tree = None) -> Tensor:
        """`n` samples [n, *shape] on the CPU, float32, in [-1, 1] for images; `cond` [n, K]."""
        return self.draw(n, seed, cond)[0]

    def draw(self, n: int, seed: int, cond: Tree = None) -> tuple[Tensor, Draw]:
        """Samples as from `sample`, and the latents they were made from, on the CPU."""
        if cond is None and self.labels is not None:
            cond = self.conditions(n, seed)
        latents = self.latents(n, seed)
        return self.generate(latents.z, cond), Draw(latents.z, cond, latents.codes)

    @torch.no_grad()
    def generate(self, z: Tensor, cond: Tree) -> Tensor:
        """The generator's output for `z` [n, z_dim] and `cond` [n, K]: [n, *shape] on the CPU.

        Processes divide the chunks among them; all must request the same, and all get the whole.
        """
        was_training = self.network.training
        self.network.eval()
        parts = [slice(start, start + CHUNK) for start in range(0, len(z), CHUNK)]
        if self.runtime is None or self.runtime.world == 1:
            chunks = [self._chunk(z[part], taken(cond, part)).cpu() for part in parts]
        else:
            chunks = list(self._shared(parts, z, cond, self.runtime))
        self.network.train(was_training)
        return torch.cat(chunks)

    def _shared(self, parts: list[slice], z: Tensor, cond: Tree, runtime: Runtime) -> Iterator[Tensor]:
        """The chunks in order, each computed by one process and broadcast to all."""
        for buffer in self.network.buffers():
            # BatchNorm's statistics differ between processes, and the checkpoint has the main one's.
            runtime.broadcast(buffer)
        for first in range(0, len(parts), runtime.world):
            turn = parts[first : first + runtime.world]
            mine = torch.zeros(CHUNK, *self.spec.shape, device=self.device)
            if runtime.rank < len(turn):
                part = turn[runtime.rank]
                images = self._chunk(z[part], taken(cond, part))
                mine[: len(images)] = images
            runtime.raise_if_stopped()
            everyone = runtime.gather(mine).cpu()
            for part, images in zip(turn, everyone, strict=False):
                yield images[: len(z[part])]

    def _chunk(self, z: Tensor, cond: Tree) -> Tensor:
        """At most `CHUNK` samples, on the device."""
        latents, wanted = z.to(self.device), mapped(lambda each: each.to(self.device), cond)
        images: Tensor = sampled(self.task, self.network, self.nets, Draw(latents, wanted, {}))
        check_samples(images, self.nets, (len(latents), *self.spec.shape))
        return images.float()

    def conditions(self, n: int, seed: int) -> Tree:
        """`n` conditions [n, K] of the training data, drawn with replacement."""
        chosen = torch.randint(count(self.labels), (n,), generator=generator_for(seed, "conditions"))
        return mapped(Tensor.cpu, conditions(self.labels, chosen))

    def latents(self, n: int, seed: int) -> Draw:
        """`n` latents without conditions: one random stream per sample, on the CPU, so that neither the
        batch size nor the device changes an image."""
        rng = torch.Generator()
        draws = []
        for index in range(n):
            rng.manual_seed(stream_seed(seed, "sample", index))
            draws.append(draw_of(self.prior, 1, None, rng))
        codes = {name: torch.cat([draw.codes[name] for draw in draws]) for name in draws[0].codes}
        z = torch.cat([draw.z for draw in draws])
        if self.truncation is not None:
            with blame(self.prior, "truncated"):
                z = self.prior.truncated(z, self.truncation)
        return Draw(z, None, codes)
