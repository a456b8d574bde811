"""Convolutions between a pixel and an image are torch's, done as products."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge_architectures.point_convolution import FromPoint, ToPoint
from support.convolutions import Torchs

pytestmark = pytest.mark.numeric

FORMATS = [torch.contiguous_format, torch.channels_last]


def by_a_product(layer: nn.Module, x: Tensor) -> Tensor:
    """What `layer` gives, without any convolution, forward or backward."""
    with Torchs() as torchs:
        found: Tensor = layer(x)
        found.sum().backward(inputs=[x, *layer.parameters()], retain_graph=True)
    assert not torchs.seen
    return found


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_from_a_point(memory_format: torch.memory_format, bias: bool) -> None:
    torch.manual_seed(0)
    layer = FromPoint(5, 3, 4, bias=bias).double().to(memory_format=memory_format)
    x = torch.randn(2, 5, 1, 1, dtype=torch.float64, requires_grad=True)
    expected = F.conv_transpose2d(x, layer.weight, layer.bias)
    found = by_a_product(layer, x)
    assert found.shape == (2, 3, 4, 4)
    assert torch.allclose(found, expected, atol=1e-12)
    assert found.is_contiguous(memory_format=memory_format)
    inputs = [x, *layer.parameters()]
    probe = torch.randn_like(found)
    for mine, theirs in zip(
        torch.autograd.grad((found * probe).sum(), inputs),
        torch.autograd.grad((expected * probe).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(mine, theirs, atol=1e-12)
    assert torch.autograd.gradgradcheck(layer, (x.detach().requires_grad_(True),))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_to_a_point(memory_format: torch.memory_format, bias: bool) -> None:
    torch.manual_seed(0)
    layer = ToPoint(5, 2, 4, bias=bias).double().to(memory_format=memory_format)
    x = torch.randn(3, 5, 4, 4, dtype=torch.float64).to(memory_format=memory_format).requires_grad_(True)
    expected = F.conv2d(x, layer.weight, layer.bias)
    found = by_a_product(layer, x)
    assert found.shape == (3, 2, 1, 1)
    assert torch.allclose(found, expected, atol=1e-12)
    inputs = [x, *layer.parameters()]
    for mine, theirs in zip(
        torch.autograd.grad(found.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(mine, theirs, atol=1e-12)
    assert torch.autograd.gradgradcheck(layer, (x.detach().requires_grad_(True),))
