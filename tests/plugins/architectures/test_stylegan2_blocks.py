"""StyleGAN2's blocks against loops and einsums in double precision."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ganforge_architectures import modulated
from ganforge_architectures.filtered import upsampled
from ganforge_architectures.modulated import StyledConv, ToRGB, faster_form, grouped, scaled
from ganforge_architectures.style_discriminator import DownBlock, GroupStddev, StyleDiscriminator
from support.styled import bent, dense, double, normal

pytestmark = pytest.mark.numeric


def filtered(x: Tensor, padding: tuple[int, int], gain: float) -> Tensor:
    """[N, C, H, W] padded by zeros before and after, and filtered by 1, 3, 3, 1 along both axes."""
    n, c, h, w = x.shape
    before, after = padding
    padded = x.new_zeros(n, c, h + before + after, w + before + after)
    padded[:, :, before : before + h, before : before + w] = x
    taps = torch.tensor([1.0, 3, 3, 1]).double() / 8
    found = sum(taps[i] * padded[:, :, i : padded.shape[2] - 3 + i] for i in range(4))
    assert isinstance(found, Tensor)
    both = sum(taps[i] * found[:, :, :, i : padded.shape[3] - 3 + i] for i in range(4))
    assert isinstance(both, Tensor)
    return both * gain


def spread(x: Tensor) -> Tensor:
    """Zeros between the pixels: [N, C, 2H, 2W]."""
    wide = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    wide[:, :, ::2, ::2] = x
    return wide


def correlated(x: Tensor, weight: Tensor) -> Tensor:
    """3x3, zeros around, by sums over shifts; weight [N, O, I, 3, 3]."""
    h, w = x.shape[2:]
    padded = x.new_zeros(len(x), x.shape[1], h + 2, w + 2)
    padded[:, :, 1:-1, 1:-1] = x
    return sum(  # type: ignore[return-value]
        torch.einsum("noi,nihw->nohw", weight[:, :, :, i, j], padded[:, :, i : i + h, j : j + w])
        for i in range(3)
        for j in range(3)
    )


def weights(layer: nn.Module, style: Tensor, demodulate: bool = True) -> Tensor:
    each = layer.weight * style[:, None, :, None, None]
    return each / (each.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt() if demodulate else each


@pytest.mark.parametrize("form", ["scaled", "grouped"])
@pytest.mark.parametrize("up", [False, True])
def test_a_styled_convolution(up: bool, form: str) -> None:
    size = (8, 12) if up else (4, 6)
    layer = double(StyledConv(3, 5, 7, size, up, "fixed", form))  # type: ignore[arg-type]
    x, w = normal(2, 3, 4, 6), normal(2, 7)
    kernels = weights(layer, dense(layer.affine, w))
    if up:
        # A convolution, which mirrors the kernel, of the pixels with zeros between; then the filter.
        flipped = kernels.flip(3, 4)
        inner = torch.nn.functional.pad(spread(x), (1, 1, 1, 1))
        h = filtered(correlated(inner, flipped)[:, :, :-1, :-1], (1, 1), 4)
    else:
        h = correlated(x, kernels)
    want = bent(h + layer.noise * layer.noise_strength + layer.bias[:, None, None])
    assert want.shape == (2, 5, *size)
    torch.testing.assert_close(layer(x, w), want)


@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("up", [False, True])
def test_both_forms_agree_in_values_and_gradients(up: bool, demodulate: bool) -> None:
    inputs = [each.requires_grad_(True) for each in (normal(3, 4, 5, 5), normal(6, 4, 3, 3), normal(3, 4))]
    found = []
    for form in (scaled, grouped):
        value = form(*inputs, demodulate, up)
        first = torch.autograd.grad(value.pow(3).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(each.square().sum() for each in first), inputs)  # type: ignore[arg-type]
        found.append([value, *first, *second])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("device", "n", "inputs", "outputs", "pixels", "form"),
    [
        ("cpu", 1, 64, 64, 64 * 64, "grouped"),
        ("cpu", 1, 64, 64, 64 * 64 - 1, "scaled"),
        ("cpu", 1, 128, 32, 64 * 64, "grouped"),
        ("cpu", 1, 512, 512, 16 * 16, "scaled"),
        ("cpu", 2, 16, 16, 128 * 128, "scaled"),
        ("cpu", 32, 512, 512, 4 * 4, "scaled"),
        ("cuda", 1, 64, 64, 128 * 128, "scaled"),
        ("meta", 1, 64, 64, 128 * 128, "scaled"),
    ],
)
def test_the_faster_form(device: str, n: int, inputs: int, outputs: int, pixels: int, form: str) -> None:
    assert faster_form(device, n, inputs, outputs, pixels) == form


@pytest.mark.parametrize(("up", "pixels"), [(False, 20), (True, 80)])
def test_the_form_is_chosen_by_the_pixels_of_the_result(
    up: bool, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def chosen(*facts: object) -> str:
        asked.append(facts)
        return "grouped"

    monkeypatch.setattr(modulated, "faster_form", chosen)
    monkeypatch.setattr(modulated, "grouped", lambda *_: "grouped")
    monkeypatch.setattr(modulated, "scaled", lambda *_: "scaled")
    inputs = normal(3, 6, 4, 5), normal(2, 6, 3, 3), normal(3, 6)
    assert modulated.modulated(*inputs, True, up, "auto") == "grouped"
    assert modulated.modulated(*inputs, True, up, "scaled") == "scaled"
    assert asked == [("cpu", 3, 6, 2, pixels)]


@pytest.mark.parametrize("form", ["scaled", "grouped"])
def test_colors(form: str) -> None:
    layer = double(ToRGB(3, 2, 7, form))  # type: ignore[arg-type]
    x, w = normal(2, 3, 4, 6), normal(2, 7)
    style = dense(layer.affine, w) / math.sqrt(3)
    want = torch.einsum("noi,nihw->nohw", weights(layer, style, False)[..., 0, 0], x)
    torch.testing.assert_close(layer(x, w), want + layer.bias[:, None, None])


def test_colors_are_upsampled_from_their_nearest_pixels() -> None:
    x = normal(2, 3, 4, 6)
    torch.testing.assert_close(upsampled(x), filtered(spread(x), (2, 1), 4))


def test_noise() -> None:
    x, w = normal(2, 3, 4, 4), normal(2, 7)
    layer = double(StyledConv(3, 3, 7, (4, 4), False, "random", "auto"))
    torch.manual_seed(5)
    one, other = layer(x, w), layer(x, w)
    assert not torch.equal(one, other)
    layer.eval()
    assert torch.equal(layer(x, w), layer(x, w))
    alone = StyledConv(3, 3, 7, (4, 4), False, "none", "auto").double()
    alone.load_state_dict(layer.state_dict())
    drop = layer(x, w) - alone(x, w)
    layer.noise_strength.data.zero_()
    assert drop.abs().max() > 0.01
    torch.testing.assert_close(layer(x, w), alone(x, w))


def conv(layer: nn.Module, x: Tensor) -> Tensor:
    """Equalized, 3x3, without its bias."""
    weight = layer.weight / math.sqrt(layer.weight[0].numel())
    return correlated(x, weight.expand(len(x), *weight.shape))


def halved(block: nn.Module, x: Tensor, gain: float = 1.0) -> Tensor:
    """A block of the discriminator, without what passes around it."""
    h = bent(conv(block.conv0, x) + block.conv0.bias[:, None, None])
    # Without a border, every second place.
    h = conv(block.conv1, filtered(h, (2, 2), 1))[:, :, 1:-1:2, 1:-1:2]
    return bent(h + block.conv1.bias[:, None, None], gain)


@pytest.mark.parametrize("residual", [True, False])
def test_a_block_of_the_discriminator(residual: bool) -> None:
    block = double(DownBlock(3, 5, residual))
    x = normal(2, 3, 8, 6)
    h = halved(block, x, math.sqrt(0.5) if residual else 1)
    if residual:
        straight = filtered(x, (1, 1), 1)[:, :, ::2, ::2]
        skip = torch.einsum("oi,nihw->nohw", block.skip.weight[:, :, 0, 0] / math.sqrt(3), straight)
        h = h + skip * math.sqrt(0.5)
    torch.testing.assert_close(block(x), h)


def test_the_image_enters_at_each_resolution() -> None:
    """Figure 7b of Karras et al., 2020: sums without a factor."""
    network = double(StyleDiscriminator([5, 6, 4], (4, 6), 3, 1, "skip", None, {}))

    def entering(layer: nn.Module, image: Tensor) -> Tensor:
        weight = layer.weight[:, :, 0, 0] / math.sqrt(3)
        return bent(torch.einsum("oi,nihw->nohw", weight, image) + layer.bias[:, None, None])

    x = image = normal(2, 3, 16, 24)
    h = entering(network.from_rgb, image)
    assert [layer.weight.shape[0] for layer in network.lower_rgb] == [6, 5]
    for block, layer in zip(network.blocks, network.lower_rgb, strict=True):
        assert block.skip is None
        image = filtered(image, (1, 1), 1)[:, :, ::2, ::2]
        h = halved(block, h) + entering(layer, image)
    h = bent(conv(network.conv, h) + network.conv.bias[:, None, None])
    assert h.shape == (2, 5, 4, 6)
    features = bent(dense(network.linear, h.flatten(1)))
    verdict = network(x, None)
    torch.testing.assert_close(verdict.features, features)
    torch.testing.assert_close(verdict.logits, dense(network.logit, features)[:, 0])


def test_deviation_over_groups() -> None:
    x = normal(6, 3, 2, 5)
    found = GroupStddev(4)(x)  # 6 samples: two groups of 3
    want = [
        sum(x[g : g + 3, c, i, j].std(correction=0) for c in range(3) for i in range(2) for j in range(5))
        / 30
        for g in (0, 3)
    ]
    assert torch.equal(found[:, :3], x)
    for sample in range(6):
        torch.testing.assert_close(found[sample, 3], want[sample // 3].expand(2, 5), atol=1e-7, rtol=1e-6)
    # Two processes, each with whole groups, compute what one does.
    torch.testing.assert_close(torch.cat([GroupStddev(3)(x[:3]), GroupStddev(3)(x[3:])]), GroupStddev(3)(x))
