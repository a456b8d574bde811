"""The gradient penalties, each against a closed form in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ganforge.api import Critic, Term, UserError, Verdict
from support.plays import PENALTIES, N, make, play
from support.tensors import normal

pytestmark = pytest.mark.numeric

Shape = tuple[int, ...]
each_penalty = pytest.mark.parametrize("name", PENALTIES)
each_input = pytest.mark.parametrize("shape", [(2,), (1, 5, 4), (3, 5, 4)], ids=["points", "grey", "rgb"])
each_output = pytest.mark.parametrize("tail", [(), (1,), (1, 1, 1), (1, 2, 3)], ids=str)


def linear(weight: Tensor, tail: Shape = ()) -> Critic:
    """f(x) = w . x, repeated over the patches of an output [N, *tail]."""

    def critic(x: Tensor, cond: Tensor | None) -> Verdict:
        score = (x * weight).flatten(1).sum(1)
        return Verdict(score.reshape(-1, *[1] * len(tail)).expand(-1, *tail))

    return critic


def quadratic(x: Tensor, cond: Tensor | None) -> Verdict:
    """f(x) = ||x||^2 / 2, whose gradient is x."""
    return Verdict(x.flatten(1).square().sum(1) / 2)


def seen_by(term: Term, real: Tensor, fake: Tensor, cond: Tensor, fake_cond: Tensor) -> tuple[Tensor, Tensor]:
    """The input and the condition at which a penalty asks the critic."""
    asked: list[tuple[Tensor, Tensor]] = []

    def critic(x: Tensor, c: Tensor | None) -> Verdict:
        assert c is not None
        asked.append((x.detach(), c))
        return quadratic(x, c)

    term(play(critic, real, fake, cond=cond, fake_cond=fake_cond))
    (once,) = asked
    return once


@each_input
@each_output
@pytest.mark.parametrize("form", ["wgan_gp", "dragan"])
def test_gradient_penalty_of_a_linear_critic(shape: Shape, tail: Shape, form: str) -> None:
    weight = normal(*shape, seed=1)
    term = make("gradient_penalty", form=form)
    value = term(play(linear(weight, tail), normal(N, *shape, seed=2), normal(N, *shape, seed=3)))
    slope = math.prod(tail) * np.linalg.norm(weight.numpy())
    assert value.shape == ()
    assert value.item() == pytest.approx((slope - 1) ** 2, rel=1e-12)


@pytest.mark.parametrize(
    ("slope", "fields", "expected"),
    [
        (0.25, {}, 0.5625),
        (3.0, {}, 4.0),
        (0.25, {"one_sided": True}, 0.0),
        (3.0, {"one_sided": True}, 4.0),
        (3.0, {"target": 0.5}, 6.25),
        (3.0, {"target": 0.0}, 9.0),
    ],
)
def test_gradient_penalty_target_and_side(slope: float, fields: dict[str, object], expected: float) -> None:
    weight = torch.tensor([0.0, slope], dtype=torch.float64)
    value = make("gradient_penalty", **fields)(play(linear(weight), normal(N, 2), normal(N, 2, seed=1)))
    assert value.item() == pytest.approx(expected, abs=1e-12)


@each_input
def test_gradient_penalty_is_taken_between_real_and_fake(shape: Shape) -> None:
    real, fake = normal(64, *shape, seed=1), normal(64, *shape, seed=2)
    cond, fake_cond = normal(64, 3, seed=3), normal(64, 3, seed=4)
    x_hat, asked_cond = seen_by(make("gradient_penalty"), real, fake, cond, fake_cond)
    # x_hat = t x + (1 - t) G(z) solved for t: the same for all of a sample, another for each sample.
    t = ((x_hat - fake) / (real - fake)).flatten(1)
    torch.testing.assert_close(t, t[:, :1].expand_as(t), rtol=1e-6, atol=1e-6)
    assert 0 <= t.min() < 0.15
    assert 0.85 < t.max() <= 1
    assert torch.equal(asked_cond, cond)


@each_input
def test_dragan_is_taken_around_real_samples(shape: Shape) -> None:
    real, fake = normal(64, *shape, seed=1), normal(64, *shape, seed=2)
    cond = normal(64, 3, seed=3)
    x_hat, asked_cond = seen_by(make("gradient_penalty", form="dragan"), real, fake, cond, cond + 1)
    step = (x_hat - real) / (0.5 * float(np.std(real.numpy())))
    assert 0 <= step.min() < 0.05
    assert 0.6 < step.max() <= 1
    # A product of two independent U(0, 1) has mean 1/4; pixels of one sample differ.
    assert step.mean().item() == pytest.approx(0.25, abs=0.1)
    assert (step.flatten(1).std(1) > 0).all()
    assert torch.equal(asked_cond, cond)


@pytest.mark.parametrize("form", ["wgan_gp", "dragan"])
def test_gradient_penalty_draws_from_the_stream_of_the_update(form: str) -> None:
    def critic(x: Tensor, cond: Tensor | None) -> Verdict:
        return Verdict(x.pow(3).sum(1))

    term = make("gradient_penalty", form=form)
    before = torch.get_rng_state()
    once, again = (play(critic, normal(N, 2), normal(N, 2, seed=1)) for _ in range(2))
    first, second = term(once), term(once)
    assert first == term(again)
    assert first != second
    assert torch.equal(torch.get_rng_state(), before)


@each_input
@pytest.mark.parametrize("name", ["r1", "r2"])
def test_r1_and_r2_of_a_quadratic_critic(name: str, shape: Shape) -> None:
    real, fake = normal(N, *shape, seed=1), normal(N, *shape, seed=2)
    at = real if name == "r1" else fake
    expected = sum(float(np.dot(x, x)) for x in at.flatten(1).numpy()) / N / 2
    assert make(name)(play(quadratic, real, fake)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["r1", "r2"])
@each_output
def test_r1_and_r2_of_a_linear_critic(name: str, tail: Shape) -> None:
    weight = normal(3, 4, 4, seed=1)
    value = make(name)(play(linear(weight, tail), normal(N, 3, 4, 4), normal(N, 3, 4, 4, seed=2)))
    slope = math.prod(tail) * np.linalg.norm(weight.numpy())
    assert value.item() == pytest.approx(slope**2 / 2, rel=1e-12)


def test_r1_and_r2_ask_under_their_own_conditions() -> None:
    real, fake, cond, fake_cond = (normal(N, 3, seed=seed) for seed in range(4))
    for name, at in [("r1", (real, cond)), ("r2", (fake, fake_cond))]:
        x, asked_cond = seen_by(make(name), real, fake, cond, fake_cond)
        assert torch.equal(x, at[0])
        assert torch.equal(asked_cond, at[1])


FORMS: list[tuple[str, dict[str, object]]] = [
    *((name, {}) for name in PENALTIES),
    ("gradient_penalty", {"form": "dragan"}),
    ("gradient_penalty", {"one_sided": True, "target": 0.1}),
]


@pytest.mark.parametrize(("name", "fields"), FORMS, ids=str)
@each_input
def test_gradient_of_penalties(name: str, fields: dict[str, object], shape: Shape) -> None:
    real, fake = normal(N, *shape, seed=1), normal(N, *shape, seed=2)

    def value(weight: Tensor) -> Tensor:
        def critic(x: Tensor, cond: Tensor | None) -> Verdict:
            return Verdict(torch.tanh(x.flatten(1) @ weight).square().sum(1))

        return make(name, **fields)(play(critic, real, fake))

    weight = (normal(math.prod(shape), 3, seed=5) / 4).requires_grad_(True)
    assert torch.autograd.gradcheck(value, (weight,))
    (slope,) = torch.autograd.grad(value(weight), weight)
    assert slope.abs().max() > 0


@each_penalty
def test_penalties_of_a_flat_critic_have_a_finite_gradient(name: str) -> None:
    weight = torch.zeros(2, requires_grad=True)
    value = make(name)(play(linear(weight), torch.randn(N, 2), torch.randn(N, 2)))
    (slope,) = torch.autograd.grad(value, weight)
    assert slope.isfinite().all()


@each_penalty
@each_output
def test_penalties_are_float32_under_autocast(name: str, tail: Shape) -> None:
    weight = normal(12, 1, seed=1).float()

    def exact_critic(x: Tensor, cond: Tensor | None) -> Verdict:
        with torch.autocast("cpu", enabled=False):
            score = x.flatten(1) @ weight
        return Verdict(score.reshape(-1, *[1] * len(tail)).expand(-1, *tail))

    one_play = play(exact_critic, normal(N, 3, 2, 2).float(), normal(N, 3, 2, 2, seed=2).float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = make(name)(one_play)
    slope = math.prod(tail) * float(np.linalg.norm(weight.double().numpy()))
    expected = (slope - 1) ** 2 if name == "gradient_penalty" else slope**2 / 2
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected, rel=1e-5)


@each_penalty
def test_penalties_ask_the_exact_critic(name: str) -> None:
    def rounding(x: Tensor, cond: Tensor | None) -> Verdict:
        raise AssertionError("the penalty asked the critic of the run's precision")

    once = play(quadratic, normal(N, 2), normal(N, 2, seed=1))
    once.critic = rounding
    assert make(name)(once).isfinite()


@each_penalty
def test_penalties_leave_the_generator_alone(name: str) -> None:
    fake = normal(N, 2, seed=1).requires_grad_(True)
    weight = normal(2, seed=2).requires_grad_(True)
    torch.autograd.backward(make(name)(play(linear(weight), normal(N, 2), fake)))
    assert weight.grad is not None
    assert fake.grad is None


@each_penalty
@pytest.mark.parametrize("given", [(2, 2), (1,), (8,), ()], ids=str)
def test_verdict_that_is_not_per_sample_is_explained(name: str, given: Shape) -> None:
    def packed(x: Tensor, cond: Tensor | None) -> Verdict:
        return Verdict(x.sum().expand(given))

    with pytest.raises(UserError) as error:
        make(name)(play(packed, normal(N, 3, 8, 8), normal(N, 3, 8, 8)))
    assert str(error.value) == (
        f"term '{name}' needs one output per sample: for an input of shape [4, 3, 8, 8] the "
        f"discriminator returned logits of shape {list(given)}; expected 4 as their first dimension"
    )


@pytest.mark.parametrize("fields", [{"target": -1.0}, {"form": "wgan-gp"}])
def test_senseless_fields_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make("gradient_penalty", **fields)
