"""Path length: a step in the latent space shall change the image by a fixed amount.

Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), arXiv:1912.04958, section 3.2,
equation 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import Field, Play, Role, Scheduled, Term, UserError, memory, rows


class PathLength(Term):
    """E (||J^T y||_2 - a)^2, where J is the derivative of G's image with respect to its latent, y is
    Gaussian noise of variance 1 / (H W), and a is the running mean of ||J^T y||_2, which resumes.

    Of a generator with the parts `mapping` and `synthesis`, the latent is w [N, L, W], and the square of
    the norm is the mean over its L copies, one a layer, as in the authors' code; of others it is z. In
    float32. In the log: `estimate/path_length`, which is a.
    """

    type: Literal["path_length"] = "path_length"
    example: ClassVar[Mapping[str, Any]] = {
        "nets": {"type": "stylegan2", "channel_max": 4, "w_dim": 4, "mapping_layers": 1}
    }
    source: ClassVar[str] = (
        "Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), arXiv:1912.04958, "
        "section 3.2, equation 4"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    weight: Scheduled = Field(2.0, description="Weight of the term.")
    every: int = Field(
        4, ge=1, description="Apply once in this many updates of G, scaled up by as much; 1 = at each update."
    )
    decay: float = Field(0.99, ge=0, lt=1, description="Of the running mean of the lengths.")
    shrink: int = Field(2, ge=1, description="Divides the batch: the term sees that part of it.")

    _mean: Tensor = memory(0.0)

    def __call__(self, play: Play) -> Tensor:
        generator = play.generator
        if not isinstance(generator, nn.Module) or isinstance(generator, nn.ModuleDict):
            raise UserError(
                "term 'path_length': expected a generator that is one network, from latents to images, got "
                "a side of several; remove the term, or use task 'generate'"
            )
        # Every `shrink`-th one, so that the samples are the same ones for any number of processes.
        cond = None if play.draw.cond is None else play.draw.cond[:: self.shrink]
        lengths = self._lengths(play, generator, play.draw.z[:: self.shrink], cond)  # [n]
        with torch.no_grad():
            self._mean.lerp_(play.mean(lengths.mean()).to(self._mean.dtype), 1 - self.decay)
        return (lengths - self._mean.clone()).square().mean()

    def estimates(self, play: Play) -> dict[str, Tensor]:
        return {"path_length": self._mean}

    def _lengths(self, play: Play, generator: Any, z: Tensor, cond: Tensor | None) -> Tensor:
        """||J^T y||_2 of each latent, differentiable: [n]."""
        layered = {"mapping", "synthesis"} <= {name for name, _ in generator.named_children()}
        with torch.autocast(z.device.type, enabled=False):
            latent = generator.get_submodule("mapping")(z, cond) if layered else z.detach()
            if not latent.requires_grad:  # as from a mapping that is frozen
                latent.requires_grad_(True)
            fake = generator.get_submodule("synthesis")(latent) if layered else generator(latent, cond)

            def draw(n: int, rng: torch.Generator) -> Tensor:
                return torch.randn(n, *fake.shape[1:], generator=rng, device=fake.device)

            y = rows(play.rng, len(z), draw).to(fake.dtype) / math.sqrt(math.prod(fake.shape[2:]))
            (gradient,) = torch.autograd.grad((fake * y).sum(), latent, create_graph=True)
        squares = gradient.square().flatten(1).sum(1)  # [n]
        # A square root has no derivative at 0, where all of a batch may be at the start.
        return (squares / (latent.shape[1] if layered else 1) + 1e-12).sqrt()
