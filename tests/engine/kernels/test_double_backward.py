"""The engine's convolutions for gradient penalties: torch's numbers, and none of its detours."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.utils.checkpoint import checkpoint

from ganforge.api import Architecture, DataSpec, Play, Role, Term
from ganforge.engine.kernels.convolution_autograd import twice_differentiable_conv2d
from ganforge.engine.kernels.double_backward import TwiceDifferentiable
from ganforge_architectures.dcgan import DCGAN
from ganforge_architectures.r3gan import R3GAN
from ganforge_architectures.resnet import ResNet
from support.convolutions import Torchs
from support.tensors import normal
from support.toys import toy_config, toy_loop

SPEC = DataSpec(shape=(3, 32, 32))
CRITICS: dict[str, Architecture] = {
    "dcgan": DCGAN(width=4, d_norm="none"),
    "dcgan, layer norm": DCGAN(width=4, d_norm="layer"),
    "dcgan, batch norm": DCGAN(width=4),
    "resnet": ResNet(g_width=4, d_width=4),
    "resnet, spectral norm": ResNet(g_width=4, d_width=4, spectral_norm=True, norm="layer"),
    "resnet, attention": ResNet(g_width=4, d_width=8, attention=16),
    "r3gan": R3GAN(width=16, blocks=1, group_width=4),
}
OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu, in place": lambda x: F.relu(x * 1, inplace=True),
    "relu_": lambda x: (x * 1).relu_(),
    "relu_ of a view": lambda x: (x * 1).flatten(1).relu_(),
    "torch.relu": torch.relu,
    "torch.relu_": lambda x: torch.relu_(x * 1),
    "leaky relu": lambda x: F.leaky_relu(x, 0.2),
    "leaky relu, in place": lambda x: F.leaky_relu_(x * 1, 0.2),
    "leaky relu, rising to the left": lambda x: F.leaky_relu(x, -0.5),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
    "pad": lambda x: F.pad(x, (1, 2, 0, 1), value=0.5),
    "pad, mirrored": lambda x: F.pad(x, (1, 2, 3, 1), mode="reflect"),
}


def critic(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = CRITICS[name].build(SPEC, 8, {}).discriminator.double().to(memory_format=torch.channels_last)
    for parameter in network.parameters():
        # None is 0, which would hide what depends on it.
        nn.init.normal_(parameter, std=0.3)
    return network


def penalized(network: nn.Module, ours: bool) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Logits, input gradients, and the gradient of logits and penalty together for each weight."""
    torch.manual_seed(1)
    network.zero_grad()
    x = normal(4, 3, 32, 32, seed=2).to(memory_format=torch.channels_last).requires_grad_(True)
    with TwiceDifferentiable() if ours else contextlib.nullcontext():
        logits = network(x, None).logits
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    (logits.square().mean() + gradient.flatten(1).norm(dim=1).sub(1).square().mean()).backward()
    grads = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in network.named_parameters()}
    return logits.detach(), gradient.detach(), grads


@pytest.mark.parametrize("name", CRITICS)
def test_a_penalty_is_that_of_torch(name: str) -> None:
    network = critic(name).eval()  # of spectral norm, lest each pass move its vectors
    network.train("spectral" not in name)
    logits, gradient, weights = penalized(network, ours=True)
    expected_logits, expected_gradient, expected = penalized(network, ours=False)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-10)
    assert weights.keys() == expected.keys()
    for key, weight in weights.items():
        torch.testing.assert_close(weight, expected[key], rtol=1e-8, atol=1e-10, msg=key)


@pytest.mark.parametrize("stride", [1, 2, (1, 2)])
@pytest.mark.parametrize("padding", [0, (1, 2), "valid"])
@pytest.mark.parametrize(("dilation", "groups"), [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_a_convolution_has_the_first_and_second_derivatives_of_one(
    stride: Any, padding: Any, dilation: int, groups: int, bias: bool
) -> None:
    inputs = (
        normal(2, 4, 6, 7, seed=1).requires_grad_(True),
        normal(2, 4 // groups, 2, 3, seed=2).requires_grad_(True),
        *([normal(2, seed=3).requires_grad_(True)] if bias else []),
    )

    def convolved(*inputs: Tensor) -> Tensor:
        x, weight, shift = (*inputs, None)[:3]
        return twice_differentiable_conv2d(x, weight, shift, stride, padding, dilation, groups)  # type: ignore[arg-type]

    x, weight, *shift = inputs
    expected = F.conv2d(x, weight, shift[0] if shift else None, stride, padding, dilation, groups)
    torch.testing.assert_close(convolved(*inputs), expected)
    assert gradcheck(convolved, inputs)
    assert gradgradcheck(convolved, inputs)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_the_first_and_second_derivatives_of_torchs(name: str) -> None:
    operation = OPERATIONS[name]

    def ours(x: Tensor) -> Tensor:
        with TwiceDifferentiable():
            return operation(x)

    x = normal(2, 3, 7, 6, seed=1).requires_grad_(True)
    torch.testing.assert_close(ours(x), operation(x))
    assert gradcheck(ours, (x,))
    assert gradgradcheck(ours, (x,))


@pytest.mark.parametrize("name", ["dcgan", "resnet", "r3gan"])
def test_a_penalty_costs_one_pass_of_each_kind(name: str) -> None:
    """Values and input gradients, then of these the second derivatives: no weight's gradient that
    nobody asked for, no pass through the layers for zeros, no loop over groups."""
    network = critic(name)
    count = sum(isinstance(module, nn.Conv2d) for module in network.modules())
    x = normal(4, 3, 32, 32, seed=2).requires_grad_(True)
    with Torchs() as first, TwiceDifferentiable():
        (gradient,) = torch.autograd.grad(network(x, None).logits.sum(), x, create_graph=True)
    with Torchs() as second:
        gradient.square().sum().backward()
    # ToPoint is a product; resampling convolves with a constant, which has no gradient.
    products = name == "dcgan"
    resampling = 3 if name == "r3gan" else 0
    passes = count - products + resampling
    assert first.seen == {"value": passes, "input": passes}
    assert second.seen == {"value": passes, "weight": passes - resampling}


def test_a_gradient_of_weights_can_be_penalized_as_well() -> None:
    network = critic("dcgan")
    x = normal(4, 3, 32, 32, seed=2)

    def of_weights(ours: bool) -> list[Tensor]:
        with TwiceDifferentiable() if ours else contextlib.nullcontext():
            logits = network(x, None).logits
        weights = list(network.parameters())
        first = torch.autograd.grad(logits.square().sum(), weights, create_graph=True)
        return list(torch.autograd.grad(sum(each.square().sum() for each in first), weights))

    for ours, expected in zip(of_weights(True), of_weights(False), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("changed", ["input", "weight"])
def test_an_input_or_weight_changed_meanwhile_is_noticed(changed: str) -> None:
    x, weight = normal(1, 1, 4, 4).requires_grad_(True), normal(1, 1, 3, 3).requires_grad_(True)
    image = x * 1
    y = twice_differentiable_conv2d(image, weight)
    with torch.no_grad():
        (image if changed == "input" else weight).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_what_has_no_batch_or_is_complex_is_left_to_torch() -> None:
    x, weight = normal(1, 5, 5), normal(2, 1, 3, 3)
    torch.testing.assert_close(twice_differentiable_conv2d(x, weight), F.conv2d(x, weight))
    x, weight = normal(1, 1, 5, 5) * 1j, normal(2, 1, 3, 3) + 1j
    torch.testing.assert_close(twice_differentiable_conv2d(x, weight), F.conv2d(x, weight))


class Cautious(nn.Module):
    """A critic that recomputes its layers in the backward pass, or in a precision of its own."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.how = how
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 2, 3), nn.Tanh()
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "checkpoint":
            h = checkpoint(self.layers, x, use_reentrant=False)
        else:
            with torch.autocast("cpu", torch.bfloat16):
                h = self.layers(x)
        out: Tensor = h.float().flatten(1).sum(1)
        return out


@pytest.mark.parametrize("how", ["checkpoint", "autocast"])
def test_a_critic_with_ways_of_its_own_is_left_to_torch(how: str) -> None:
    network, found = Cautious(how), []
    for ours in (True, False):
        network.zero_grad()
        x = normal(2, 3, 12, 12, seed=1).float().requires_grad_(True)
        with TwiceDifferentiable() if ours else contextlib.nullcontext():
            value = network(x).sum()
        (gradient,) = torch.autograd.grad(value, x, create_graph=True)
        gradient.square().sum().backward()
        found.append([parameter.grad for parameter in network.parameters()])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_transforms_of_functions_pass_through() -> None:
    network = critic("dcgan")
    x = normal(2, 3, 32, 32, seed=1)

    def total(x: Tensor) -> Tensor:
        with TwiceDifferentiable():
            value: Tensor = network(x, None).logits.sum()
        return value

    leaf = x.clone().requires_grad_(True)
    (expected,) = torch.autograd.grad(total(leaf), leaf)
    torch.testing.assert_close(torch.func.grad(total)(x), expected)
    _, slope = torch.func.jvp(total, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(slope, expected.sum())


class Slope(Term):
    """The critic's slope at the fakes, which a generator without a bent critic cannot change."""

    type: Literal["slope"] = "slope"
    players: ClassVar[frozenset[Role]] = frozenset({"d", "g"})

    def __call__(self, play: Play) -> Tensor:
        x = play.fake if play.role == "g" else play.real.requires_grad_(True)
        (gradient,) = torch.autograd.grad(play.exact_critic(x, play.cond).logits.sum(), x, create_graph=True)
        return gradient.square().mean()


def test_a_generator_may_look_at_the_slope_of_a_frozen_critic(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path, toy_config(nets={"type": "dcgan", "width": 4, "d_norm": "none"}))
    for player in loop.game.players.values():
        player.terms["slope"] = Slope()
    for role in ("d", "g"):
        loop.game.update(role, loop.batches.at(0))  # type: ignore[arg-type]
    assert math.isfinite(loop.game.means.take()["term/g/slope"])
