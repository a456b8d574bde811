"""The path length of a linear generator, by its matrix; the running mean; refusals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ganforge.api import Draw, Play, UserError
from support.plays import make
from support.tensors import normal

pytestmark = pytest.mark.numeric

SIZE = (3, 4, 5)


class Linear(nn.Module):
    """G(z) = A z + (a shift by the condition)."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(normal(math.prod(SIZE), 6, seed=1))

    def forward(self, z: Tensor, cond: Tensor | None) -> Tensor:
        shift = 0 if cond is None else cond.sum(1, keepdim=True)
        return (z @ self.matrix.T + shift).reshape(-1, *SIZE)


class Spread(nn.Module):
    def forward(self, z: Tensor, cond: Tensor | None) -> Tensor:
        return torch.tanh(z)[:, None].expand(-1, 3, -1)


class Mixed(nn.Module):
    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = matrix

    def forward(self, w: Tensor) -> Tensor:
        mixed = w[:, 0] + 2 * w[:, 1] - 3 * w[:, 2]
        return (mixed @ self.matrix.T).reshape(-1, *SIZE)


class Layered(nn.Module):
    """The same from three copies of the latent, each with a factor of its own."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.mapping, self.synthesis = Spread(), Mixed(matrix)


def play(generator: nn.Module | None, z: Tensor, cond: Tensor | None = None, seed: int = 0) -> Play:
    x = torch.zeros(len(z), *SIZE)
    rng = torch.Generator().manual_seed(seed)
    return Play("g", x, cond, x, Draw(z, cond, {}), None, None, rng, generator=generator)  # type: ignore[arg-type]


def noise(n: int, seed: int) -> Tensor:
    return torch.randn(n, *SIZE, generator=torch.Generator().manual_seed(seed)).double() / math.sqrt(4 * 5)


@pytest.mark.parametrize("conditional", [False, True])
def test_of_a_linear_generator(conditional: bool) -> None:
    generator, mean = Linear(), 0.0
    term = make("path_length", decay=0.9, shrink=2).copied()
    for seed in range(3):
        z = normal(8, 6, seed=seed)
        value = term(play(generator, z, torch.ones(8, 2).double() if conditional else None, seed))
        lengths = torch.linalg.vector_norm(noise(4, seed).flatten(1) @ generator.matrix.detach(), dim=1)
        mean = 0.9 * mean + 0.1 * float(lengths.mean())
        assert value.item() == pytest.approx(float((lengths - mean).square().mean()), rel=1e-6)
        assert term.estimates(play(generator, z))["path_length"].item() == pytest.approx(mean, rel=1e-6)


def test_of_a_generator_in_layers() -> None:
    matrix = normal(math.prod(SIZE), 6, seed=1)
    term = make("path_length", shrink=1).copied()
    value = term(play(Layered(matrix), normal(4, 6)))
    single = (noise(4, 0).flatten(1) @ matrix).square().sum(1)
    lengths = (single * (1 + 4 + 9) / 3).sqrt()
    assert value.item() == pytest.approx(float((lengths - 0.01 * lengths.mean()).square().mean()), rel=1e-6)


def test_its_gradient() -> None:
    z, matrix = normal(4, 6), normal(math.prod(SIZE), 6, seed=1)

    def of(matrix: Tensor) -> Tensor:
        return make("path_length").copied()(play(Layered(matrix), z))

    # The running mean is a constant, as in the paper, so a slope along it is not part of the gradient.
    inputs = matrix.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(of(inputs), inputs)
    lengths = torch.linalg.vector_norm(noise(2, 0).flatten(1) @ matrix, dim=1) * math.sqrt(14 / 3)
    y = noise(2, 0).flatten(1)
    pulled = (y @ matrix) * (14 / 3) / lengths[:, None]
    want = (2 * (lengths - 0.01 * lengths.mean()) / 2)[:, None, None] * y[:, :, None] * pulled[:, None]
    torch.testing.assert_close(slope, want.sum(0), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("generator", [None, nn.ModuleDict({"ab": Linear()})])
def test_a_side_of_several_networks_is_refused(generator: nn.Module | None) -> None:
    with pytest.raises(UserError) as refusal:
        make("path_length")(play(generator, normal(4, 6)))
    assert str(refusal.value) == (
        "term 'path_length': expected a generator that is one network, from latents to images, got a side of "
        "several; remove the term, or use task 'generate'"
    )
