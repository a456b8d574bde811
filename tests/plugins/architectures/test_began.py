"""BEGAN's networks: sizes, the verdict, refusals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.api import DataSpec, UserError
from ganforge_architectures import BEGAN
from support.networks import conv, count, spec


def by_hand(side: int, n: int, code: int, z_dim: int) -> tuple[int, int]:
    """Parameters of generator and discriminator, layer by layer."""
    base = 7 if side == 28 else 8
    steps = (side // base).bit_length() - 1

    def decoder(inputs: int) -> int:
        return (inputs + 1) * n * base**2 + 2 * (steps + 1) * conv(n, n, 3) + conv(n, 3, 3)

    encoder = (
        conv(3, n, 3) + 2 * conv((steps + 1) * n, (steps + 1) * n, 3) + ((steps + 1) * n * base**2 + 1) * code
    )
    for k in range(1, steps + 1):
        encoder += conv(k * n, k * n, 3) + conv(k * n, (k + 1) * n, 3)
    return decoder(z_dim), encoder + decoder(code)


@pytest.mark.parametrize("side", [16, 28, 32, 64, 128, 256])
def test_sizes(side: int) -> None:
    g, d = BEGAN(width=4, code=6).build(spec(side), 5, {})
    assert (count(g), count(d)) == by_hand(side, 4, 6, 5)
    with torch.no_grad():
        fake = g(torch.randn(2, 5), None)
        assert fake.shape == (2, 3, side, side)
        assert fake.abs().max() <= 1
        assert d(fake, None).logits.shape == (2,)


def test_the_logit_is_minus_the_error() -> None:
    torch.manual_seed(0)
    _, d = BEGAN(width=4, code=6).build(spec(16), 5, {"q": 2})
    x = torch.rand(3, 3, 16, 16)
    verdict = d(x, None)
    code = d.encoder(x)
    torch.testing.assert_close(verdict.logits, -(d.decoder(code) - x).abs().mean((1, 2, 3)))
    torch.testing.assert_close(verdict.features, code)
    assert verdict.heads["q"].shape == (3, 2)
    assert (verdict.logits < 0).all()


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    g, d = BEGAN(width=4, code=6).build(spec(16), 5, {})
    d(g(torch.randn(2, 5), None), None).logits.sum().backward()
    networks: list[nn.Module] = [g, d]
    starved = [n for net in networks for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert starved == []


def test_channels_last_and_meta() -> None:
    torch.manual_seed(0)
    g, d = (net.double() for net in BEGAN(width=4, code=6).build(spec(16), 5, {}))
    z = torch.randn(2, 5).double()
    with torch.no_grad():
        plain = g(z, None)
        logits = d(plain, None).logits
        for net in (g, d):
            net.to(memory_format=torch.channels_last)
        fake = g(z, None)
        torch.testing.assert_close(fake, plain)
        torch.testing.assert_close(d(fake, None).logits, logits)
    with torch.device("meta"):
        ghost, _ = BEGAN(width=4, code=6).build(spec(16), 5, {})
        assert ghost(torch.zeros(2, 5), None).shape == (2, 3, 16, 16)


def test_compiles_whole() -> None:
    g, d = BEGAN(width=4, code=6).build(spec(16), 5, {})
    traced = torch.compile(lambda z: d(g(z, None), None).logits, backend="eager", fullgraph=True)
    z = torch.randn(2, 5)
    torch.testing.assert_close(traced(z), d(g(z, None), None).logits)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (spec(20), "nets 'began': image size 20x20 is not a power of two from 16 to 256, nor 28; resize the data to 16x16 or 28x28, or use nets 'mlp'"),
        (spec(32, 2), "nets 'began': expected data without labels, which these networks do not take, got labels of kind 'one_of_k'; use data without labels, or nets 'dcgan'"),
    ],
)  # fmt: skip
def test_refusals(data: DataSpec, message: str) -> None:
    with pytest.raises(UserError) as refusal:
        BEGAN().build(data, 5, {})
    assert str(refusal.value) == message
