"""The optimizers: each takes its paper's steps, written out in float64 numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

import ganforge_optimizers
from ganforge.api import Optimizer

pytestmark = pytest.mark.numeric

OPTIMIZERS = {c.type_name(): c for c in ganforge_optimizers.ganforge_components()}
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)

GRADIENTS = np.random.default_rng(0).normal(size=(6, 3))
START = np.array([1.0, -2.0, 0.5])


def make(name: str, **fields: object) -> Optimizer:
    return OPTIMIZERS[name].model_validate({"type": name, **fields})


def run(optimizer: Optimizer) -> np.ndarray:
    weights = nn.Parameter(torch.tensor(START))
    torch_optimizer = optimizer.build(iter([weights]))
    for gradient in GRADIENTS:
        weights.grad = torch.tensor(gradient)
        torch_optimizer.step()
    return weights.detach().numpy()


def adam(lr: float, b1: float, b2: float, eps: float, decay: float = 0.0) -> np.ndarray:
    w, m, v = START.copy(), np.zeros(3), np.zeros(3)
    for t, g in enumerate(GRADIENTS, start=1):
        w -= lr * decay * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w -= lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return w


def rmsprop(lr: float, alpha: float, eps: float, momentum: float) -> np.ndarray:
    w, v, step = START.copy(), np.zeros(3), np.zeros(3)
    for g in GRADIENTS:
        v = alpha * v + (1 - alpha) * g**2
        step = momentum * step + g / (np.sqrt(v) + eps)
        w -= lr * step
    return w


def sgd(lr: float, momentum: float) -> np.ndarray:
    w, step = START.copy(), np.zeros(3)
    for g in GRADIENTS:
        step = momentum * step + g
        w -= lr * step
    return w


PAPER: list[tuple[str, dict[str, object], Callable[[], np.ndarray]]] = [
    ("adam", {}, lambda: adam(2e-4, 0.5, 0.999, 1e-8)),
    ("adam", {"lr": 0.1, "betas": (0.0, 0.9), "eps": 0.1}, lambda: adam(0.1, 0.0, 0.9, 0.1)),
    ("adamw", {}, lambda: adam(2e-4, 0.5, 0.999, 1e-8, 0.01)),
    (
        "adamw",
        {"lr": 0.1, "betas": (0.0, 0.9), "eps": 0.1, "weight_decay": 0.3},
        lambda: adam(0.1, 0.0, 0.9, 0.1, 0.3),
    ),
    ("rmsprop", {}, lambda: rmsprop(5e-5, 0.99, 1e-8, 0.0)),
    (
        "rmsprop",
        {"lr": 0.1, "alpha": 0.5, "eps": 0.1, "momentum": 0.9},
        lambda: rmsprop(0.1, 0.5, 0.1, 0.9),
    ),
    ("sgd", {}, lambda: sgd(1e-2, 0.0)),
    ("sgd", {"lr": 0.1, "momentum": 0.9}, lambda: sgd(0.1, 0.9)),
]


@pytest.mark.parametrize(("name", "fields", "expected"), PAPER, ids=[f"{n}-{f}" for n, f, _ in PAPER])
def test_steps(name: str, fields: dict[str, object], expected: Callable[[], np.ndarray]) -> None:
    np.testing.assert_allclose(run(make(name, **fields)), expected(), rtol=1e-12)


def test_every_optimizer_has_its_steps_checked() -> None:
    assert {name for name, _, _ in PAPER} == set(OPTIMIZERS)
    assert all(optimizer.source for optimizer in OPTIMIZERS.values())


@each_optimizer
def test_fused_wherever_torch_can(name: str) -> None:
    built = make(name).build([nn.Parameter(torch.zeros(2))])
    assert built.defaults.get("fused") is (None if name == "rmsprop" else True)
    on_meta = make(name).build([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2, device="meta"))])
    assert on_meta.defaults.get("fused") is None


@each_optimizer
def test_the_learning_rate_can_follow_a_schedule(name: str) -> None:
    built = make(name, lr=1.0).build([weights := nn.Parameter(torch.ones(2))])
    weights.grad = torch.ones(2)
    built.param_groups[0]["lr"] = 0.0
    built.step()
    assert torch.equal(weights, torch.ones(2))
    built.param_groups[0]["lr"] = 0.1
    built.step()
    assert (weights < 1).all()


@each_optimizer
def test_state_survives_a_save(name: str) -> None:
    def half_way() -> tuple[nn.Parameter, torch.optim.Optimizer]:
        weights = nn.Parameter(torch.tensor(START))
        return weights, make(name).build([weights])

    weights, built = half_way()
    for gradient in GRADIENTS[:3]:
        weights.grad = torch.tensor(gradient)
        built.step()
    resumed, fresh = half_way()
    fresh.load_state_dict(built.state_dict())
    resumed.data.copy_(weights.data)
    for gradient in GRADIENTS[3:]:
        resumed.grad = torch.tensor(gradient)
        fresh.step()
    np.testing.assert_array_equal(resumed.detach().numpy(), run(make(name)))


def test_a_run_file_gives_lists() -> None:
    built = OPTIMIZERS["adam"].model_validate_json('{"type": "adam", "lr": 1, "betas": [0, 0.9]}')
    assert built.model_dump() == {"type": "adam", "lr": 1.0, "betas": (0.0, 0.9), "eps": 1e-8, "lazy": 0}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("adam", {"lr": 0.0}),
        ("adam", {"betas": (0.5, 1.0)}),
        ("adamw", {"weight_decay": -0.1}),
        ("rmsprop", {"alpha": 1.0}),
        ("sgd", {"momentum": 1.0}),
    ],
)
def test_senseless_fields_are_refused(name: str, fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make(name, **fields)


def test_adam_is_corrected_for_a_lazy_term() -> None:
    share = 16 / 17
    found = run(make("adam", lr=0.01, betas=(0.5, 0.99), lazy=16))
    np.testing.assert_allclose(found, adam(0.01 * share, 0.5**share, 0.99**share, 1e-8), rtol=1e-6)
    optimizer = make("adam", lr=0.01, betas=(0.0, 0.99), lazy=4)
    assert optimizer.rate() == 0.008
    assert optimizer.scheduled() == {"betas": (0.0, 0.99**0.8)}
    assert make("adam", lr=0.01).rate() == 0.01
