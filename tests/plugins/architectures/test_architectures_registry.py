"""What holds for every architecture that makes samples of a latent and labels, whatever its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from ganforge.api import Architecture, DataSpec, Field, LabelKind, LabelSpec, Networks, UserError
from ganforge_architectures import StyleGAN2, ganforge_components
from ganforge_architectures.style_discriminator import Design


class StyleGAN2WithSkips(StyleGAN2):
    """The other published discriminator."""

    discriminator: Design = Field("skip", description="As in the parent.")


NARROW: dict[str, dict[str, object]] = {
    "biggan": {"channels": 2, "shared_dim": 6},
    "dcgan": {"width": 8, "condition_dim": 6},
    "mlp": {"g_hidden": (16, 12), "d_hidden": (14, 10)},
    "r3gan": {"width": 8, "group_width": 8, "condition_dim": 6},
    "resnet": {"g_width": 8, "d_width": 8, "condition_dim": 6},
    "stylegan2": {"channel_max": 8, "w_dim": 6, "mapping_layers": 2, "mixing": 0.0, "noise": "fixed"},
}
EVERY = [kind for kind in ganforge_components() if issubclass(kind, Architecture)]
ALL = [*(kind for kind in EVERY if "conditioning" in kind.model_fields), StyleGAN2WithSkips]
"""The others make images of images: test_image_to_image.py."""


def conditionings(kind: type[Architecture]) -> list[str]:
    return [how for how in get_args(kind.model_fields["conditioning"].annotation) if how != "auto"]


CASES = [(kind, how) for kind in ALL for how in conditionings(kind)]
Z, K = 5, 4
every_architecture = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
every_conditioning = pytest.mark.parametrize(
    ("kind", "how"), CASES, ids=[f"{kind.__name__}-{how}" for kind, how in CASES]
)


def spec(label: LabelKind = "one_of_k", shape: tuple[int, ...] = (3, 32, 32)) -> DataSpec:
    names = () if label == "none" else tuple("abcd")
    return DataSpec(shape=shape, labels=LabelSpec(kind=label, names=names))


def conditions(label: LabelKind) -> Tensor | None:
    rows = {
        "one_of_k": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
        "many_of_k": [[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1]],
        "vector": [[0.3, -2, 0.1, 0], [0, 0, 0, 0], [1.5, 1, -1, 4]],
    }
    return None if label == "none" else torch.tensor(rows[label], dtype=torch.float32)


def narrow(kind: type[Architecture], **fields: object) -> Architecture:
    return kind.model_validate(NARROW[kind.type_name()] | fields)


def build(
    kind: type[Architecture], spec: DataSpec, heads: dict[str, int] | None = None, **fields: object
) -> Networks:
    torch.manual_seed(0)
    return narrow(kind, **fields).build(spec, Z, heads or {})


def awake(networks: Networks) -> Networks:
    """With weights in place of those that start from 0 and would starve the layers before them."""
    for network in networks:
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():
                nn.init.normal_(parameter, 0.0, 0.1)
    return networks


def spectral(kind: type[Architecture]) -> dict[str, bool]:
    return {"spectral_norm": True} if "spectral_norm" in kind.model_fields else {}


def tensors(networks: Networks) -> Iterator[tuple[str, Tensor]]:
    for network in networks:
        yield from network.state_dict().items()


def test_the_hook_names_the_architectures() -> None:
    assert sorted(kind.type_name() for kind in EVERY) == [
        "began",
        "biggan",
        "dcgan",
        "mlp",
        "r3gan",
        "resnet",
        "stylegan2",
        "translator",
        "unet",
        "upscaler",
    ]


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.type_name() != "mlp"])
def test_an_image_as_the_condition_is_refused(kind: type[Architecture]) -> None:
    data = DataSpec(shape=(3, 32, 32), labels=LabelSpec(kind="image", size=(1, 32, 32)))
    with pytest.raises(UserError) as refusal:
        build(kind, data)
    assert str(refusal.value) == (
        f"nets '{kind.type_name()}': expected labels as the condition, got an image of 1x32x32; use nets 'unet', "
        "'translator' or 'upscaler', or conditioning = \"none\""
    )
    assert build(kind, data, conditioning="none")


@every_architecture
def test_every_field_is_described_and_the_paper_named(kind: type[Architecture]) -> None:
    assert "arXiv:" in kind.source
    assert [n for n, field in kind.model_fields.items() if n != "type" and not field.description] == []


@every_architecture
@pytest.mark.parametrize("label", ["none", "one_of_k", "many_of_k", "vector"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)], ids=str)
def test_defaults_fit_all_labels(kind: type[Architecture], label: LabelKind, shape: tuple[int, ...]) -> None:
    generator, discriminator = build(kind, spec(label, shape), {"code.one": 3, "values": 2})
    cond = conditions(label)
    fake = generator(torch.randn(3, Z), cond)
    assert fake.shape == (3, *shape)
    assert generator.eval()(torch.randn(3, Z), cond).abs().max() <= 1
    verdict = discriminator(fake, cond)
    assert verdict.logits.shape == (3,)
    assert {name: tuple(head.shape) for name, head in verdict.heads.items()} == {
        "code.one": (3, 3),
        "values": (3, 2),
    }
    assert verdict.features is not None
    assert verdict.features.ndim == 2


@every_conditioning
def test_gradients_reach_every_parameter(kind: type[Architecture], how: str) -> None:
    data = spec("none" if how == "none" else "many_of_k")
    generator, discriminator = awake(build(kind, data, {"q": 2}, conditioning=how))
    cond = conditions(data.labels.kind)
    verdict = discriminator(generator(torch.randn(3, Z), cond), cond)
    (verdict.logits.square().sum() + verdict.heads["q"].square().sum()).backward()
    starved = [
        name
        for network in (generator, discriminator)
        for name, p in network.named_parameters()
        if p.grad is None or not p.grad.any()
    ]
    assert starved == []


@every_conditioning
def test_a_network_heeds_the_condition_exactly_if_it_is_told_to(kind: type[Architecture], how: str) -> None:
    generator, discriminator = (network.double() for network in build(kind, spec(), conditioning=how))
    z = torch.randn(1, Z).double().expand(3, Z)
    x = torch.rand(1, 3, 32, 32).double().expand(3, 3, 32, 32)
    cond = conditions("one_of_k")
    assert cond is not None
    with torch.no_grad():
        fakes = generator.eval()(z, cond.double())
        logits = discriminator.eval()(x, cond.double()).logits
    assert ((fakes[0] - fakes[1]).abs().max() > 1e-6) == (how != "none")
    assert ((logits[0] - logits[1]).abs() > 1e-6) == (how not in ("none", "generator", "generator_bn"))


@every_architecture
def test_builds_on_the_meta_device(kind: type[Architecture]) -> None:
    fields = {**spectral(kind), "conditioning": conditionings(kind)[-1]}
    with torch.device("meta"):
        ghosts = list(tensors(build(kind, spec(), {"q": 2}, **fields)))
    solid = tensors(build(kind, spec(), {"q": 2}, **fields))
    assert {t.device.type for _, t in ghosts} == {"meta"}
    assert [(n, t.shape) for n, t in ghosts] == [(n, t.shape) for n, t in solid]


@every_architecture
def test_the_seed_decides_the_weights(kind: type[Architecture]) -> None:
    how = next(how for how in ("projection", "conditional_bn") if how in conditionings(kind))
    fields = {**spectral(kind), "conditioning": how}
    one, same = build(kind, spec(), {"q": 2}, **fields), build(kind, spec(), {"q": 2}, **fields)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(tensors(one), tensors(same), strict=True))
    other = narrow(kind, **fields).build(spec(), Z, {"q": 2})
    alike = [
        name
        for (name, a), (_, b) in zip(tensors(one), tensors(other), strict=True)
        if torch.equal(a, b) and a.numel() > 1 and a.unique().numel() > 1
    ]
    assert alike == []


@every_conditioning
def test_a_gradient_penalty_can_be_differentiated(kind: type[Architecture], how: str) -> None:
    fields = {"d_norm": "layer"} if kind.type_name() == "dcgan" else {}
    _, discriminator = awake(build(kind, spec(), conditioning=how, **fields))
    x = torch.rand(3, 3, 32, 32, requires_grad=True)
    (slope,) = torch.autograd.grad(
        discriminator(x, conditions("one_of_k")).logits.sum(), x, create_graph=True
    )
    slope.square().sum().backward()
    # Biases, and the plane as one, only move the kinks of a piecewise linear network.
    weights = [(n, p) for n, p in discriminator.named_parameters() if p.ndim > 1 and "plane" not in n]
    assert [n for n, p in weights if p.grad is None or not p.grad.any()] == []


@every_conditioning
def test_channels_last_changes_nothing(kind: type[Architecture], how: str) -> None:
    networks = Networks(*(network.double() for network in build(kind, spec(), conditioning=how)))
    z, x, cond = torch.randn(3, Z).double(), torch.rand(3, 3, 32, 32).double(), conditions("one_of_k")
    assert cond is not None
    with torch.no_grad():
        plain = networks.generator(z, cond.double()), networks.discriminator(x, cond.double())
        for network in networks:
            network.to(memory_format=torch.channels_last)
        fake = networks.generator(z, cond.double())
        verdict = networks.discriminator(x.to(memory_format=torch.channels_last), cond.double())
    if kind.type_name() != "mlp":
        assert fake.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(fake, plain[0])
    torch.testing.assert_close((verdict.logits, verdict.features), (plain[1].logits, plain[1].features))


@every_conditioning
def test_bfloat16_is_near_float32(kind: type[Architecture], how: str) -> None:
    fields = {"attention": 8} if "attention" in kind.model_fields else {}
    generator, discriminator = build(kind, spec(), {"q": 2}, conditioning=how, **fields)
    z, x, cond = torch.randn(3, Z), torch.rand(3, 3, 32, 32), conditions("one_of_k")
    with torch.no_grad():
        exact = (generator(z, cond), discriminator(x, cond))
        with torch.autocast("cpu", torch.bfloat16):
            rough = (generator(z, cond), discriminator(x, cond))
    # Some networks widen their last layers to float32; what precedes them has been rounded.
    assert not torch.equal(rough[1].logits.float(), exact[1].logits)
    assert (rough[0].float() - exact[0]).abs().mean() < 0.01
    torch.testing.assert_close(rough[1].logits.float(), exact[1].logits, atol=0.05, rtol=0.05)


@every_conditioning
def test_a_condition_without_labels_is_refused(kind: type[Architecture], how: str) -> None:
    if how == "none":
        build(kind, spec("none"), conditioning=how)
        return
    with pytest.raises(UserError) as refusal:
        build(kind, spec("none"), conditioning=how)
    assert str(refusal.value) == (
        f"nets '{kind.type_name()}': conditioning '{how}' needs labels, but the data has none; "
        'use conditioning = "none", or data with labels'
    )


@every_architecture
@pytest.mark.parametrize("head", ["label", "labels"])
def test_a_classifier_is_not_shown_the_answer(kind: type[Architecture], head: str) -> None:
    if "concat" in conditionings(kind):
        with pytest.raises(UserError) as refusal:
            build(kind, spec(), {head: K}, conditioning="concat")
        assert str(refusal.value) == (
            f"nets '{kind.type_name()}': conditioning 'concat' gives the discriminator the labels that its "
            f'head \'{head}\' has to predict; use conditioning = "generator" or "projection"'
        )
    _, discriminator = build(kind, spec(), {head: K})
    x, cond = torch.rand(1, 3, 32, 32).expand(3, 3, 32, 32), conditions("one_of_k")
    with torch.no_grad():
        answers = discriminator.eval()(x, cond).heads[head]
    torch.testing.assert_close(answers[0], answers[1])
