"""Convolutions by matrix products among all else that torch does: what it refuses, casts, transforms, compiles."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

from ganforge.engine.kernels.convolution_autograd import conv2d, conv_transpose2d, twice_differentiable_conv2d
from ganforge.engine.kernels.fast_convolutions import OURS, faster_convolutions
from ganforge.engine.kernels.override import Replacing
from support.convolutions import Torchs
from support.tensors import normal


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


X, W = normal(2, 3, 4, 4), normal(5, 3, 4, 4)
MISFITS: dict[str, tuple[Tensor, Tensor, dict[str, Any]]] = {
    "channels": (X, normal(5, 4, 4, 4), {}),
    "types": (X, W.float(), {}),
    "integers": (X.int(), W, {}),
    "sizes": (normal(2, 3, 2, 2), W, {}),
    "no stride": (X, W, {"stride": 0}),
    "padding": (X, W, {"padding": -1}),
    "a bias too long": (X, W, {"bias": normal(6)}),
    "a bias too short": (X, W, {"bias": normal(1)}),
    "two biases": (X, W, {"bias": normal(2, 5)}),
    "a bias of another type": (X, W, {"bias": normal(5).float()}),
    "three strides": (X, W, {"stride": (1, 1, 1)}),
    "a weight for lines": (X, normal(5, 3, 4), {}),
}


@pytest.mark.parametrize("name", MISFITS)
@pytest.mark.parametrize("ours", [conv2d, twice_differentiable_conv2d])
def test_what_does_not_fit_is_refused_as_by_torch(ours: Callable[..., Tensor], name: str) -> None:
    x, weight, options = MISFITS[name]
    refused_alike(lambda: F.conv2d(x, weight, **options), lambda: ours(x, weight, **options))


@pytest.mark.parametrize(
    "options",
    [
        {"bias": normal(1)},
        {"padding": 4},
        {"output_padding": 1},
        {"stride": 2, "output_padding": 2},
    ],
    ids=str,
)
def test_what_does_not_fit_a_transposed_one_is_refused_as_by_torch(options: dict[str, Any]) -> None:
    x = normal(2, 5, 1, 1)
    refused_alike(lambda: F.conv_transpose2d(x, W, **options), lambda: conv_transpose2d(x, W, **options))


def refused_alike(torchs: Callable[[], Tensor], ours: Callable[[], Tensor]) -> None:
    with pytest.raises((RuntimeError, ValueError)) as expected:
        torchs()
    with pytest.raises(type(expected.value)) as refused:
        ours()
    assert str(refused.value) == str(expected.value)


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
@pytest.mark.parametrize("of", ["input", "weight"])
@pytest.mark.parametrize("ours", [conv2d, twice_differentiable_conv2d])
def test_many_second_gradients_at_once(ours: Callable[..., Tensor], of: str) -> None:
    x, weight = normal(2, 3, 4, 4).requires_grad_(True), normal(5, 3, 3, 3, seed=1).requires_grad_(True)
    inner = x if of == "input" else weight
    v, found = normal(4, *inner.shape, seed=2), []
    for operation in (ours, F.conv2d):
        (first,) = torch.autograd.grad(operation(x, weight).pow(3).sum(), inner, create_graph=True)
        found.append(torch.autograd.grad(first, (x, weight), v, is_grads_batched=True))
    torch.testing.assert_close(*found)


@pytest.mark.usefixtures("everything_by_products")
def test_many_backward_passes_at_once() -> None:
    x, weight = normal(2, 3, 4, 4).requires_grad_(True), normal(5, 3, 3, 3, seed=1).requires_grad_(True)
    found = []
    for operation in (conv2d, F.conv2d):
        y = operation(x, weight)
        v = normal(4, *y.shape, seed=2)

        def back(v: Tensor, y: Tensor = y) -> tuple[Tensor, ...]:
            return torch.autograd.grad(y, (x, weight), v, retain_graph=True)

        found.append(torch.vmap(back)(v))
    torch.testing.assert_close(*found)


@pytest.mark.usefixtures("everything_by_products")
def test_a_gradient_of_a_gradient_is_not_cast() -> None:
    """Where a float32 graph is differentiated inside autocast, which never casts what has been recorded."""
    x, weight = normal(2, 3, 4, 4).float().requires_grad_(True), normal(5, 3, 3, 3, seed=1).float()
    weight.requires_grad_(True)
    found = []
    for operation in (conv2d, F.conv2d):
        y = operation(x, weight)
        with torch.autocast("cpu", torch.bfloat16):
            (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
            found.append(torch.autograd.grad(g.square().sum(), weight)[0])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-2)


@pytest.mark.usefixtures("everything_by_products")
def test_autocast_leaves_float64_as_it_is() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert conv2d(X, W).dtype == torch.float64
        assert conv2d(X.bfloat16(), W.float()).dtype == torch.bfloat16


@pytest.mark.usefixtures("everything_by_products")
def test_tensors_without_memory_are_torchs() -> None:
    meta = conv2d(X.to("meta"), W.to("meta"))
    assert meta.shape == (2, 5, 1, 1)
    with FakeTensorMode() as mode:
        conv2d(mode.from_tensor(X), mode.from_tensor(W))
    with torch.device("meta"):
        assert conv2d(X, W).device.type == "cpu"
    torch.testing.assert_close(conv2d(X, W), F.conv2d(X, W))


class Compiled(nn.Module):
    """A network of which its author has compiled a part."""

    def __init__(self) -> None:
        super().__init__()
        self.part = torch.compile(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), backend="eager", fullgraph=True
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.part(x)
        return result


@pytest.mark.usefixtures("everything_by_products")
def test_a_part_that_is_compiled_stays_so() -> None:
    network, x = Compiled(), torch.randn(2, 3, 6, 6)
    with Replacing(OURS):
        found = network(x)
    torch.testing.assert_close(found, network(x))


@pytest.mark.usefixtures("everything_by_products")
def test_threads_do_not_share_memory() -> None:
    x, weight = [normal(4, 8, 12, 12, seed=seed) for seed in range(8)], normal(8, 8, 3, 3)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: [conv2d(one, weight) for _ in range(20)][-1], x))
    for one, result in zip(x, found, strict=True):
        torch.testing.assert_close(result, F.conv2d(one, weight))


def test_only_networks_on_the_cpu_that_convolve_are_touched() -> None:
    cpu = torch.device("cpu")
    assert isinstance(faster_convolutions(nn.Conv2d(1, 1, 1), cpu), Replacing)
    assert not isinstance(faster_convolutions(nn.Linear(2, 2), cpu), Replacing)
    assert not isinstance(faster_convolutions(nn.Conv2d(1, 1, 1), torch.device("cuda")), Replacing)
