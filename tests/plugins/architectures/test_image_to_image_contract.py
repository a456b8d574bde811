"""U-Net, translator and upscaler keep what the engine expects of networks, and refuse what does not fit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganforge.api import Architecture, DataSpec, LabelSpec, UserError
from ganforge_architectures import Translator, UNet, Upscaler
from support.image_to_image import build, condition_for, each_kind, leaves, spec


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
