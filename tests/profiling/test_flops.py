"""The arithmetic of operations: two for each product of two numbers that is added to a sum."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.profiling.flops import FORMULAS


def counted(call: Callable[[], object]) -> int:
    from torch.utils.flop_counter import FlopCounterMode  # imports Triton

    with FlopCounterMode(display=False, custom_mapping=dict(FORMULAS)) as counter:
        call()
    return counter.get_total_flops()


def leaf(*shape: int) -> Tensor:
    return torch.zeros(shape).requires_grad_(True)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_of_a_convolution_each_derivative_is_as_much_as_its_value(groups: int) -> None:
    x, weight = leaf(3, 8, 9, 7), leaf(12, 8 // groups, 3, 2)
    # Every output sums over the channels of its group and the pixels of its patch.
    value = 2 * (3 * 12 * 4 * 4) * (8 // groups * 3 * 2)
    y: list[Tensor] = []
    assert counted(lambda: y.append(F.conv2d(x, weight, None, 2, (0, 1), 1, groups))) == value
    assert y[0].shape == (3, 12, 4, 4)
    assert counted(lambda: y[0].sum().backward()) == 2 * value
    fixed = x.detach()
    assert counted(lambda: F.conv2d(fixed, weight, None, 2, (0, 1), 1, groups).sum().backward()) == 2 * value


@pytest.mark.parametrize("groups", [1, 2])
def test_of_a_transposed_convolution_too(groups: int) -> None:
    x, weight = leaf(2, 6, 4, 5), leaf(6, 8 // groups, 4, 4)
    # Every input goes to the channels of its group and the pixels of its patch.
    value = 2 * (2 * 6 * 4 * 5) * (8 // groups * 4 * 4)
    assert counted(lambda: F.conv_transpose2d(x, weight, None, 2, 1, 0, groups).sum().backward()) == 3 * value


def test_of_matrix_products() -> None:
    x, weight, bias = leaf(5, 6), leaf(7, 6), leaf(7)
    assert counted(lambda: F.linear(x, weight, bias).sum().backward()) == 3 * 2 * 5 * 6 * 7
    assert counted(lambda: torch.bmm(torch.zeros(2, 3, 4), torch.zeros(2, 4, 5))) == 2 * 2 * 3 * 4 * 5
    assert counted(lambda: torch.mv(torch.zeros(3, 4), torch.zeros(4))) == 2 * 3 * 4
    assert counted(lambda: torch.addmv(torch.zeros(3), torch.zeros(3, 4), torch.zeros(4))) == 2 * 3 * 4


def test_of_the_gradient_of_a_gradient() -> None:
    x, weight = leaf(4, 3, 8, 8), leaf(5, 3, 3, 3)
    value = 2 * (4 * 5 * 6 * 6) * (3 * 3 * 3)

    def penalty() -> None:
        (slope,) = torch.autograd.grad(F.conv2d(x, weight).square().sum(), x, create_graph=True)
        slope.square().sum().backward()

    # The value and its gradient, each differentiated with respect to both of its factors but for the
    # derivative of the slope, which is linear in the weight and in the value's gradient.
    assert counted(penalty) == 6 * value
