"""The Wasserstein divergence's penalty, against a closed form in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ganforge.api import Critic, Verdict
from support.plays import N, make, play
from support.tensors import normal

pytestmark = pytest.mark.numeric


def linear(weight: Tensor, tail: tuple[int, ...] = ()) -> Critic:
    def critic(x: Tensor, cond: Tensor | None) -> Verdict:
        score = (x * weight).flatten(1).sum(1)
        return Verdict(score.reshape(-1, *[1] * len(tail)).expand(-1, *tail))

    return critic


def quadratic(x: Tensor, cond: Tensor | None) -> Verdict:
    """||x||^2 / 2, whose gradient is x."""
    return Verdict(x.flatten(1).square().sum(1) / 2)


@pytest.mark.parametrize("sampled", ["between", "both"])
@pytest.mark.parametrize("tail", [(), (1, 2, 3)], ids=str)
def test_of_a_linear_critic(sampled: str, tail: tuple[int, ...]) -> None:
    weight = normal(3, 4, 4, seed=1)
    value = make("wgan_div", sampled=sampled)(
        play(linear(weight, tail), normal(N, 3, 4, 4), normal(N, 3, 4, 4))
    )
    slope = math.prod(tail) * np.linalg.norm(weight.numpy())
    assert value.item() == pytest.approx(slope**6, rel=1e-12)


def test_at_real_samples_and_fakes() -> None:
    real, fake = normal(N, 3, seed=1), normal(N, 3, seed=2)
    value = make("wgan_div", sampled="both", power=3)(play(quadratic, real, fake))
    expected = np.mean([np.linalg.norm(x) ** 3 for x in torch.cat([real, fake]).numpy()])
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_between_real_samples_and_fakes() -> None:
    asked: list[tuple[Tensor, Tensor | None]] = []

    def critic(x: Tensor, cond: Tensor | None) -> Verdict:
        asked.append((x.detach(), cond))
        return quadratic(x, cond)

    real, fake, cond = normal(64, 3, seed=1), normal(64, 3, seed=2), normal(64, 2, seed=3)
    make("wgan_div")(play(critic, real, fake, cond=cond, fake_cond=cond + 1))
    ((x_hat, shown),) = asked
    t = (x_hat - fake) / (real - fake)
    torch.testing.assert_close(t, t[:, :1].expand_as(t), rtol=1e-6, atol=1e-6)
    assert 0 <= t.min() < 0.15
    assert 0.85 < t.max() <= 1
    assert shown is cond


def test_a_flat_critic_has_a_gradient() -> None:
    weight = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    value = make("wgan_div")(play(linear(weight), normal(N, 3), normal(N, 3, seed=1)))
    (slope,) = torch.autograd.grad(value, weight)
    assert value == 0
    assert not slope.any()


def test_senseless_fields_are_refused() -> None:
    with pytest.raises(ValidationError):
        make("wgan_div", power=1.0)
