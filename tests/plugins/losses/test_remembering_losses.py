"""Losses and terms that remember: each against its paper's recursion, written out in plain numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ganforge_losses
from ganforge.api import Draw, Loss, Play, Role, UserError, Verdict
from support.plays import N, make
from support.tensors import normal

LOSSES = {c.type_name(): c for c in ganforge_losses.ganforge_components() if issubclass(c, Loss)}


def play(on_real: object, on_fake: object, role: Role = "d", generator: nn.Module | None = None) -> Play:
    """A critic whose logits are given."""
    real, fake = torch.zeros(N, 1), torch.ones(N, 1)

    def critic(x: Tensor, cond: Tensor | None) -> Verdict:
        return Verdict(on_real if x is real else on_fake)

    rng = torch.Generator().manual_seed(7)
    draw = Draw(torch.zeros(N, 1), None, {})
    return Play(role, real, None, fake, draw, critic, critic, rng, generator=generator)


def errors(seed: int, *tail: int) -> Tensor:
    """Energies above 0, as negative logits."""
    return -normal(N, *tail, seed=seed).abs()


@pytest.mark.parametrize("tail", [(), (1, 2, 3)], ids=str)
def test_began_balances_the_two_errors(tail: tuple[int, ...]) -> None:
    loss = LOSSES["began"].model_validate({"type": "began", "gamma": 0.7, "rate": 0.5})
    k = 0.0
    for step in range(4):
        real, fake = errors(2 * step, *tail), 0.4 * errors(2 * step + 1, *tail)
        error, of_fakes = -float(real.mean()), -float(fake.mean())
        assert loss(play(real, fake)).item() == pytest.approx(error - k * of_fakes, rel=1e-6)
        k = min(1.0, max(0.0, k + 0.5 * (0.7 * error - of_fakes)))
        told = loss.estimates(real, fake)
        assert told["began_k"].item() == pytest.approx(k, abs=1e-6)
        assert told["began_measure"].item() == pytest.approx(error + abs(0.7 * error - of_fakes), rel=1e-6)
        assert loss(play(real, fake, "g")).item() == pytest.approx(of_fakes, rel=1e-6)
        assert loss.estimates(real, fake)["began_k"].item() == pytest.approx(k, abs=1e-6)
    assert k > 0


def test_began_learns_while_k_moves() -> None:
    loss = LOSSES["began"].model_validate({"type": "began", "rate": 1.0})
    for seed in range(2):
        real, fake = errors(seed).requires_grad_(True), (errors(9) * 0.1).requires_grad_(True)
        loss(play(real, fake)).backward()
        assert real.grad is not None and fake.grad is not None
        assert real.grad.sum().item() == pytest.approx(-1)
    assert fake.grad.sum().item() > 0.1


@pytest.mark.parametrize("tail", [(), (1, 2, 3)], ids=str)
def test_ebgan_raises_fakes_up_to_the_margin(tail: tuple[int, ...]) -> None:
    loss = LOSSES["ebgan"].model_validate({"type": "ebgan", "margin": 0.8})
    real, fake = errors(1, *tail), errors(2, *tail)
    expected = (-real.numpy()).mean() + np.maximum(0, 0.8 + fake.numpy()).mean()
    assert loss.d_loss(real, fake).item() == pytest.approx(expected)
    assert loss.g_loss(fake, None).item() == pytest.approx((-fake.numpy()).mean())


def test_lecam_holds_each_side_near_the_others_past() -> None:
    term = make("lecam", decay=0.75)
    anchors = np.zeros(2)
    for step in range(3):
        real, fake = normal(N, seed=step), normal(N, seed=10 + step)
        value = term(play(real, fake))
        anchors = 0.75 * anchors + 0.25 * np.array([real.mean().item(), fake.mean().item()])
        expected = ((real.numpy() - anchors[1]) ** 2).mean() + ((fake.numpy() - anchors[0]) ** 2).mean()
        assert value.item() == pytest.approx(expected, rel=1e-5)
        told = term.estimates(play(real, fake))
        assert [told[name].item() for name in ("lecam_real", "lecam_fake")] == pytest.approx(
            anchors, rel=1e-5
        )


def test_lecam_takes_the_mean_of_patches_and_scales() -> None:
    fine, coarse = normal(N, 1, 4, 4, seed=1), normal(N, 1, 2, 2, seed=2)
    means = (fine.flatten(1).mean(1) + coarse.flatten(1).mean(1)) / 2
    torch.testing.assert_close(
        make("lecam")(play([fine, coarse], [fine, coarse])), make("lecam")(play(means, means))
    )


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(3, 1, bias=False).double()


def weighted(parts: dict[str, Tensor], net: Net, **fields: object) -> tuple[Tensor, float]:
    one = play(normal(N), normal(N), "g", net)
    one.parts.update(parts)
    term = make("adaptive_weight", layer="out.weight", **fields)
    return term(one), term.estimates(one)["adaptive_weight"].item()


def test_the_adversarial_loss_pulls_as_strongly_as_another_term() -> None:
    net = Net()
    w = net.out.weight
    # Gradients of lengths 3 and 0.5.
    parts = {"adversarial": 0.5 * w[0, 0], "l1": 3.0 * w[0, 1], "r1": w.sum() * 0}
    value, weight = weighted(parts, net, factor=0.8, of_weight=2.0)
    assert weight == pytest.approx(0.8 * 2 * 3 / (0.5 + 1e-4), rel=1e-6)
    total = parts["adversarial"] + 2 * parts["l1"] + value
    (slope,) = torch.autograd.grad(total, w)
    # Together they pull 0.8 as hard along the one as along the other.
    assert slope[0, 0].item() == pytest.approx(0.8 * slope[0, 1].item(), rel=1e-3)


def test_without_adversarial_gradient_the_weight_is_bounded() -> None:
    net = Net()
    parts = {"adversarial": net.out.weight.sum() * 0, "l1": 1e6 * net.out.weight.sum()}
    assert weighted(parts, net)[1] == 1e4


def test_what_the_adaptive_weight_lacks_is_named() -> None:
    net = Net()
    part = net.out.weight.sum()
    with pytest.raises(UserError) as refusal:
        weighted({"adversarial": part, "l1": part}, net, of="l2")
    assert str(refusal.value) == (
        "term 'adaptive_weight': no term 'l2' stands before it (those that do: l1); set of, "
        "or change the order"
    )
    with pytest.raises(UserError) as refusal:
        weighted({"adversarial": part}, net)
    assert "(those that do: none)" in str(refusal.value)
    one = play(normal(N), normal(N), "g", net)
    with pytest.raises(UserError) as refusal:
        make("adaptive_weight", layer="out.weights")(one)
    assert str(refusal.value) == (
        "term 'adaptive_weight': the generator has no parameter 'out.weights'; did you mean 'out.weight'?; its "
        "last ones: out.weight"
    )


def test_each_copy_remembers_for_itself() -> None:
    term = make("lecam")
    term.copied()(play(normal(N) + 5, normal(N)))
    assert term.estimates(play(normal(N), normal(N)))["lecam_real"].item() == 0
