"""The fully connected networks: sizes, ends, and where the condition goes in."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ganforge.api import DataSpec, LabelSpec
from ganforge_architectures import MLP
from support.networks import count

K4 = LabelSpec(kind="one_of_k", names=tuple("abcd"))


@pytest.mark.parametrize(
    ("how", "g_in", "d_in", "extra"),
    [("none", 5, 2, 0), ("concat", 9, 6, 0), ("generator", 9, 2, 0), ("projection", 9, 2, 4 * 7)],
)
def test_parameter_counts(how: str, g_in: int, d_in: int, extra: int) -> None:
    nets = MLP.model_validate({"g_hidden": (16, 8), "d_hidden": (12, 7), "conditioning": how})
    g, d = nets.build(DataSpec(shape=(2,), labels=K4), 5, {"q": 3})
    assert count(g) == (g_in + 1) * 16 + 17 * 8 + 9 * 2
    assert count(d) == (d_in + 1) * 12 + 13 * 7 + 8 * 1 + 8 * 3 + extra


def test_lists_of_a_run_file_are_read() -> None:
    nets = MLP.model_validate_json('{"type": "mlp", "g_hidden": [32], "d_hidden": [16, 8]}')
    assert (nets.g_hidden, nets.d_hidden) == ((32,), (16, 8))


@pytest.mark.parametrize("hidden", ["[]", "[0]", "[8, -1]"])
def test_hidden_layers_have_units(hidden: str) -> None:
    with pytest.raises(ValidationError):
        MLP.model_validate_json(f'{{"g_hidden": {hidden}}}')


@pytest.mark.parametrize(
    ("activation", "by_hand"),
    [("relu", nn.ReLU()), ("leaky_relu", nn.LeakyReLU(0.2)), ("tanh", nn.Tanh())],
)
def test_computes_what_plain_torch_computes(activation: str, by_hand: nn.Module) -> None:
    torch.manual_seed(0)
    nets = MLP.model_validate({"g_hidden": (16, 8), "d_hidden": (12, 7), "activation": activation})
    z, cond, x = torch.randn(3, 5), torch.eye(4)[:3], torch.randn(3, 2)
    g, d = nets.build(DataSpec(shape=(2,), labels=K4), 5, {})
    a, b, c = (m for m in g.modules() if isinstance(m, nn.Linear))
    torch.testing.assert_close(g(z, cond), c(by_hand(b(by_hand(a(torch.cat([z, cond], 1)))))))
    a, b, c = (m for m in d.modules() if isinstance(m, nn.Linear))
    h = by_hand(b(by_hand(a(torch.cat([x, cond], 1)))))
    torch.testing.assert_close(d(x, cond).features, h)
    torch.testing.assert_close(d(x, cond).logits, c(h)[:, 0])


def test_points_are_unbounded_and_images_are_not() -> None:
    for shape, bounded in (((2,), False), ((1, 4, 6), True)):
        g, _ = MLP().build(DataSpec(shape=shape), 5, {})
        x = g(1000 * torch.randn(8, 5), None)
        assert x.shape == (8, *shape)
        assert (x.abs().max().item() <= 1) == bounded


def test_first_weights() -> None:
    torch.manual_seed(0)
    for network in MLP().build(DataSpec(shape=(3, 8, 8)), 100, {}):
        for layer in (m for m in network.modules() if isinstance(m, nn.Linear)):
            bound = 1 / math.sqrt(layer.in_features)
            assert 0.9 * bound < layer.weight.abs().max() <= bound
            assert layer.bias.any()
            assert layer.bias.abs().max() <= bound


def test_projection_is_the_inner_product() -> None:
    torch.manual_seed(1)
    _, d = MLP(conditioning="projection").build(DataSpec(shape=(2,), labels=K4), 5, {})
    d.double()
    x, cond = torch.randn(4, 2).double(), torch.tensor([[0, 1, 0, 0], [1, 0, 0, 2], [0] * 4, [0, 0, 1, 0]])
    logits, _, h = d(x, cond.double())
    want = d.logit(h)[:, 0] + torch.einsum("nk,fk,nf->n", cond.double(), d.projection.embed.weight, h)
    torch.testing.assert_close(logits, want)


def test_spectral_norm_bounds_the_critic_and_spares_the_heads() -> None:
    torch.manual_seed(2)
    nets = MLP(d_hidden=(16, 16), spectral_norm=True, conditioning="projection")
    _, d = nets.build(DataSpec(shape=(2,), labels=K4), 5, {"q": 3})
    for _ in range(100):
        d(torch.randn(1, 2), torch.eye(4)[:1])
    bounded = [d.trunk[0], d.trunk[2], d.logit, d.projection.embed]
    for layer in bounded:
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, rel=0.01)
    assert [type(layer) for layer in d.heads.layers] == [nn.Linear]
