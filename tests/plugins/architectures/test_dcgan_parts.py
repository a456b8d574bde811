"""DCGAN's parts that a key adds: minibatch deviation, fully connected layers, classifier, concat_bn."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.api import DataSpec, UserError
from ganforge_architectures import DCGAN
from ganforge_architectures.dcgan import DNorm
from ganforge_architectures.minibatch_stddev import MinibatchStddev
from support.labelled_dcgan import labelled, multi_hot
from support.networks import count


def test_minibatch_stddev() -> None:
    x = torch.randn(4, 3, 2, 2).double().requires_grad_()
    out = MinibatchStddev()(x)
    torch.testing.assert_close(out[:, :3], x)
    pixels = x.detach().reshape(4, 12).numpy()
    assert out.shape == (4, 4, 2, 2)
    assert out[:, 3].unique().numel() == 1
    assert out[0, 3, 0, 0].item() == pytest.approx(pixels.std(axis=0).mean(), rel=1e-5)
    same = torch.ones(2, 3, 2, 2, requires_grad=True)
    MinibatchStddev()(same).sum().backward()
    assert same.grad is not None
    assert same.grad.isfinite().all()


def test_minibatch_stddev_sees_that_fakes_are_alike() -> None:
    torch.manual_seed(4)
    nets = DCGAN(width=8, d_norm="none", minibatch_stddev=True)
    _, d = nets.build(DataSpec(shape=(1, 16, 16)), 6, {"q": 2})
    x = torch.randn(2, 1, 16, 16)
    apart, alike = d(x, None), d(x[:1].expand(2, -1, -1, -1), None)
    assert apart.features.shape == (2, 17 * 16)
    assert (apart.features[0, -16:] > alike.features[0, -16:] + 1e-4).all()
    assert apart.logits[0] != alike.logits[0]


def test_the_fully_connected_layers_are_those_of_infogan() -> None:
    """Chen et al. 2016, table of the MNIST network: G 74-1024-7x7x128-14x14x64-28x28, D and Q share
    64-128-1024, then one logit, and 128 to Q's outputs (10 classes, two means with variances)."""
    data = DataSpec(shape=(1, 28, 28))
    nets = DCGAN(width=64, fc_width=1024, head_width=128).build(data, 74, {"code": 14})
    assert count(nets.generator) == (
        (74 * 1024 + 2 * 1024) + (1024 * 49 * 128 + 2 * 128) + (128 * 64 * 16 + 2 * 64) + 64 * 16
    )
    shared = 64 * 16 + (64 * 128 * 16 + 2 * 128) + (49 * 128 * 1024 + 2 * 1024)
    q = (1024 * 128 + 128 + 2 * 128) + (128 * 14 + 14)
    assert count(nets.discriminator) == shared + (1024 + 1) + q


def test_the_fully_connected_layers_compute_what_plain_torch_computes() -> None:
    torch.manual_seed(0)
    nets = DCGAN(width=4, fc_width=6, head_width=5).build(DataSpec(shape=(1, 28, 28)), 3, {"code": 2})
    x, z = torch.rand(4, 1, 28, 28), torch.randn(4, 3)
    d, g = nets.discriminator.state_dict(), nets.generator.state_dict()
    verdict = nets.discriminator(x, None)
    h = F.leaky_relu(F.conv2d(x, d["trunk.0.weight"], stride=2, padding=1), 0.2)
    h = F.conv2d(h, d["trunk.2.weight"], stride=2, padding=1)
    h = F.leaky_relu(
        (h - h.mean((0, 2, 3), True)) / (h.var((0, 2, 3), False, keepdim=True) + 1e-5).sqrt(), 0.2
    )
    h = h.flatten(1) @ d["trunk.6.weight"].T
    h = F.leaky_relu((h - h.mean(0)) / (h.var(0, False) + 1e-5).sqrt(), 0.2)
    torch.testing.assert_close(verdict.features, h)
    torch.testing.assert_close(verdict.logits, (h @ d["logit.weight"].T + d["logit.bias"]).flatten())
    q = h @ d["heads.layers.0.0.weight"].T + d["heads.layers.0.0.bias"]
    q = F.leaky_relu((q - q.mean(0)) / (q.var(0, False) + 1e-5).sqrt(), 0.1)
    code = q @ d["heads.layers.0.3.weight"].T + d["heads.layers.0.3.bias"]
    torch.testing.assert_close(verdict.heads["code"], code)
    first = z @ g["dense.0.weight"].T
    first = torch.relu((first - first.mean(0)) / (first.var(0, False) + 1e-5).sqrt())
    torch.testing.assert_close(nets.generator.dense(z), first)


def test_a_classifier_of_its_own_answers_the_heads() -> None:
    torch.manual_seed(0)
    _, d = DCGAN(
        width=8, spectral_norm=True, d_norm="none", classifier_width=4, conditioning="projection"
    ).build(labelled((3, 32, 32)), 6, {"labels": 24, "c1": 5})
    x, cond = torch.rand(5, 3, 32, 32) * 2 - 1, multi_hot(5)
    convs = [m for m in d.classifier.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0]) for m in convs] == [
        (3, 4, 4, 2), (4, 8, 4, 2), (8, 16, 4, 2), (16, 16, 3, 1)
    ]  # fmt: skip
    h = x
    for i, conv in enumerate(convs):
        h = F.conv2d(h, conv.weight, conv.bias, stride=conv.stride, padding=1)
        # Batch norm begins with gain 1 and bias 0.
        h = F.leaky_relu(F.batch_norm(h, None, None, training=True) if i else h, 0.2)
    features = h.mean((2, 3))
    verdict = d(x, cond)
    linear = [m for m in d.classifier.heads.modules() if isinstance(m, nn.Linear)]
    for layer, name in zip(linear, ("labels", "c1"), strict=True):
        torch.testing.assert_close(verdict.heads[name], layer(features))
    # The discriminator has no head, and its logit none of the classifier's weights.
    assert not list(d.heads.parameters())
    verdict.logits.sum().backward()
    assert all(weight.grad is None for weight in d.classifier.parameters())
    assert not any("parametrizations" in name for name in d.classifier.state_dict())


def test_a_classifier_without_heads_is_left_out() -> None:
    _, d = DCGAN(width=8, classifier_width=4).build(labelled((3, 32, 32)), 6, {})
    assert d.classifier is None


def test_classifier_keeps_the_scale_of_its_input() -> None:
    torch.manual_seed(0)
    _, d = DCGAN(width=8, classifier_width=64).build(labelled(), 6, {"labels": 24})
    first = d.classifier.trunk[:2](torch.randn(16, 3, 64, 64)).detach()
    # Leaky ReLU (He et al. 2015): the second moment stays 1, but for the border, where a sixteenth is padding.
    assert abs(first.square().mean().item() - 1) < 0.1


def test_concat_bn_gives_the_generator_the_condition_twice() -> None:
    torch.manual_seed(0)
    both, _ = DCGAN(width=8, conditioning="concat_bn", condition_dim=5).build(labelled((3, 32, 32)), 6, {})
    bn, d = DCGAN(width=8, conditioning="conditional_bn").build(labelled((3, 32, 32)), 6, {})
    cat, _ = DCGAN(width=8, conditioning="projection", condition_dim=5).build(labelled((3, 32, 32)), 6, {})
    shapes = {name: tuple(p.shape) for name, p in both.named_parameters()}
    first = {"first.embed.weight": (5, 24), "first.embed.bias": (5,), "convs.0.weight": (11, 32, 4, 4)}
    assert shapes == {name: tuple(p.shape) for name, p in bn.named_parameters()} | first
    assert {name: tuple(p.shape) for name, p in cat.named_parameters() if name in first} == first
    assert d.projection is not None


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_pooled_features_are_summed_over_pixels_for_projection_and_heads(norm: DNorm) -> None:
    torch.manual_seed(0)
    _, d = DCGAN(width=8, d_norm=norm, pool="sum", conditioning="projection").build(
        labelled((3, 32, 32)), 6, {"labels": 24}
    )
    x, cond = torch.rand(5, 3, 32, 32) * 2 - 1, multi_hot(5)
    weights, verdict = d.state_dict(), d(x, cond)
    h = d.trunk(x)
    assert h.shape == (5, 32, 4, 4)
    torch.testing.assert_close(verdict.features, h.flatten(1))
    unconditional = (h * weights["logit.weight"]).sum((1, 2, 3))
    matching = torch.einsum("nk,ck,nchw->n", cond, weights["projection.embed.weight"], h)
    torch.testing.assert_close(verdict.logits, unconditional + matching)
    found = torch.einsum("kc,nchw->nk", weights["heads.layers.0.weight"], h)
    torch.testing.assert_close(verdict.heads["labels"], found + weights["heads.layers.0.bias"])
    # Where the features are does not matter to the heads; to the logit it does.
    moved = h.roll(1, dims=3)
    torch.testing.assert_close(d.heads(moved.sum((2, 3)))["labels"], verdict.heads["labels"])
    assert not torch.allclose((moved * weights["logit.weight"]).sum((1, 2, 3)), unconditional)


def test_a_fully_connected_layer_leaves_no_pixels_to_pool() -> None:
    with pytest.raises(UserError) as raised:
        DCGAN(width=8, fc_width=16, pool="sum").build(labelled((3, 32, 32)), 6, {})
    assert str(raised.value) == (
        'nets \'dcgan\': expected pool = "none" with a fully connected layer, got pool = "sum" with '
        "fc_width = 16"
    )
