"""The residual networks: the published sizes, the blocks by hand, attention."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized

from ganforge.api import DataSpec, LabelSpec, Networks, UserError
from ganforge_architectures import ResNet
from ganforge_architectures.attention import SelfAttention
from ganforge_architectures.layers import Layers, xavier
from support.networks import conv, count

K10 = LabelSpec(kind="one_of_k", names=tuple("abcdefghij"))


def published_generator(widths: list[int], base: int, z_dim: int) -> int:
    blocks = sum(2 * a + conv(a, b, 3) + 2 * b + conv(b, b, 3) + conv(a, b, 1) for a, b in pairwise(widths))
    return (z_dim + 1) * widths[0] * base**2 + blocks + 2 * widths[-1] + conv(widths[-1], 3, 3)


def published_discriminator(blocks: list[tuple[int, int, bool]]) -> int:
    total = 0
    for i, (a, b, learned_shortcut) in enumerate(blocks):
        hidden = b if i == 0 else a
        total += conv(a, hidden, 3) + conv(hidden, b, 3) + learned_shortcut * conv(a, b, 1)
    return total + blocks[-1][1] + 1


CIFAR_D = [(3, 128, True), (128, 128, True), (128, 128, False), (128, 128, False)]
DEEP_D = [(3, 64, True), (64, 128, True), (128, 256, True), (256, 512, True), (512, 1024, True)]
SNGAN = {"g_width": 256, "spectral_norm": True, "pool": "sum"}


@pytest.mark.parametrize(
    ("fields", "side", "g_widths", "base", "d_blocks"),
    [
        ({}, 32, [128] * 4, 4, CIFAR_D),
        (SNGAN, 32, [256] * 4, 4, CIFAR_D),
        ({}, 48, [512, 256, 128, 64], 6, DEEP_D),
        ({}, 64, [1024, 512, 256, 128, 64], 4, DEEP_D),
        ({}, 128, [1024, 1024, 512, 256, 128, 64], 4, [*DEEP_D, (1024, 1024, False)]),
    ],
    ids=["wgan-gp-32", "sngan-32", "48", "64", "128"],
)
def test_parameter_counts_follow_the_papers_tables(
    fields: dict[str, object],
    side: int,
    g_widths: list[int],
    base: int,
    d_blocks: list[tuple[int, int, bool]],
) -> None:
    with torch.device("meta"):
        g, d = ResNet.model_validate(fields).build(DataSpec(shape=(3, side, side)), 128, {})
    assert count(g) == published_generator(g_widths, base, 128)
    assert count(d) == published_discriminator(d_blocks)


def test_parameter_counts_for_cifar() -> None:
    # SNGAN's own 32x32 code drops the bias of the logit, so its discriminator has one fewer.
    with torch.device("meta"):
        counts = [
            tuple(count(n) for n in ResNet.model_validate(f).build(DataSpec(shape=(3, 32, 32)), 128, {}))
            for f in ({}, SNGAN)
        ]
    assert counts == [(1_204_483, 1_053_825), (4_276_739, 1_053_825)]


@pytest.mark.parametrize("side", [28, 32, 48, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes(side: int, channels: int) -> None:
    nets = ResNet(g_width=8, d_width=8)
    g, d = nets.build(DataSpec(shape=(channels, side, side)), 6, {})
    fake = g(torch.randn(2, 6), None)
    assert fake.shape == (2, channels, side, side)
    assert d(fake, None).logits.shape == (2,)


def test_generator_computes_what_the_papers_code_computes() -> None:
    torch.manual_seed(0)
    g, _ = ResNet(g_width=8).build(DataSpec(shape=(3, 32, 32)), 6, {})
    g.double()
    z = torch.randn(2, 6).double()

    def up(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def norm(x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, training=True)

    h = F.linear(z, g.seed.weight, g.seed.bias).reshape(2, 8, 4, 4)
    for block in g.blocks:
        c1, c2, sc = block.conv1, block.conv2, block.shortcut
        r = F.conv2d(up(F.relu(norm(h))), c1.weight, c1.bias, padding=1)
        r = F.conv2d(F.relu(norm(r)), c2.weight, c2.bias, padding=1)
        h = F.conv2d(up(h), sc.weight, sc.bias) + r
    want = torch.tanh(F.conv2d(F.relu(norm(h)), g.out.weight, g.out.bias, padding=1))
    torch.testing.assert_close(g(z, None), want)


@pytest.mark.parametrize("pool", ["mean", "sum"])
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_discriminator_computes_what_the_papers_code_computes(pool: str, norm: str) -> None:
    torch.manual_seed(0)
    nets = ResNet.model_validate({"d_width": 8, "pool": pool, "norm": norm})
    _, d = nets.build(DataSpec(shape=(3, 32, 32)), 6, {})
    d.double()
    x = torch.randn(2, 3, 32, 32).double()

    def conv2d(layer: nn.Conv2d, h: Tensor) -> Tensor:
        return F.conv2d(h, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)

    def halve(h: Tensor) -> Tensor:
        return (h[:, :, ::2, ::2] + h[:, :, 1::2, ::2] + h[:, :, ::2, 1::2] + h[:, :, 1::2, 1::2]) / 4

    def normalized(h: Tensor) -> Tensor:
        return F.layer_norm(h, h.shape[1:]) if norm == "layer" else h

    first, second, third, fourth, _ = d.trunk
    h = halve(conv2d(first.conv2, F.relu(conv2d(first.conv1, x)))) + conv2d(first.shortcut, halve(x))
    r = conv2d(second.conv1, F.relu(normalized(h)))
    r = halve(conv2d(second.conv2, F.relu(normalized(r))))
    h = halve(conv2d(second.shortcut, h)) + r
    for block in (third, fourth):
        h = h + conv2d(block.conv2, F.relu(normalized(conv2d(block.conv1, F.relu(normalized(h))))))
    h = F.relu(h).sum((2, 3)) / (64 if pool == "mean" else 1)
    verdict = d(x, None)
    torch.testing.assert_close(verdict.features, h)
    torch.testing.assert_close(verdict.logits, h @ d.logit.weight[0] + d.logit.bias)


def test_first_weights() -> None:
    torch.manual_seed(0)
    for network in ResNet(g_width=32, d_width=32).build(DataSpec(shape=(3, 32, 32)), 64, {}):
        for name, layer in network.named_modules():
            if not isinstance(layer, nn.Conv2d | nn.Linear):
                continue
            area = layer.weight[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
            gain = math.sqrt(2) if name.endswith(("conv1", "conv2")) else 1.0
            bound = gain * math.sqrt(6 / (area * sum(layer.weight.shape[:2])))
            assert 0.9 * bound < layer.weight.abs().max() <= bound * (1 + 1e-6), name
            assert not layer.bias.any(), name


def test_projection_with_pooled_features() -> None:
    torch.manual_seed(1)
    nets = ResNet(d_width=8, pool="sum", spectral_norm=True, conditioning="projection")
    _, d = nets.build(DataSpec(shape=(3, 32, 32), labels=K10), 6, {"q": 2})
    d.double().eval()
    x, cond = torch.rand(2, 3, 32, 32).double(), torch.eye(10).double()[[3, 7]]
    logits, _, h = d(x, cond)
    v, w = d.projection.embed.weight, d.logit.weight[0]
    want = torch.stack([h[0] @ (w + v[:, 3]), h[1] @ (w + v[:, 7])]) + d.logit.bias
    torch.testing.assert_close(logits, want)


def test_conditional_batch_norm_is_in_the_blocks_alone() -> None:
    data = DataSpec(shape=(3, 32, 32), labels=K10)
    plain, _ = ResNet(g_width=8, conditioning="none").build(data, 6, {})
    conditional, _ = ResNet(g_width=8, conditioning="conditional_bn").build(data, 6, {})
    assert count(conditional) - count(plain) == 3 * 2 * (2 * 8 * 10)


def test_attention_starts_as_identity_and_is_the_papers_formula() -> None:
    torch.manual_seed(2)
    block = SelfAttention(16, Layers(xavier)).double()
    x = torch.randn(2, 16, 4, 4).double()
    assert torch.equal(block(x), x)
    nn.init.constant_(block.gain, 0.7)
    f, g, h, v = (layer.weight[:, :, 0, 0] for layer in (block.key, block.query, block.value, block.out))
    want = x.clone()
    for n in range(2):
        keys, values = (torch.einsum("oc,chw->ohw", w, x[n]) for w in (f, h))
        keys, values = (m.reshape(-1, 2, 2, 2, 2).amax((2, 4)).reshape(-1, 4) for m in (keys, values))
        for i in range(4):
            for j in range(4):
                score = torch.exp(keys.T @ (g @ x[n, :, i, j]))
                want[n, :, i, j] += 0.7 * v @ (values @ (score / score.sum()))
    torch.testing.assert_close(block(x), want)


def test_attention_sits_in_both_networks_and_allows_a_gradient_penalty() -> None:
    torch.manual_seed(3)
    nets = ResNet(g_width=8, d_width=8, attention=8, spectral_norm=True)
    g, d = nets.build(DataSpec(shape=(3, 32, 32)), 6, {})
    for network in (g, d):
        (block,) = (m for m in network.modules() if isinstance(m, SelfAttention))
        nn.init.ones_(block.gain)
        shapes: list[tuple[int, ...]] = []
        block.register_forward_hook(lambda _m, _x, out, shapes=shapes: shapes.append(tuple(out.shape)))
        network(torch.randn(2, 6) if network is g else torch.randn(2, 3, 32, 32), None)
        assert shapes == [(2, 8, 8, 8)]
    x = torch.randn(2, 3, 32, 32, requires_grad=True)
    (slope,) = torch.autograd.grad(d(x, None).logits.sum(), x, create_graph=True)
    slope.square().sum().backward()
    (block,) = (m for m in d.modules() if isinstance(m, SelfAttention))
    assert all(p.grad is not None and p.grad.any() for p in block.parameters())


def test_sagan_normalises_every_layer_of_both_networks_but_those_of_the_labels() -> None:
    sagan = {
        "spectral_norm": True,
        "g_spectral_norm": True,
        "attention": 16,
        "conditioning": "conditional_bn",
    }
    nets = ResNet.model_validate({"g_width": 8, "d_width": 8, **sagan})
    plain = [
        {
            name
            for name, layer in network.named_modules()
            if isinstance(layer, nn.Conv2d | nn.Linear) and not is_parametrized(layer)
        }
        for network in nets.build(DataSpec(shape=(3, 32, 32), labels=K10), 6, {})
    ]
    assert plain == [{f"blocks.{i}.norm{j}.affine" for i in range(3) for j in (1, 2)}, set()]
    bare, _ = ResNet(g_width=8, d_width=8, spectral_norm=True).build(DataSpec(shape=(3, 32, 32)), 6, {})
    assert not any(is_parametrized(layer) for layer in bare.modules())


def test_generator_bn_is_conditional_bn_with_a_blind_discriminator() -> None:
    def build(how: str) -> Networks:
        torch.manual_seed(4)
        nets = ResNet.model_validate({"g_width": 8, "d_width": 8, "conditioning": how})
        return nets.build(DataSpec(shape=(3, 32, 32), labels=K10), 6, {"label": 10})

    (g, d), (g_same, _), (_, d_blind) = build("generator_bn"), build("conditional_bn"), build("none")
    z, cond = torch.randn(2, 6), torch.eye(10)[[3, 7]]
    assert torch.equal(g(z, cond), g_same(z, cond))
    assert {*d.state_dict()} == {*d_blind.state_dict()}


@pytest.mark.parametrize(
    ("shape", "fields", "message"),
    [
        ((3, 36, 36), {}, "image size 36x36 (height x width) is not base x 2^k, with one k >= 2 for both sides and a base of 4 to 7 for the shorter one; resize the data to 32x32 or 40x40, or use nets 'mlp'"),
        ((3, 32, 60), {}, "image size 32x60 (height x width) is not base x 2^k, with one k >= 2 for both sides and a base of 4 to 7 for the shorter one; resize the data to 32x64, or use nets 'mlp'"),
        ((7,), {}, "needs images, got points of 7 dimensions; use nets 'mlp'"),
        ((3, 32, 32), {"attention": 20}, "attention = 20 is not the side of a feature map of both networks for "
                                         "32x32 images; use 8, 16, or 0 for off"),
    ],
)  # fmt: skip
def test_refusals(shape: tuple[int, ...], fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as refusal:
        ResNet.model_validate(fields).build(DataSpec(shape=shape), 100, {})
    assert str(refusal.value) == f"nets 'resnet': {message}"
