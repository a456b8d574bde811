"""StyleGAN2: published sizes, every block against loops and einsums in float64, both forms, sizes, truncation."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, Draw, LabelKind, LabelSpec, Networks, UserError
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge.training.advice import advice_on
from ganforge.training.build import plan
from ganforge_architectures import StyleGAN2
from ganforge_architectures.equalized import EqualizedConv, EqualizedLinear
from ganforge_architectures.filtered import upsampled
from ganforge_architectures.style_discriminator import GroupStddev
from ganforge_priors.normal import Normal
from ganforge_tasks import Generate
from support.networks import count, spec
from support.styled import bent, dense, double, normal
from support.toys import toy_config

pytestmark = pytest.mark.numeric

# Layer by layer as the authors' code prints them (configuration F; NVlabs/stylegan2-ada-pytorch, issues 181 and
# 182, and open-mmlab/mmgeneration, issue 394; 4x4 of D by formula).
MAPPING = 262_656
SYNTHESIS = {  # conv0, conv1, torgb
    4: (0, 2_622_465, 264_195),
    **{side: (2_622_465, 2_622_465, 264_195) for side in (8, 16, 32, 64)},
    128: (1_442_561, 721_409, 132_099),
    256: (426_369, 213_249, 66_051),
}
DISCRIMINATOR = {  # skip, conv0, conv1
    256: (32_768, 147_584, 295_168),
    128: (131_072, 590_080, 1_180_160),
    **{side: (262_144, 2_359_808, 2_359_808) for side in (64, 32, 16, 8)},
}
LAST = 513 * 512 * 9 + 512 + 512 * 16 * 512 + 512 + 513
"""conv, fc and out at 4x4; the first has the plane of the deviation as its 513th channel."""


def test_parameter_counts_of_configuration_f_at_256() -> None:
    with torch.device("meta"):
        g, d = StyleGAN2().build(spec(256), 512, {})
    assert count(g.mapping) == 8 * MAPPING
    for block, side in zip(g.synthesis.blocks, SYNTHESIS, strict=True):
        convs = [
            count(getattr(block, name)) if hasattr(block, name) else 0 for name in ("conv0", "conv1", "torgb")
        ]
        assert tuple(convs) == SYNTHESIS[side]
    for block, side in zip(d.blocks, DISCRIMINATOR, strict=True):
        assert tuple(count(part) for part in (block.skip, block.conv0, block.conv1)) == DISCRIMINATOR[side]
    assert count(g) == 8 * MAPPING + 8192 + sum(map(sum, SYNTHESIS.values())) == 30_034_338
    assert count(d) == 512 + sum(map(sum, DISCRIMINATOR.values())) + LAST == 28_864_129


def test_parameter_counts_of_the_settings_for_cifar() -> None:
    nets = StyleGAN2(mapping_layers=2, mixing=0.0, discriminator="plain")
    with torch.device("meta"):
        g, d = nets.build(spec(32), 512, {})
        conditional, _ = nets.build(spec(32, 10), 512, {})
    of_g = 2 * MAPPING + 8192 + sum(sum(SYNTHESIS[side]) for side in (4, 8, 16, 32))
    assert count(g) == of_g == 19_947_539
    assert count(d) == 4 * 512 + 3 * 2 * 2_359_808 + LAST == 20_720_641
    # The embedding of 10 classes, and twice as wide an input.
    assert count(conditional) == of_g + 10 * 512 + 512 + 512 * 512 == 20_215_315


def test_parameter_counts_with_skips() -> None:
    with torch.device("meta"):
        _, d = StyleGAN2(discriminator="skip").build(spec(256), 512, {})
    # The layers 1x1 of the residual blocks are not there; those from 3 colors have a bias.
    blocks = sum(conv0 + conv1 for _, conv0, conv1 in DISCRIMINATOR.values())
    assert count(d) == 4 * 128 + blocks + 4 * (256 + 5 * 512) + LAST == 27_662_977


def networks(label: LabelKind = "none", shape: tuple[int, ...] = (3, 16, 24), **fields: object) -> Networks:
    torch.manual_seed(0)
    names = () if label == "none" else ("a", "b", "c")
    settings = {"channel_base": 64, "channel_max": 8, "w_dim": 6, "mapping_layers": 2, **fields}
    both = StyleGAN2.model_validate(settings).build(
        DataSpec(shape=shape, labels=LabelSpec(kind=label, names=names)), 5, {}
    )
    for network in both:
        double(network)
    return both


def unit(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


@pytest.mark.parametrize("label", ["none", "vector"])
def test_whole_networks(label: LabelKind) -> None:
    g, d = networks(label, noise="none", mixing=0.0)
    z, cond = normal(4, 5), normal(4, 3) if label != "none" else None
    x = unit(z)
    if cond is not None:
        x = torch.cat([x, unit(dense(g.mapping.embed, cond))], 1)
    for layer in g.mapping.layers:
        assert layer.rate == 0.01
        x = bent(dense(layer, x))
    torch.testing.assert_close(g.mapping(z, cond), x[:, None].expand(4, 6, 6))
    b4, b8, b16 = g.synthesis.blocks
    h = b4.conv1(b4.const.expand(4, 8, 4, 6), x)
    colors = b4.torgb(h, x)
    for block in (b8, b16):
        h = block.conv1(block.conv0(h, x), x)
        colors = upsampled(colors) + block.torgb(h, x)
    torch.testing.assert_close(g(z, cond), colors)
    assert colors.shape == (4, 3, 16, 24)

    h = bent(torch.einsum("oi,nihw->nohw", d.from_rgb.weight[:, :, 0, 0] / math.sqrt(3), colors)
             + d.from_rgb.bias[:, None, None])  # fmt: skip
    h = d.conv(d.stddev(d.blocks(h)))
    features = bent(dense(d.linear, h.flatten(1)))
    out = dense(d.logit, features)
    if cond is None:
        want = out[:, 0]
    else:
        y = unit(dense(d.mapping.embed, cond))
        for layer in d.mapping.layers:
            y = bent(dense(layer, y))
        want = (out * y).sum(1) / math.sqrt(8)
    verdict = d(colors, cond)
    torch.testing.assert_close(verdict.logits, want)
    torch.testing.assert_close(verdict.features, features)


def test_each_layer_has_a_style_of_its_own() -> None:
    g, _ = networks(noise="none")
    w = normal(2, 6, 6)
    b4, b8, b16 = g.synthesis.blocks
    h = b4.conv1(b4.const.expand(2, 8, 4, 6), w[:, 0])
    colors = b4.torgb(h, w[:, 1])
    h = b8.conv1(b8.conv0(h, w[:, 1]), w[:, 2])
    colors = upsampled(colors) + b8.torgb(h, w[:, 3])
    h = b16.conv1(b16.conv0(h, w[:, 3]), w[:, 4])
    torch.testing.assert_close(g.synthesis(w), upsampled(colors) + b16.torgb(h, w[:, 5]))


def test_styles_are_mixed_from_some_layer_on() -> None:
    g, _ = networks(mixing=0.7)
    z = normal(2000, 5)
    own, other = g.mapping(z, None), g.mapping(z.roll(-1, 0), None)
    mixed = g._mixed(own, z, None)
    from_other = (mixed == other).all(2)
    assert bool(((mixed == own).all(2) != from_other).all())
    # Once the other latent's, it stays so to the end; and the first layer is always the sample's own.
    assert not bool((from_other[:, :-1] & ~from_other[:, 1:]).any() or from_other[:, 0].any())
    assert float(from_other[:, -1].double().mean()) == pytest.approx(0.7, abs=0.05)
    cuts = from_other[from_other[:, -1]].sum(1)
    assert sorted(set(cuts.tolist())) == [1, 2, 3, 4, 5]


def test_the_mean_of_w_and_truncation() -> None:
    g, _ = networks(noise="none", mixing=0.0)
    z, mean = normal(4, 5), torch.zeros(6).double()
    for _ in range(3):
        g(z, None)
        mean = 0.998 * mean + 0.002 * g.mapping(z, None)[:, 0].mean(0).detach()
    torch.testing.assert_close(g.w_mean, mean)
    g.eval()
    whole = g(z, None)
    torch.testing.assert_close(whole, g.synthesis(g.mapping(z, None)).clamp(-1, 1))
    torch.testing.assert_close(g.w_mean, mean)
    assert StyleGAN2().truncate(g, 0.25)
    want = g.synthesis(mean + 0.25 * (g.mapping(z, None) - mean)).clamp(-1, 1)
    torch.testing.assert_close(g(z, None), want)
    assert not torch.equal(want, whole)


def test_a_sampler_truncates_styles_and_leaves_latents_alone() -> None:
    g, _ = networks(noise="none")
    nets, prior = StyleGAN2(), Normal(dim=5)
    data = DataSpec(shape=(3, 16, 24))
    plain = GeneratorSampler(g, Generate(), prior, nets, data).draw(4, 0)[1]
    found, draw = GeneratorSampler(g.float(), Generate(), prior, nets, data, truncation=0.5).draw(4, 0)
    assert torch.equal(draw.z, plain.z) and g.truncation == 0.5
    with torch.no_grad():
        assert torch.equal(found, g.eval()(Draw(plain.z, None, {}).z, None))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 96), (4, 40, 16), (3, 128, 128)])
def test_sizes(shape: tuple[int, ...]) -> None:
    g, d = networks(shape=shape, channel_base=512)
    with torch.no_grad():
        fake = g(normal(2, 5), None)
        assert fake.shape == (2, *shape)
        assert d(fake, None).logits.shape == (2,)


def test_the_largest_size() -> None:
    with torch.device("meta"):
        g, _ = StyleGAN2().build(spec(1024), 512, {})
    assert g.synthesis.layers == 18
    assert [block.conv1.weight.shape[0] for block in g.synthesis.blocks] == [512] * 5 + [256, 128, 64, 32]


@pytest.mark.parametrize(
    ("batch", "group", "parts", "said"),
    [
        (32, 4, 1, None),
        (32, 4, 8, None),
        (7, 1, 1, None),
        (12, 4, 2, (6, "groups of 3 are used instead; set train.batch_size to a multiple of 4 for each micro-batch, "
                       "or nets.stddev_group = 3")),
        (16, 4, 8, (2, "groups of 2 are used instead; set train.batch_size to a multiple of 4 for each micro-batch, "
                       "or nets.stddev_group = 2")),
        (5, 4, 1, (5, "groups of 1 are used instead, whose deviation is always 0; set train.batch_size to a multiple "
                      "of 4 for each micro-batch, or nets.stddev_group = 5")),
        (4, 4, 4, (1, "groups of 1 are used instead, whose deviation is always 0; set train.batch_size to a multiple "
                      "of 4 for each micro-batch")),
    ],
)  # fmt: skip
def test_groups_that_do_not_divide_a_micro_batch(
    batch: int, group: int, parts: int, said: tuple[int, str] | None
) -> None:
    """However many processes have a part of it."""
    nets = {"type": "stylegan2", "channel_max": 4, "w_dim": 4, "mapping_layers": 1, "stddev_group": group}
    agreed = plan(toy_config(nets=nets, train={"batch_size": batch, "accumulate": parts}))
    share = batch // parts
    for processes in (each for each in (1, 2, 3) if share % each == 0):
        found = {each.key: each.text for each in advice_on(agreed, processes)}
        if said is None:
            assert "stylegan2.stddev_group" not in found
            continue
        assert found["stylegan2.stddev_group"] == (
            f"nets.stddev_group = {group} does not divide {said[0]}, the number of samples that D gets at a time "
            f"(train.batch_size over train.accumulate): {said[1]}"
        )
        # What the layer does.
        used = int(re.findall(r"groups of (\d+)", said[1])[0])
        torch.testing.assert_close(
            GroupStddev(group)(normal(share, 2, 4, 4)), GroupStddev(used)(normal(share, 2, 4, 4))
        )


def test_first_weights() -> None:
    torch.manual_seed(0)
    linear = EqualizedLinear(400, 300, rate=0.01, bias=1.0).requires_grad_(False)
    conv = EqualizedConv(64, 64, 3).requires_grad_(False)
    assert float(linear.weight.std()) == pytest.approx(100, rel=0.02)
    assert float(conv.weight.std()) == pytest.approx(1, rel=0.02)
    # In use, both keep the size of their input.
    x = torch.randn(500, 400)
    assert float((linear(x) - 1).std()) == pytest.approx(0.01 / 0.01, rel=0.05)
    assert float(linear(x).mean()) == pytest.approx(1, abs=0.1)
    assert float(conv(torch.randn(4, 64, 16, 16)).square().mean()) == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 2048, 1024), "expected sides of at most 1024 pixels, got 2048x1024 (height x width); resize the data"),
        ((3, 36, 36), "image size 36x36 (height x width) is not base x 2^k, with one k >= 2 for both sides and a base of 4 "
                      "to 7 for the shorter one; resize the data to 32x32 or 40x40, or use nets 'mlp'"),
    ],
)  # fmt: skip
def test_refusals(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError) as refusal:
        StyleGAN2().build(DataSpec(shape=shape), 64, {})
    assert str(refusal.value) == f"nets 'stylegan2': {message}"
