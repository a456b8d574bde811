"""Convolutions by matrix products: torch's numbers, chosen by form alone, and everything else torch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.utils.checkpoint import checkpoint

from ganforge.engine import patches
from ganforge.engine.by_products import OURS, faster_convolutions
from ganforge.engine.convolution_graph import conv2d, conv_transpose2d, twice_differentiable_conv2d
from ganforge.engine.replacing import Replacing
from plays import normal
from support.convolutions import Torchs

SMALL_AND_HEAVY = ((2, 256, 8, 8), (512, 256, 4, 4), 2, 1)
"""Shapes of images and weights, stride and padding: the last layer of the DCGAN for 64x64."""
HEAD = ((2, 64, 7, 7), (8, 64, 7, 7), 1, 0)
THIN = ((2, 3, 16, 16), (24, 3, 4, 4), 2, 1)
LARGE = ((2, 8, 16, 16), (8, 8, 3, 3), 1, 1)


@pytest.mark.usefixtures("everything_by_products")
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), ((1, 2), (2, 0))])
@pytest.mark.parametrize("kind", ["conv2d", "conv_transpose2d", "twice"])
def test_any_convolution_has_the_first_and_second_derivatives_of_torchs(
    kind: str, stride: Any, padding: Any, bias: bool
) -> None:
    ours, torchs = {
        "conv2d": (conv2d, F.conv2d),
        "conv_transpose2d": (conv_transpose2d, F.conv_transpose2d),
        "twice": (twice_differentiable_conv2d, F.conv2d),
    }[kind]
    inputs = (
        normal(2, 3, 4, 5, seed=1).requires_grad_(True),
        normal(3, 3, 3, 2, seed=2).requires_grad_(True),
        *([normal(3, seed=3).requires_grad_(True)] if bias else []),
    )

    def convolved(*inputs: Tensor) -> Tensor:
        x, weight, shift = (*inputs, None)[:3]
        return ours(x, weight, shift, stride, padding)  # type: ignore[arg-type]

    x, weight, *shift = inputs
    torch.testing.assert_close(
        convolved(*inputs), torchs(x, weight, shift[0] if shift else None, stride, padding)
    )
    with Torchs() as torchs_own:
        assert gradcheck(convolved, inputs)
        assert gradgradcheck(convolved, inputs)
    assert not torchs_own.seen


def passes(
    shapes: tuple[tuple[int, ...], tuple[int, ...], int, int], transposed: bool, dtype: torch.dtype
) -> dict[str, int]:
    """What torch computes of a forward and a backward pass; of the rest the numbers are compared."""
    large, weights, stride, padding = shapes
    weight = (0.1 * normal(*weights, seed=1)).to(dtype).requires_grad_(True)
    x = normal(*large).to(dtype).requires_grad_(True)
    ours, torchs = (conv_transpose2d, F.conv_transpose2d) if transposed else (conv2d, F.conv2d)
    if transposed:
        x = normal(*F.conv2d(x, weight, None, stride, padding).shape).to(dtype).requires_grad_(True)
    with Torchs() as counted:
        y = ours(x, weight, None, stride, padding)
        y.backward(torch.ones_like(y))
    mine = [y.detach(), x.grad, weight.grad]
    x.grad = weight.grad = None
    y = torchs(x, weight, None, stride, padding)
    y.backward(torch.ones_like(y))
    tolerance = {"rtol": 1e-2, "atol": 1e-1} if dtype is torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(mine, [y.detach(), x.grad, weight.grad], **tolerance)  # type: ignore[arg-type]
    return dict(counted.seen)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_form_alone_says_which_are_ours(dtype: torch.dtype, transposed: bool) -> None:
    three = {"value": 1, "input": 1, "weight": 1}
    assert passes(SMALL_AND_HEAVY, transposed, dtype) == {}
    assert passes(HEAD, transposed, dtype) == {}
    assert passes(LARGE, transposed, dtype) == three
    # Added up in the thin images: the gradient of a convolution, the value of a transposed one.
    added_up = "value" if transposed else "input"
    rest = {name: 1 for name in three if name != added_up or dtype is torch.bfloat16}
    assert passes(THIN, transposed, dtype) == rest


@pytest.mark.parametrize(
    "changed",
    [
        {"groups": 2},
        {"dilation": 2},
        {"padding": "valid"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("everything_by_products")
def test_what_no_product_says_is_torchs(changed: dict[str, Any]) -> None:
    x, weight = normal(2, 4, 4, 4), normal(4, 4 // changed.get("groups", 1), 2, 2, seed=1)
    options = {"stride": 2, **changed}
    with Torchs() as counted:
        ours = conv2d(x, weight, None, **options)
    assert counted.seen == {"value": 1}
    torch.testing.assert_close(ours, F.conv2d(x, weight, None, **options))


@pytest.mark.parametrize(
    ("x", "weight", "options"),
    [
        (normal(2, 3, 4, 4), normal(5, 4, 4, 4), {}),
        (normal(2, 3, 4, 4), normal(5, 3, 4, 4).float(), {}),
        (normal(2, 3, 2, 2), normal(5, 3, 4, 4), {}),
        (normal(2, 3, 4, 4), normal(5, 3, 4, 4), {"stride": 0}),
        (normal(2, 3, 4, 4), normal(5, 3, 4, 4), {"padding": -1}),
        (normal(2, 3, 4, 4), normal(5, 3, 4, 4), {"bias": normal(6)}),
    ],
    ids=["channels", "types", "sizes", "stride", "padding", "bias"],
)
def test_what_does_not_fit_is_refused(x: Tensor, weight: Tensor, options: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError) as torchs:
        F.conv2d(x, weight, **options)
    with pytest.raises(RuntimeError) as ours:
        conv2d(x, weight, **options)
    if "bias" not in options:  # a product says it in other words
        assert str(ours.value) == str(torchs.value)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda y: F.relu(y, inplace=True),
    "leaky relu": lambda y: F.leaky_relu(y, 0.2, inplace=True),
    "add": lambda y: y.add_(1.0),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shapes", [SMALL_AND_HEAVY, HEAD, THIN], ids=["heavy", "head", "thin"])
def test_a_result_may_be_changed_in_place(shapes: Any, name: str) -> None:
    large, weights, stride, padding = shapes
    x, weight = normal(*large), normal(*weights, seed=1).requires_grad_(True)
    small = normal(*F.conv2d(x, weight, None, stride, padding).shape)
    for ours, torchs, given in ((conv2d, F.conv2d, x), (conv_transpose2d, F.conv_transpose2d, small)):
        found = []
        for operation in (ours, torchs):
            y = ACTIVATIONS[name](operation(given, weight, None, stride, padding))  # type: ignore[operator]
            found.append(torch.autograd.grad(y.square().sum(), weight)[0])
        torch.testing.assert_close(*found)


def test_gradients_and_results_lie_like_torchs() -> None:
    """With the channels last, as the optimiser's kernels and the next layer want them."""
    for kind in (nn.Conv2d(256, 512, 4, 2, 1), nn.ConvTranspose2d(512, 256, 4, 2, 1)):
        layer = kind.to(memory_format=torch.channels_last)
        x = torch.randn(2, layer.in_channels, 8 if isinstance(layer, nn.Conv2d) else 4, 4)
        with Replacing(OURS):
            y = layer(x)
        y.sum().backward()
        assert y.is_contiguous(memory_format=torch.channels_last)
        assert layer.weight.grad is not None
        assert layer.weight.grad.stride() == layer.weight.stride()


@pytest.mark.usefixtures("everything_by_products")
def test_many_gradients_at_once() -> None:
    x, weight = normal(2, 3, 4, 4).requires_grad_(True), normal(5, 3, 3, 3, seed=1).requires_grad_(True)
    found = []
    for operation in (conv2d, F.conv2d):
        y = operation(x, weight)
        v = normal(4, *y.shape, seed=2)
        found.append(torch.autograd.grad(y, (x, weight), v, is_grads_batched=True))
    torch.testing.assert_close(*found)


@pytest.mark.usefixtures("everything_by_products")
def test_autocast_is_obeyed() -> None:
    layer = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 3, 3))
    x, found = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0)), []
    for ours in (OURS, {}):
        layer.zero_grad()
        with Torchs() as torchs, Replacing(ours), torch.autocast("cpu", torch.bfloat16):
            y = layer(x)
        assert y.dtype == torch.bfloat16
        assert torchs.seen == ({} if ours else {"value": 2})
        y.float().square().sum().backward()
        found.append([y, *(parameter.grad for parameter in layer.parameters())])
    assert all(gradient.dtype == torch.float32 for gradient in found[0][1:])
    torch.testing.assert_close(*found, rtol=2e-2, atol=1e-1)


@pytest.mark.usefixtures("everything_by_products")
def test_a_network_that_is_checkpointed_is_left_to_torch() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 4, 3)).double()
    with Torchs() as torchs, Replacing(OURS):
        y = checkpoint(layers, normal(2, 3, 6, 6).requires_grad_(True), use_reentrant=False)
    assert torchs.seen == {"value": 2}
    y.sum().backward()


@pytest.mark.usefixtures("everything_by_products")
def test_one_result_outlives_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though both were computed in the same memory, and that was made where autograd is off."""
    monkeypatch.setattr(patches, "SCRATCH", patches.Scratch())
    x, weight = normal(2, 3, 6, 6), normal(9, 3, 3, 3, seed=1).requires_grad_(True)
    with torch.inference_mode():
        conv2d(x, weight)
    first = conv2d(x, weight)
    conv2d(x + 1, weight)
    torch.testing.assert_close(first, F.conv2d(x, weight))
    first.sum().backward()


def test_only_networks_on_the_cpu_that_convolve_are_touched() -> None:
    cpu = torch.device("cpu")
    assert isinstance(faster_convolutions(nn.Conv2d(1, 1, 1), cpu), Replacing)
    assert not isinstance(faster_convolutions(nn.Linear(2, 2), cpu), Replacing)
    assert not isinstance(faster_convolutions(nn.Conv2d(1, 1, 1), torch.device("cuda")), Replacing)
