"""DCGAN: the layers of the paper, its condition, and the numbers behind each option."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ganforge.api import DataSpec, Networks, UserError
from ganforge_architectures import DCGAN
from ganforge_architectures.conditioning import BatchNorm
from support.labelled_dcgan import labelled, multi_hot
from support.networks import count


def baseline() -> Networks:
    torch.manual_seed(0)
    return DCGAN().build(labelled(), 100, {})


def test_baseline_has_the_layers_of_the_paper() -> None:
    g, d = baseline()
    up = [(m.in_channels, m.out_channels, m.stride[0], m.padding[0]) for m in g.modules()
          if isinstance(m, nn.ConvTranspose2d) and m.kernel_size == (4, 4) and m.bias is None]  # fmt: skip
    assert up == [(300, 512, 1, 0), (512, 256, 2, 1), (256, 128, 2, 1), (128, 64, 2, 1), (64, 3, 2, 1)]
    down = [(m.in_channels, m.out_channels, m.stride[0], m.padding[0]) for m in d.modules()
            if isinstance(m, nn.Conv2d) and m.kernel_size == (4, 4) and m.bias is None]  # fmt: skip
    assert down == [(4, 64, 2, 1), (64, 128, 2, 1), (128, 256, 2, 1), (256, 512, 2, 1), (512, 1, 1, 0)]
    for network, linear, norms in ((g, (24, 200), [512, 256, 128, 64]), (d, (24, 4096), [128, 256, 512])):
        modules = list(network.modules())
        assert [(m.in_features, m.out_features) for m in modules if isinstance(m, nn.Linear)] == [linear]
        assert [m.num_features for m in modules if isinstance(m, nn.BatchNorm2d)] == norms


def test_baseline_parameter_counts() -> None:
    g, d = baseline()
    linear, convs, norms = 24 * 200 + 200, [(300, 512), (512, 256), (256, 128), (128, 64), (64, 3)], 960
    assert count(g) == linear + sum(4 * 4 * a * b for a, b in convs) + 2 * norms == 5_220_104
    linear, convs, norms = 24 * 4096 + 4096, [(4, 64), (64, 128), (128, 256), (256, 512), (512, 1)], 896
    assert count(d) == linear + sum(4 * 4 * a * b for a, b in convs) + 2 * norms == 2_868_992


def tutorial() -> tuple[nn.Sequential, nn.Sequential]:
    """The unconditional networks for 64x64 of PyTorch's DCGAN tutorial, which are those of the paper."""
    up = [nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False)]
    up += [nn.ConvTranspose2d(8 * w, 4 * w, 4, 2, 1, bias=False) for w in (64, 32, 16)]
    g = [layer for conv in up for layer in (conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU())]
    down = [nn.Conv2d(w, 2 * w, 4, 2, 1, bias=False) for w in (64, 128, 256)]
    d = [layer for conv in down for layer in (conv, nn.BatchNorm2d(conv.out_channels), nn.LeakyReLU(0.2))]
    return (
        nn.Sequential(*g, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()),
        nn.Sequential(
            *(nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)),
            *(*d, nn.Conv2d(512, 1, 4, 1, 0, bias=False), nn.Flatten(0)),
        ),
    )


def test_without_labels_it_is_the_network_of_the_tutorial() -> None:
    torch.manual_seed(0)
    nets, (g, d) = DCGAN().build(DataSpec(shape=(3, 64, 64)), 100, {}), tutorial()
    assert (count(nets.generator), count(nets.discriminator)) == (3_576_704, 2_765_568)
    for ours, theirs in ((nets.generator, g), (nets.discriminator, d)):
        # Ours lists the generator's norms after its convolutions.
        both = [sorted(network.parameters(), key=lambda p: -p.ndim) for network in (ours, theirs)]
        for mine, other in zip(*both, strict=True):
            other.data.copy_(mine)
    z = torch.randn(2, 100)
    fake = nets.generator(z, None)
    torch.testing.assert_close(fake, g(z[:, :, None, None]))
    torch.testing.assert_close(nets.discriminator(fake, None).logits, d(fake))


def test_baseline_computes_what_plain_torch_computes() -> None:
    g, d = baseline()
    z, cond, x = torch.randn(2, 100), multi_hot(2), torch.rand(2, 3, 64, 64) * 2 - 1
    ct = [m for m in g.modules() if isinstance(m, nn.ConvTranspose2d)]
    embed = next(m for m in g.modules() if isinstance(m, nn.Linear))
    ups: list[nn.Module] = []
    for conv in ct[:-1]:
        ups += [conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU()]
    by_hand = nn.Sequential(*ups, ct[-1], nn.Tanh())
    want = by_hand(torch.cat([z, embed(cond)], 1)[:, :, None, None])
    torch.testing.assert_close(g(z, cond), want)

    convs = [m for m in d.modules() if isinstance(m, nn.Conv2d)]
    plane = next(m for m in d.modules() if isinstance(m, nn.Linear))
    downs: list[nn.Module] = [convs[0], nn.LeakyReLU(0.2)]
    for conv_down in convs[1:-1]:
        downs += [conv_down, nn.BatchNorm2d(conv_down.out_channels), nn.LeakyReLU(0.2)]
    h = nn.Sequential(*downs)(torch.cat([x, plane(cond).reshape(2, 1, 64, 64)], 1))
    verdict = d(x, cond)
    torch.testing.assert_close(verdict.logits, convs[-1](h).reshape(2))
    torch.testing.assert_close(verdict.features, h.reshape(2, 512 * 4 * 4))


def test_first_weights() -> None:
    for network in baseline():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                error = 1 / math.sqrt(module.weight.numel())
                assert abs(module.weight.mean()) < 5 * 0.02 * error
                assert abs(module.weight.std() / 0.02 - 1) < 5 * error
            elif isinstance(module, nn.BatchNorm2d):
                assert torch.equal(module.weight, torch.ones_like(module.weight))
                assert not module.bias.any()
            elif isinstance(module, nn.Linear):
                bound = 1 / math.sqrt(24)
                assert 0.99 * bound < module.weight.abs().max() <= bound
                assert abs(module.weight.std() / (bound / math.sqrt(3)) - 1) < 0.03
                assert 0.9 * bound < module.bias.abs().max() <= bound


def test_init_std_is_obeyed() -> None:
    g, _ = DCGAN(width=16, init_std=0.1).build(labelled((1, 32, 32)), 16, {})
    weight = next(m for m in g.modules() if isinstance(m, nn.ConvTranspose2d)).weight
    assert abs(weight.std() / 0.1 - 1) < 5 / math.sqrt(weight.numel())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("side", "widths"),
    [
        (16, [8, 16]),
        (28, [8, 16]),
        (32, [8, 16, 32]),
        (64, [8, 16, 32, 40]),
        (128, [8, 16, 32, 40, 40]),
        (256, [8, 16, 32, 40, 40, 40]),
    ],
)
def test_sizes(side: int, widths: list[int], channels: int) -> None:
    nets = DCGAN(width=8, max_width=40)
    g, d = nets.build(DataSpec(shape=(channels, side, side)), 6, {})
    fake = g(torch.randn(2, 6), None)
    assert fake.shape == (2, channels, side, side)
    verdict = d(fake, None)
    assert verdict.logits.shape == (2,)
    assert [m.out_channels for m in d.modules() if isinstance(m, nn.Conv2d)] == [*widths, 1]
    outputs = [m.out_channels for m in g.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert outputs == [*widths[::-1], channels]
    base = 7 if side == 28 else 4
    assert verdict.features.shape == (2, widths[-1] * base * base)


GRID = (
    "(height x width) is not base x 2^k, with one k >= 2 for both sides and a base of 4 to 7 for the shorter "
    "one; resize the data to"
)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 50, 50), f"image size 50x50 {GRID} 48x48 or 56x56, or use nets 'mlp'"),
        ((3, 8, 8), f"image size 8x8 {GRID} 16x16, or use nets 'mlp'"),
        ((1, 100, 60), f"image size 100x60 {GRID} 96x56 or 112x64, or use nets 'mlp'"),
        ((3, 64, 88), f"image size 64x88 {GRID} 64x96, or use nets 'mlp'"),
        ((2,), "needs images, got points of 2 dimensions; use nets 'mlp'"),
    ],
)  # fmt: skip
def test_refused_shapes(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError) as refusal:
        DCGAN().build(DataSpec(shape=shape), 100, {})
    assert str(refusal.value) == f"nets 'dcgan': {message}"


def test_projection_is_the_inner_product() -> None:
    torch.manual_seed(1)
    _, d = DCGAN(width=8, conditioning="projection").build(labelled((3, 32, 32)), 6, {})
    d.double()
    x, cond = torch.rand(2, 3, 32, 32).double(), multi_hot(2).double()
    logits, _, h = d(x, cond)
    w, v = d.logit.weight.flatten(), d.projection.embed.weight
    for i in range(2):
        rows = v[:, cond[i].bool()]
        torch.testing.assert_close(logits[i], w @ h[i] + sum(h[i] @ rows[:, k] for k in range(3)))


def test_conditional_batch_norm_adds_up_labels() -> None:
    torch.manual_seed(2)
    norm = BatchNorm(5, 4).double()
    x, cond = torch.randn(3, 5, 2, 2).double(), torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1.0]])
    unit = (x - x.mean((0, 2, 3), keepdim=True)) / (
        x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5
    ).sqrt()
    weight, bias = norm.affine.weight, norm.affine.bias
    gains = torch.stack([1 + weight[:5, 0] + weight[:5, 2], torch.ones(5), 1 + weight[:5, 3]])
    shifts = torch.stack([weight[5:, 0] + weight[5:, 2], torch.zeros(5), weight[5:, 3]])
    want = gains[:, :, None, None] * unit + shifts[:, :, None, None]
    torch.testing.assert_close(norm(x, cond.double()), want)
    assert bias.tolist() == [1.0] * 5 + [0.0] * 5


def test_conditional_batch_norm_replaces_all_of_the_generators_norms() -> None:
    g, d = DCGAN(width=8, conditioning="conditional_bn").build(labelled((3, 32, 32)), 6, {})
    norms = [8, 16, 32]
    assert count(g) == 16 * (6 * 32 + 32 * 16 + 16 * 8 + 8 * 3) + sum(2 * c * (24 + 1) for c in norms)
    assert count(d) == 16 * (3 * 8 + 8 * 16 + 16 * 32 + 32) + 2 * (16 + 32) + 24 * 32 * 16


def test_spectral_norm_bounds_every_convolution_and_spares_the_plane() -> None:
    torch.manual_seed(3)
    _, d = DCGAN(width=8, spectral_norm=True, d_norm="none").build(labelled((3, 32, 32)), 6, {"q": 2})
    for _ in range(30):
        d(torch.rand(1, 3, 32, 32), multi_hot(1))
    convs = [m for m in d.modules() if isinstance(m, nn.Conv2d)]
    for conv in convs:
        assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() == pytest.approx(1, rel=0.02)
    assert len(convs) == 4
    assert [type(m) for m in d.modules() if isinstance(m, nn.Linear)] == [nn.Linear, nn.Linear]


@pytest.mark.parametrize(("norm", "extra"), [("batch", 96), ("layer", 96), ("none", 48)])
def test_discriminator_norms(norm: str, extra: int) -> None:
    nets = DCGAN.model_validate({"width": 8, "d_norm": norm})
    _, d = nets.build(DataSpec(shape=(1, 32, 32)), 6, {})
    assert count(d) == 16 * (8 + 8 * 16 + 16 * 32 + 32) + extra
    x = torch.randn(4, 1, 32, 32)
    alone, together = d(x[:1], None).logits, d(x, None).logits[:1]
    assert torch.allclose(alone, together, atol=1e-6) == (norm != "batch")
