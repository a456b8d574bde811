"""R3GAN: the published sizes, both networks by hand, first weights, resampling."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.api import DataSpec, Networks, UserError
from ganforge_architectures import R3GAN
from ganforge_architectures.resample import Downsample, Upsample
from support.networks import count, spec

# The presets of the authors' code for CIFAR-10, FFHQ-64, FFHQ-256 and ImageNet-32: the widths, the
# cardinality of the first stage, and classes.
PRESETS: dict[str, tuple[int, list[int], int, int, dict[str, int]]] = {
    "cifar-10": (32, [768] * 4, 96, 10, {}),
    "ffhq-64": (64, [768] * 4 + [384], 96, 0, {}),
    "ffhq-256": (256, [768] * 4 + [384, 192, 96], 96, 0, {}),
    "imagenet-32": (32, [1536] * 4, 96, 1000, {"width": 1536, "group_width": 32}),
}


def expected(widths: list[int], cardinality: int, classes: int, z_dim: int) -> tuple[int, int]:
    def block(c: int) -> int:
        groups = cardinality * c // widths[0]
        return c * 2 * c + 2 * c + groups * 9 * (2 * c // groups) ** 2 + 2 * c + 2 * c * c

    shared = 2 * sum(block(c) for c in widths) + sum(a * b for a, b in pairwise(widths) if a != b)
    given = z_dim + (64 if classes else 0)
    of_g = 64 * classes + widths[0] * (16 + given) + shared + 3 * widths[-1]
    out = (widths[0] + classes) * widths[0] if classes else widths[0]
    return of_g, 3 * widths[-1] + shared + 16 * widths[0] + out


@pytest.mark.parametrize("preset", PRESETS)
def test_parameter_counts_follow_the_presets(preset: str) -> None:
    side, widths, cardinality, classes, fields = PRESETS[preset]
    with torch.device("meta"):
        g, d = R3GAN.model_validate(fields).build(spec(side, classes), 64, {})
    assert (count(g), count(d)) == expected(widths, cardinality, classes, 64)
    cardinalities = [b.conv2.groups for b in d.modules() if hasattr(b, "conv2")]
    assert cardinalities == [cardinality * c // widths[0] for c in widths[::-1] for _ in range(2)]


def test_parameter_counts_for_ffhq() -> None:
    with torch.device("meta"):
        g, d = R3GAN().build(spec(256), 64, {})
    assert (count(g), count(d)) == (23_057_952, 23_009_568)


@pytest.mark.parametrize(("side", "counts"), [(32, (20_732_160, 20_683_776)), (64, (22_429_824, 22_381_440))])
def test_parameter_counts_without_labels(side: int, counts: tuple[int, int]) -> None:
    """As published for CIFAR-10 and FFHQ-64."""
    with torch.device("meta"):
        g, d = R3GAN().build(spec(side), 64, {})
    assert (count(g), count(d)) == counts


def networks(side: int, classes: int) -> Networks:
    """Narrow, in float64, with residual branches and biases that are not 0."""
    torch.manual_seed(0)
    both = R3GAN(width=8, group_width=4, blocks=1, condition_dim=5).build(spec(side, classes), 6, {})
    for network in both:
        network.double()
        for parameter in network.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, 0.0, 0.2)
    return both


def bottleneck(block: nn.Module, x: Tensor) -> Tensor:
    def bent(h: Tensor, bias: Tensor) -> Tensor:
        h = h + bias[:, None, None]
        return torch.maximum(h, 0.2 * h)

    h = bent(torch.einsum("oc,nchw->nohw", block.conv1.weight[:, :, 0, 0], x), block.conv1.bias)
    groups = zip(h.split(4, 1), block.conv2.weight.split(4, 0), strict=True)
    h = bent(torch.cat([F.conv2d(part, w, padding=1) for part, w in groups], 1), block.conv2.bias)
    return x + torch.einsum("oc,nchw->nohw", block.conv3.weight[:, :, 0, 0], h)


@pytest.mark.parametrize("classes", [0, 3])
def test_generator_computes_what_the_authors_code_computes(classes: int) -> None:
    g, _ = networks(64, classes)
    z, cond = torch.randn(2, 6).double(), torch.eye(3).double()[[2, 0]]
    full = torch.cat([z, g.first.embed(cond)], 1) if classes else z
    h = torch.einsum("nc,chw->nchw", full @ g.scales.weight.T, g.basis)
    b1, up1, b2, up2, b3, up3, b4, narrower, up4, b5 = g.trunk
    for block, up in ((b1, up1), (b2, up2), (b3, up3)):
        h = up(bottleneck(block, h))
    h = bottleneck(b5, up4(F.conv2d(bottleneck(b4, h), narrower.weight)))
    want = torch.tanh(F.conv2d(h, g.out.weight))
    torch.testing.assert_close(g(z, cond if classes else None), want)
    assert want.shape == (2, 3, 64, 64)


@pytest.mark.parametrize("classes", [0, 3])
def test_discriminator_computes_what_the_authors_code_computes(classes: int) -> None:
    _, d = networks(64, classes)
    x, cond = torch.rand(2, 3, 64, 64).double(), torch.eye(3).double()[[2, 0]]
    stem, b5, down4, wider, b4, down3, b3, down2, b2, down1, b1 = d.trunk
    h = F.conv2d(down4(bottleneck(b5, F.conv2d(x, stem.weight))), wider.weight)
    for block, down in ((b4, down3), (b3, down2), (b2, down1)):
        h = down(bottleneck(block, h))
    features = torch.einsum("nchw,chw->nc", bottleneck(b1, h), d.basis.weight[:, 0])
    verdict = d(x, cond if classes else None)
    torch.testing.assert_close(verdict.features, features)
    out = features @ d.logit.weight.T
    want = (
        torch.stack([out[0] @ d.embed.weight[:, 2], out[1] @ d.embed.weight[:, 0]]) if classes else out[:, 0]
    )
    torch.testing.assert_close(verdict.logits, want)


def test_first_weights() -> None:
    torch.manual_seed(3)
    g, d = R3GAN(width=96, group_width=24).build(spec(32, 40), 64, {})
    # 4 resolutions of 2 blocks; 3 layers a branch: L ^ (-1 / (2 * 3 - 2)).
    gain = math.sqrt(2 / 1.04) / 8**0.25
    stds = {"conv1": gain / math.sqrt(96), "conv2": gain / math.sqrt(9 * 24), "conv3": 0.0}
    for network in (g, d):
        network.requires_grad_(False)
    blocks = [m for network in (g, d) for m in network.modules() if hasattr(m, "conv3")]
    assert len(blocks) == 16
    for block in blocks:
        for name, std in stds.items():
            layer = getattr(block, name)
            assert float(layer.weight.std()) == pytest.approx(std, rel=0.05)
            assert layer.bias is None or not layer.bias.any()
    assert float(g.basis.std()) == pytest.approx(1, rel=0.1)
    assert float(d.basis.weight.std()) == pytest.approx(1 / 4, rel=0.1)
    assert float(g.first.embed.weight.std()) == pytest.approx(1 / math.sqrt(40), rel=0.05)
    assert g.first.embed.bias is None
    assert float(d.embed.weight.std()) == pytest.approx(1 / math.sqrt(96 * 40), rel=0.1)
    x = torch.randn(2, 96, 4, 4)
    assert torch.equal(blocks[0](x), x)


def mirrored(i: int, side: int) -> int:
    return -i if i < 0 else 2 * (side - 1) - i if i >= side else i


@pytest.mark.parametrize("mirror", [True, False])
def test_resampling_is_bilinear(mirror: bool) -> None:
    side = 6

    def add(matrix: Tensor, row: int, column: int, weight: float) -> None:
        if mirror:
            matrix[row, mirrored(column, side)] += weight
        elif 0 <= column < side:
            matrix[row, column] += weight

    up, down = torch.zeros(2 * side, side).double(), torch.zeros(side // 2, side).double()
    for i in range(2 * side):
        near, far = i // 2, i // 2 + (1 if i % 2 else -1)
        add(up, i, near, 3 / 4)
        add(up, i, far, 1 / 4)
    for i in range(side // 2):
        for offset, weight in zip((-1, 0, 1, 2), (1, 3, 3, 1), strict=True):
            add(down, i, 2 * i + offset, weight / 8)
    x = torch.randn(2, 3, side, side).double()
    torch.testing.assert_close(Upsample(mirror).double()(x), up @ x @ up.T)
    torch.testing.assert_close(Downsample(mirror).double()(x), down @ x @ down.T)
    assert Upsample().state_dict() == {}


@pytest.mark.parametrize("side", [28, 32, 64, 128, 256])
def test_sizes(side: int) -> None:
    g, d = R3GAN(width=8, group_width=2).build(DataSpec(shape=(1, side, side)), 6, {})
    with torch.no_grad():
        fake = g(torch.randn(2, 6), None)
        assert fake.shape == (2, 1, side, side)
        assert d(fake, None).logits.shape == (2,)


@pytest.mark.parametrize(
    ("shape", "fields", "message"),
    [
        ((3, 36, 36), {}, "image size 36x36 (height x width) is not base x 2^k, with one k >= 2 for both sides and a base of 4 to 7 for the shorter one; resize the data to 32x32 or 40x40, or use nets 'mlp'"),
        ((3, 32, 32), {"width": 20}, "width = 20 cannot be divided into groups of 16 channels in all layers for 32x32 "
                                     "images; use a multiple of 8, such as 24, or another group_width"),
        ((3, 128, 128), {"width": 24}, "width = 24 cannot be divided into groups of 16 channels in all layers for "
                                       "128x128 images; use a multiple of 32, such as 32, or another group_width"),
    ],
)  # fmt: skip
def test_refusals(shape: tuple[int, ...], fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as refusal:
        R3GAN.model_validate(fields).build(DataSpec(shape=shape), 64, {})
    assert str(refusal.value) == f"nets 'r3gan': {message}"


def test_edges_are_those_that_are_asked_for() -> None:
    for edges in ("mirror", "zeros"):
        both = R3GAN(width=8, group_width=4, edges=edges).build(spec(32), 6, {})  # type: ignore[arg-type]
        resamplers = [m for n in both for m in n.modules() if isinstance(m, Upsample | Downsample)]
        assert [each.mirror for each in resamplers] == [edges == "mirror"] * 6
