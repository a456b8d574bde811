"""U-Net, translator and upscaler with patches: the published sizes, shapes, formulas, refusals."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.api import Architecture, DataSpec, LabelSpec, UserError
from ganforge_architectures import MLP, Translator, UNet, Upscaler
from support.image_to_image import build, condition_for, each_kind, leaves, spec
from support.networks import count


def test_sizes_are_the_published_ones() -> None:
    # The authors' logs: U-Net-256 54.414 M, 70x70 PatchGAN on 6 channels 2.769 M.
    with torch.device("meta"):
        g, d = UNet().build(spec((3, 256, 256), (3, 256, 256)), 1, {})
        assert (count(g), count(d)) == (54_413_955, 2_768_705)
        # ResNet of 9 blocks 11.378 M, PatchGAN on 3 channels 2.765 M, with the biases that instance
        # norm takes away again: 18 layers of 256, and 64, 128, 256 down and 128, 64 up; 128, 256, 512.
        g, d = Translator(show_condition=False).build(spec((3, 256, 256), (3, 256, 256)), 1, {})
        assert count(g) + 18 * 256 + 64 + 128 + 256 + 128 + 64 == 11_378_179
        assert count(d) + 128 + 256 + 512 == 2_764_737
        # SRResNet has "1.5 M" (arXiv:1707.02921, table 1).
        g, _ = Upscaler().build(spec((3, 96, 96), (3, 24, 24)), 1, {})
        assert count(g) == 1_547_350


def test_the_translator_has_more_blocks_for_larger_images() -> None:
    with torch.device("meta"):
        small, large = (Translator(width=4).build(spec((3, s, s), (3, s, s)), 1, {})[0] for s in (128, 256))
    assert (count(large) - count(small)) == 3 * 2 * 9 * 16 * 16


@each_kind
@pytest.mark.parametrize("scales", [1, 2])
def test_shapes(kind: type[Architecture], scales: int) -> None:
    generator, discriminator = build(kind, scales=scales)
    cond = condition_for(kind)
    fake = generator(torch.randn(2, 5), cond)
    assert fake.shape == (2, 3, 32, 32)
    assert fake.abs().max() <= 1
    verdict = discriminator(fake, cond)
    assert [tuple(x.shape) for x in leaves(verdict.logits)] == [(2, 1, 6, 6), (2, 1, 2, 2)][:scales]
    maps = [(2, 4, 16, 16), (2, 8, 8, 8), (2, 16, 7, 7), (2, 4, 8, 8), (2, 8, 4, 4), (2, 16, 3, 3)]
    assert [tuple(x.shape) for x in leaves(verdict.features)] == maps[: 3 * scales]
    assert verdict.heads["q"].shape == (2, 2)


@pytest.mark.parametrize(
    ("kind", "image", "condition"),
    [
        (UNet, (1, 28, 28), (3, 28, 28)),
        (UNet, (3, 64, 32), (1, 64, 32)),
        (UNet, (3, 16, 16), (3, 16, 16)),
        (Translator, (1, 28, 28), (3, 28, 28)),
        (Translator, (3, 24, 16), (1, 24, 16)),
        (Upscaler, (1, 28, 28), (1, 14, 14)),
        (Upscaler, (3, 48, 32), (3, 6, 4)),
        (Upscaler, (3, 17, 17), (1, 17, 17)),
    ],
)
def test_other_sizes(kind: type[Architecture], image: tuple[int, ...], condition: tuple[int, ...]) -> None:
    generator, discriminator = build(kind, spec(image, condition))
    cond = torch.rand(2, *condition)
    fake = generator(torch.randn(2, 5), cond)
    assert fake.shape == (2, *image)
    assert discriminator(fake, cond).logits.shape[:2] == (2, 1)


@each_kind
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("scales", [1, 2])
def test_gradients_reach_every_parameter(kind: type[Architecture], norm: str, scales: int) -> None:
    generator, discriminator = build(kind, norm=norm, d_norm=norm, scales=scales)
    cond = condition_for(kind)
    verdict = discriminator(generator(torch.randn(2, 5), cond), cond)
    sum([x.square().sum() for x in leaves(verdict.logits)], verdict.heads["q"].square().sum()).backward()
    starved = [
        name
        for network in (generator, discriminator)
        for name, p in network.named_parameters()
        if p.grad is None or not p.grad.any()
    ]
    assert starved == []


def receptive_field(discriminator: nn.Module, side: int) -> int:
    """Pixels of a row that move the logit in the middle."""
    x = torch.rand(1, 3, side, side, requires_grad=True)
    logits = discriminator(x, None).logits
    middle = logits.shape[-1] // 2
    (slope,) = torch.autograd.grad(logits[0, 0, middle, middle], x)
    return int(slope.abs().sum((0, 1, 2)).count_nonzero())


@pytest.mark.parametrize(("layers", "patch"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_patch_has_the_size_that_is_described(layers: int, patch: int) -> None:
    networks = build(UNet, spec((3, 256, 256), ()), d_width=2, d_layers=layers, d_norm="none", init_std=0.3)
    assert receptive_field(networks.discriminator, 256) == patch
    assert str(patch) in str(UNet.model_fields["d_layers"].description)


def test_the_scales_see_the_image_at_half_the_size() -> None:
    _, discriminator = build(UNet, scales=3, d_layers=1)
    x, cond = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32)
    seen = torch.cat([x, cond], 1)
    ones = torch.ones(4, 1, 3, 3)
    logits = discriminator.eval()(x, cond).logits
    assert len(logits) == 3
    for judged, critic in zip(logits, discriminator.critics, strict=True):
        torch.testing.assert_close(judged, critic(seen)[0])
        total = F.conv2d(seen, ones, stride=2, padding=1, groups=4)
        seen = total / F.conv2d(torch.ones_like(seen), ones, stride=2, padding=1, groups=4)


@pytest.mark.parametrize("kind", [UNet, Translator])
@pytest.mark.parametrize("shown", [True, False])
def test_the_discriminator_is_shown_the_condition_exactly_if_told_to(
    kind: type[Architecture], shown: bool
) -> None:
    _, discriminator = build(kind, show_condition=shown)
    x = torch.rand(2, 3, 32, 32)
    one, other = (discriminator.eval()(x, condition_for(kind)).logits for _ in range(2))
    assert torch.equal(one, other) != shown


def test_a_smaller_condition_is_shown_at_the_images_size() -> None:
    _, discriminator = build(Upscaler, show_condition=True)
    x, cond = torch.rand(2, 3, 32, 32), condition_for(Upscaler)
    large = cond.repeat_interleave(4, 2).repeat_interleave(4, 3)
    (critic,) = discriminator.critics
    torch.testing.assert_close(discriminator(x, cond).logits, critic(torch.cat([x, large], 1))[0])


@each_kind
def test_without_a_condition_there_is_a_discriminator_alone(kind: type[Architecture]) -> None:
    generator, discriminator = build(kind, spec(condition=()))
    assert discriminator(torch.rand(2, 3, 32, 32), None).logits.shape == (2, 1, 6, 6)
    with pytest.raises(UserError) as refusal:
        generator(torch.randn(2, 5), None)
    assert str(refusal.value) == (
        f"nets '{kind.type_name()}': expected an image as the condition, got none; use data 'derived' or "
        "'pairs', or nets 'dcgan'"
    )


def test_the_unet_passes_each_resolution_across() -> None:
    generator, _ = build(UNet, spec((3, 16, 16), (1, 16, 16)), norm="none", dropout=0.0, d_layers=1)
    cond = torch.rand(2, 1, 16, 16)
    d1, d2, d3, d4 = generator.down
    u1, u2, u3 = generator.up
    a = d1(cond)
    b = F.conv2d(F.leaky_relu(a, 0.2), d2[1].weight, d2[1].bias, 2, 1)
    c = F.conv2d(F.leaky_relu(b, 0.2), d3[1].weight, d3[1].bias, 2, 1)
    d = F.conv2d(F.leaky_relu(c, 0.2), d4[1].weight, d4[1].bias, 2, 1)
    assert d.shape == (2, 32, 1, 1)

    def up(h: Tensor, layer: nn.Module) -> Tensor:
        return F.conv_transpose2d(F.relu(h), layer.weight, layer.bias, 2, 1)  # type: ignore[arg-type]

    h = torch.cat([up(d, u1[0]), c], 1)
    h = torch.cat([up(h, u2[0]), b], 1)
    h = torch.cat([up(h, u3[0]), a], 1)
    torch.testing.assert_close(generator(torch.zeros(2, 5), cond), torch.tanh(up(h, generator.out)))


def test_dropout_is_the_noise_of_training_alone() -> None:
    generator, _ = build(UNet, spec((3, 64, 64), (1, 64, 64)))
    drops = [i for i, layer in enumerate(generator.up) if any(isinstance(m, nn.Dropout) for m in layer)]
    assert (len(generator.up), drops) == (5, [0, 1, 2])
    z, cond = torch.zeros(2, 5), torch.rand(2, 1, 64, 64)
    assert not torch.equal(generator(z, cond), generator(z, cond))
    generator.eval()
    assert torch.equal(generator(z, cond), generator(z, cond))
    still, _ = build(UNet, spec((3, 64, 64), (1, 64, 64)), dropout=0.0)
    assert torch.equal(still(z, cond), still(z, cond))


def test_instance_norm_is_of_each_image_and_batch_norm_of_all() -> None:
    for norm, alone in (("instance", True), ("batch", False)):
        generator, _ = build(Translator, norm=norm)
        cond = condition_for(Translator, 3)
        z = torch.zeros(3, 5)
        same = torch.allclose(generator(z, cond)[:1], generator(z[:1], cond[:1]), atol=1e-6)
        assert same == alone


def test_instance_norm_is_torchs() -> None:
    generator, _ = build(Translator)
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(generator.trunk[2](x), F.instance_norm(x))


def test_the_upscaler_shuffles_pixels() -> None:
    generator, _ = build(Upscaler, blocks=1, norm="none")
    cond = condition_for(Upscaler)
    h = generator.first(cond)
    (block, last) = generator.trunk
    inner = block.body[2](block.body[1](block.body[0](h)))
    h = h + last(h + inner)
    for layer, _, bend in zip(*[iter(generator.grow)] * 3, strict=True):
        n, c, height, width = h.shape
        blown = layer(h).view(n, c, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
        h = bend(blown.reshape(n, c, 2 * height, 2 * width))
    torch.testing.assert_close(generator(torch.zeros(2, 5), cond), torch.tanh(generator.out(h)))


def test_the_mlp_takes_an_image_as_the_vector_of_its_pixels() -> None:
    labels = LabelSpec(kind="image", size=(1, 4, 4))
    vector = LabelSpec(kind="vector", names=tuple(map(str, range(16))))
    cond, z, x = torch.rand(2, 1, 4, 4), torch.randn(2, 5), torch.rand(2, 3)
    for how in ("concat", "generator", "projection"):
        results = []
        for kind, shown in ((labels, cond), (vector, cond.flatten(1))):
            torch.manual_seed(0)
            nets = MLP(g_hidden=(8,), d_hidden=(8,), conditioning=how).build(  # type: ignore[arg-type]
                DataSpec(shape=(3,), labels=kind), 5, {}
            )
            results.append((nets.generator(z, shown), nets.discriminator(x, shown).logits))
        torch.testing.assert_close(*results)
