"""U-Net, translator and upscaler with patches: the published sizes, shapes, formulas, refusals."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.api import Architecture, DataSpec, LabelSpec, Networks, UserError
from ganforge_architectures import MLP, Translator, UNet, Upscaler
from support.networks import count

KINDS: list[type[Architecture]] = [Translator, UNet, Upscaler]
NARROW: dict[str, object] = {"width": 4, "d_width": 4, "d_layers": 2}
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type_name())


def spec(image: tuple[int, ...] = (3, 32, 32), condition: tuple[int, ...] = (1, 32, 32)) -> DataSpec:
    labels = LabelSpec(kind="image", size=condition) if condition else LabelSpec()
    return DataSpec(shape=image, labels=labels)


def small_spec(kind: type[Architecture]) -> DataSpec:
    return spec(condition=(3, 8, 8)) if kind is Upscaler else spec()


def build(kind: type[Architecture], spec: DataSpec | None = None, **fields: object) -> Networks:
    torch.manual_seed(0)
    return kind.model_validate(NARROW | fields).build(spec or small_spec(kind), 5, {"q": 2})


def condition_for(kind: type[Architecture], n: int = 2) -> Tensor:
    return torch.rand(n, *small_spec(kind).labels.size) * 2 - 1


def leaves(tree: object) -> list[Tensor]:
    return [tree] if isinstance(tree, Tensor) else [t for branch in tree for t in leaves(branch)]  # type: ignore[attr-defined]


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


@each_kind
def test_builds_on_the_meta_device(kind: type[Architecture]) -> None:
    with torch.device("meta"):
        ghosts = build(kind, scales=2, spectral_norm=True)
        fake = ghosts.generator(torch.zeros(2, 5), condition_for(kind))
        assert fake.shape == (2, 3, 32, 32)
    solid = build(kind, scales=2, spectral_norm=True)
    for ghost, network in zip(ghosts, solid, strict=True):
        assert {name: t.shape for name, t in ghost.state_dict().items()} == {
            name: t.shape for name, t in network.state_dict().items()
        }
        assert {t.device.type for t in ghost.state_dict().values()} == {"meta"}


@each_kind
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_channels_last_changes_nothing(kind: type[Architecture], norm: str) -> None:
    generator, discriminator = (n.double().eval() for n in build(kind, norm=norm, d_norm=norm, scales=2))
    z, cond = torch.zeros(2, 5).double(), condition_for(kind).double()
    x = torch.rand(2, 3, 32, 32).double()
    with torch.no_grad():
        plain = generator(z, cond), leaves(discriminator(x, cond).logits)
        for network in (generator, discriminator):
            network.to(memory_format=torch.channels_last)
        cond, x = (t.to(memory_format=torch.channels_last) for t in (cond, x))
        fake = generator(z, cond)
        logits = leaves(discriminator(x, cond).logits)
    assert fake.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close((fake, logits), plain)


@each_kind
def test_bfloat16_is_near_float32(kind: type[Architecture]) -> None:
    generator, discriminator = (network.eval() for network in build(kind))
    z, cond, x = torch.zeros(2, 5), condition_for(kind), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        exact = generator(z, cond), discriminator(x, cond).logits
        with torch.autocast("cpu", torch.bfloat16):
            rough = generator(z, cond), discriminator(x, cond).logits
    assert rough[1].dtype == torch.bfloat16
    assert (rough[0].float() - exact[0]).abs().mean() < 0.02
    torch.testing.assert_close(rough[1].float(), exact[1], atol=0.05, rtol=0.05)


@each_kind
@pytest.mark.parametrize("norm", ["instance", "none"])
def test_a_gradient_penalty_can_be_differentiated(kind: type[Architecture], norm: str) -> None:
    _, discriminator = build(kind, d_norm=norm, scales=2)
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    total = sum(logits.sum() for logits in leaves(discriminator(x, condition_for(kind)).logits))
    (slope,) = torch.autograd.grad(total, x, create_graph=True)  # type: ignore[arg-type]
    slope.square().sum().backward()
    weights = [(n, p) for n, p in discriminator.named_parameters() if p.ndim > 1 and "heads" not in n]
    assert [n for n, p in weights if p.grad is None or not p.grad.any()] == []


@each_kind
def test_compiles_whole(kind: type[Architecture]) -> None:
    generator, discriminator = build(kind, scales=2)
    cond = condition_for(kind)

    def both(z: Tensor, cond: Tensor) -> object:
        return discriminator(generator(z, cond), cond).logits

    # Traced by dynamo alone: a break in the graph is an error.
    traced = torch.compile(both, backend="eager", fullgraph=True)
    for network in (generator, discriminator):
        network.eval()
    torch.testing.assert_close(traced(torch.zeros(2, 5), cond), both(torch.zeros(2, 5), cond))


REFUSED: list[tuple[type[Architecture], dict[str, object], DataSpec, str]] = [
    (UNet, {}, spec((3, 32, 32), (1, 16, 16)), "the condition has 16x16 pixels, but the image 32x32; make them equal, or use nets 'upscaler' for a smaller one"),
    (Translator, {}, spec((3, 32, 32), (1, 16, 16)), "the condition has 16x16 pixels, but the image 32x32; make them equal, or use nets 'upscaler' for a smaller one"),
    (Translator, {}, spec((3, 30, 32), (1, 30, 32)), "an image of 30x32 cannot be halved twice; use sides that are multiples of 4, from 8"),
    (UNet, {"depth": 3}, spec((3, 28, 28), (3, 28, 28)), "an image of 28x28 can be halved 2 times, and depth = 3; use depth = 2 or less, or other images"),
    (UNet, {}, spec((3, 27, 28), (3, 27, 28)), "an image of 27x28 can be halved 0 times, and depth = at least 1; use images of even sides"),
    (Upscaler, {}, spec((3, 32, 32), (3, 12, 12)), "the condition has 12x12 pixels, but the image 32x32; both sides must be larger by the same factor, one of 1, 2, 4, 8"),
    (UNet, {"d_layers": 3, "scales": 2}, spec((3, 32, 32), ()), "an image of 32 pixels has 16 at scale 2, too few for d_layers = 3; use d_layers = 2, or larger images"),
    (UNet, {"scales": 4}, spec((3, 32, 32), ()), "an image of 32 pixels has 4 at scale 4, too few for d_layers = 2; use fewer scales, or larger images"),
    (UNet, {}, DataSpec(shape=(2,)), "needs images, got samples of shape (2,); use nets 'mlp'"),
    (UNet, {}, DataSpec(shape=(3, 32, 32), labels=LabelSpec(kind="one_of_k", names=("a", "b"))), "expected an image as the condition, got labels of kind 'one_of_k'; use data 'derived' or 'pairs', or nets 'dcgan'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "spec", "message"), REFUSED, ids=[r[3][:40] for r in REFUSED])
def test_refusals(kind: type[Architecture], fields: dict[str, object], spec: DataSpec, message: str) -> None:
    with pytest.raises(UserError) as refusal:
        build(kind, spec, **fields)
    assert str(refusal.value) == f"nets '{kind.type_name()}': {message}"


@each_kind
def test_every_field_is_described_and_the_paper_named(kind: type[Architecture]) -> None:
    assert "arXiv:" in kind.source
    assert [n for n, field in kind.model_fields.items() if n != "type" and not field.description] == []


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
