"""Convolutions by matrix products: torch's numbers, chosen by form alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from ganforge.engine.kernels import convolution
from ganforge.engine.kernels import im2col as patches
from ganforge.engine.kernels.convolution_autograd import conv2d, conv_transpose2d, twice_differentiable_conv2d
from support.convolutions import Torchs
from support.tensors import normal

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
@pytest.mark.parametrize("fast_products", [False, True])
def test_the_form_and_the_processor_say_which_are_ours(
    fast_products: bool, dtype: torch.dtype, transposed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "FAST_PRODUCTS", fast_products)
    three = {"value": 1, "input": 1, "weight": 1}
    # The gradient of the weights gains on every processor.
    left = {} if fast_products else {"value": 1, "input": 1}
    assert passes(SMALL_AND_HEAVY, transposed, dtype) == left
    assert passes(HEAD, transposed, dtype) == {}
    assert passes(LARGE, transposed, dtype) == three
    # Added up in the thin images: the gradient of a convolution, the value of a transposed one.
    added_up = "value" if transposed else "input"
    rest = {name: 1 for name in three if name != added_up or dtype is torch.bfloat16}
    assert passes(THIN, transposed, dtype) == rest
    # A product of so few rows is slow.
    assert passes(((2, 3, 16, 16), (24, 3, 1, 1), 1, 0), transposed, dtype) == three


@pytest.mark.usefixtures("everything_by_products")
@pytest.mark.parametrize("output_padding", [0, 1, (1, 0)])
def test_the_end_of_a_transposed_convolution_may_be_padded(output_padding: Any) -> None:
    x, weight = normal(2, 3, 3, 4).requires_grad_(True), normal(3, 2, 3, 3, seed=1).requires_grad_(True)
    found = []
    for operation in (conv_transpose2d, F.conv_transpose2d):
        y = operation(x, weight, None, 2, 1, output_padding)
        found.append([y, *torch.autograd.grad(y.square().sum(), (x, weight))])
    torch.testing.assert_close(*found)


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


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shapes", [SMALL_AND_HEAVY, HEAD, THIN], ids=["heavy", "head", "thin"])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_results_and_gradients_lie_like_torchs(
    memory_format: torch.memory_format, shapes: Any, transposed: bool
) -> None:
    """As the next layer and the optimizer's kernels want them."""
    large, weights, stride, padding = shapes
    ours, torchs = (conv_transpose2d, F.conv_transpose2d) if transposed else (conv2d, F.conv2d)
    x = normal(*large)
    weight = normal(*weights, seed=1).to(memory_format=memory_format).requires_grad_(True)
    if transposed:
        x = normal(*F.conv2d(x, weight, None, stride, padding).shape)
    x = x.to(memory_format=memory_format).requires_grad_(True)
    strides = []
    for operation in (ours, torchs):
        y = operation(x, weight, None, stride, padding)  # type: ignore[operator]
        (of_weight,) = torch.autograd.grad(y, weight, torch.ones_like(y))
        # Of a side of 1 a stride says nothing.
        strides.append(
            [
                [step for step, side in zip(t.stride(), t.shape, strict=True) if side > 1]
                for t in (y, of_weight)
            ]
        )
    assert strides[0][0] == strides[1][0]
    if memory_format is torch.channels_last:
        assert strides[0][1] == strides[1][1]


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
