"""The auxiliary losses, each against a closed form in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge.api import Critic, Role, UserError, Verdict
from support.plays import ELSEWHERE, PENALTIES, TERMS, N, make, play
from support.tensors import normal

pytestmark = pytest.mark.numeric


def reader(on_real: Mapping[str, Tensor], on_fake: Mapping[str, Tensor], real: Tensor) -> Critic:
    """A discriminator whose heads are given, not computed."""

    def critic(x: Tensor, cond: Tensor | None) -> Verdict:
        heads = on_real if x is real else on_fake
        return Verdict(torch.zeros(len(x), dtype=x.dtype), dict(heads))

    return critic


def information(
    heads: Mapping[str, Tensor], codes: dict[str, Tensor], role: Role = "d", **fields: object
) -> Tensor:
    samples = normal(len(next(iter(codes.values()))), 2)
    return make("mutual_information", **fields)(
        play(reader({}, heads, torch.empty(0)), samples, samples, role, codes=codes)
    )


def test_ideal_q_finds_all_the_information() -> None:
    # The bound is H(c) - term: an ideal Q leaves all of H(c) = log K, an ignorant one nothing.
    code = torch.arange(10)
    ideal = torch.nn.functional.one_hot(code, 10).double() * 1e3
    assert math.log(10) - information({"c1": ideal}, {"c1": code}).item() == math.log(10)
    ignorant = torch.zeros(10, 10, dtype=torch.float64)
    assert math.log(10) - information({"c1": ignorant}, {"c1": code}).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("role", ["d", "g"])
def test_mutual_information_of_any_q(role: Role) -> None:
    c1, c2 = torch.tensor([1, 0, 2]), torch.tensor([0, 1, 1])
    q1, q2, q3 = normal(3, 3, seed=1), normal(3, 2, seed=2), normal(3, 2, seed=3)
    c3 = normal(3, 2, seed=4)
    value = information(
        {"c3": q3, "c2": q2, "c1": q1}, {"c1": c1, "c2": c2, "c3": c3}, role, continuous_weight=0.5
    )
    classes = 0.0
    for q, c in [(q1, c1), (q2, c2)]:
        weights = np.exp(q.numpy())
        classes -= np.log(weights[np.arange(3), c.numpy()] / weights.sum(1)).mean()
    density = np.exp(-((c3 - q3).numpy() ** 2) / 2) / np.sqrt(2 * np.pi)
    assert value.item() == pytest.approx(classes - 0.5 * np.log(density).sum(1).mean(), rel=1e-12)


def test_mutual_information_with_learned_variance() -> None:
    c1, mean, log_variance = normal(5, 2, seed=1), normal(5, 2, seed=2), normal(5, 2, seed=3)
    value = information(
        {"c1": torch.cat([mean, log_variance], 1)}, {"c1": c1}, learn_variance=True, continuous_weight=1.0
    )
    spread = np.exp(log_variance.numpy() / 2)
    density = np.exp(-(((c1 - mean).numpy() / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
    assert value.item() == pytest.approx(-np.log(density).sum(1).mean(), rel=1e-12)


def test_auxiliary_classifier_of_one_of_k() -> None:
    real, fake = normal(3, 2), normal(3, 2, seed=1)
    q_real, q_fake = normal(3, 4, seed=2), normal(3, 4, seed=3)
    on_real, on_fake = torch.tensor([0, 3, 1]), torch.tensor([2, 2, 0])
    cond, fake_cond = (torch.eye(4, dtype=torch.float64)[c] for c in (on_real, on_fake))
    term = make("auxiliary_classifier", real_weight=2.0, fake_weight=0.5, generator_weight=3.0)

    def surprise(q: Tensor, c: Tensor) -> float:
        weights = np.exp(q.numpy())
        return float(-np.log(weights[np.arange(3), c.numpy()] / weights.sum(1)).mean())

    critic = reader({"label": q_real}, {"label": q_fake}, real)
    d = term(play(critic, real, fake, "d", cond, fake_cond)).item()
    g = term(play(critic, real, fake, "g", cond, fake_cond)).item()
    assert d == pytest.approx(2 * surprise(q_real, on_real) + 0.5 * surprise(q_fake, on_fake), rel=1e-12)
    assert g == pytest.approx(3 * surprise(q_fake, on_fake), rel=1e-12)


def test_auxiliary_classifier_of_many_of_k() -> None:
    real, fake = normal(3, 2), normal(3, 2, seed=1)
    q_real, q_fake = normal(3, 4, seed=2), normal(3, 4, seed=3)
    cond, fake_cond = (normal(3, 4, seed=seed).gt(0).double() for seed in (4, 5))
    critic = reader({"labels": q_real}, {"labels": q_fake}, real)

    def surprise(q: Tensor, c: Tensor) -> float:
        p = 1 / (1 + np.exp(-q.numpy()))
        return float(-np.log(np.where(c.numpy() > 0, p, 1 - p)).mean())

    one_play = play(critic, real, fake, "d", cond, fake_cond)
    expected = surprise(q_real, cond) + surprise(q_fake, fake_cond)
    assert make("auxiliary_classifier")(one_play).item() == pytest.approx(expected, rel=1e-12)


def test_discriminative_classifier() -> None:
    # Of each label on its own, in probabilities.
    real, fake = normal(3, 2), normal(3, 2, seed=1)
    q_real, q_fake = normal(3, 4, seed=2), normal(3, 4, seed=3)
    cond, fake_cond = (normal(3, 4, seed=seed).gt(0).double() for seed in (4, 5))
    critic = reader({"label_found": q_real}, {"label_found": q_fake}, real)
    term = make("discriminative_classifier", fake_weight=0.5, generator_weight=3.0)

    def surprise(q: Tensor, found: Tensor) -> float:
        p = 1 / (1 + np.exp(-q.numpy()))
        return float(-np.log(np.where(found.numpy() > 0, p, 1 - p)).sum(1).mean())

    d = term(play(critic, real, fake, "d", cond, fake_cond)).item()
    g = term(play(critic, real, fake, "g", cond, fake_cond)).item()
    # Labels that were not asked for: any fake may show them, at no cost to D.
    absent = float(np.log(1 + np.exp(q_fake.numpy()))[fake_cond.numpy() == 0].sum()) / 3
    asked = surprise(q_fake, torch.zeros(3, 4)) - absent
    assert d == pytest.approx(surprise(q_real, cond) + 0.5 * asked, rel=1e-12)
    assert g == pytest.approx(3 * surprise(q_fake, fake_cond), rel=1e-12)


def test_generator_does_not_pay_for_a_verdict_on_real_samples() -> None:
    one_hot = torch.eye(3, dtype=torch.float64)

    def critic(x: Tensor, cond: Tensor | None) -> Verdict:
        return Verdict(x.sum(1), {"label": x, "c1": x})

    for name in ["auxiliary_classifier", "mutual_information"]:
        one_play = play(critic, one_hot, one_hot, "g", one_hot, one_hot, {"c1": torch.arange(3)})
        make(name)(one_play)
        assert "real_verdict" not in vars(one_play)


def featured(x: Tensor, cond: Tensor | None) -> Verdict:
    return Verdict(x.sum(1), features=x)


def test_feature_matching_is_the_distance_of_the_means() -> None:
    real, fake = normal(5, 3, seed=1), normal(5, 3, seed=2)
    value = make("feature_matching")(play(featured, real, fake, "g"))
    expected = np.linalg.norm(real.numpy().mean(0) - fake.numpy().mean(0)) ** 2
    assert value.item() == pytest.approx(expected, rel=1e-12)


def featureless(x: Tensor, cond: Tensor | None) -> Verdict:
    return Verdict(x.sum(1))


def test_feature_matching_without_features_is_explained() -> None:
    with pytest.raises(UserError) as error:
        make("feature_matching")(play(featureless, normal(N, 2), normal(N, 2), "g"))
    assert str(error.value) == (
        "term 'feature_matching' needs a discriminator that returns features, and this one does not; "
        "use other [nets] or remove the term"
    )


def auxiliary(name: str, fake: Tensor, label: str = "label", **fields: object) -> Tensor:
    """An auxiliary loss as a function of the fakes, which are at once heads and features; `label`:
    the head for one label or many."""
    k = fake.shape[1] // 2
    codes = {"c1": torch.arange(len(fake)) % k, "c2": normal(len(fake), k, seed=9)}
    cond = torch.eye(k, dtype=fake.dtype)[codes["c1"]]

    def critic(x: Tensor, _: Tensor | None) -> Verdict:
        numbers = x.flip(1) if fields.get("learn_variance") else x[:, k:]
        heads = {label: x[:, :k], "label_found": x[:, :k], "c1": x[:, :k], "c2": numbers}
        return Verdict(x.sum(1), heads, features=x.tanh())

    real = normal(*fake.shape, seed=8).to(fake)
    return make(name, **fields)(play(critic, real, fake, "g", cond, cond, codes))


AUXILIARY = sorted(set(TERMS) - set(PENALTIES) - ELSEWHERE)


FORMS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in AUXILIARY),
    ("auxiliary_classifier", {"label": "labels"}),
    ("mutual_information", {"learn_variance": True}),
]


@pytest.mark.parametrize(("name", "fields"), FORMS, ids=str)
def test_gradient_of_auxiliary_losses(name: str, fields: dict[str, Any]) -> None:
    fake = normal(N, 6, seed=1).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: auxiliary(name, x, **fields), (fake,))
    (slope,) = torch.autograd.grad(auxiliary(name, fake, **fields), fake)
    assert slope.abs().max() > 0


@pytest.mark.parametrize("name", AUXILIARY)
def test_auxiliary_losses_are_float32_under_autocast(name: str) -> None:
    fake = normal(N, 6, seed=1).float()
    exact = auxiliary(name, fake.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = auxiliary(name, fake)
    assert mixed.item() == pytest.approx(exact.item(), rel=1e-5)


def test_an_ideal_q_reports_the_entropy_of_its_codes() -> None:
    classes = torch.tensor([0, 3, 1, 2])
    numbers = normal(4, 1).clamp(-1, 1)
    heads = {"c1": 80.0 * torch.eye(4, dtype=torch.float64)[classes], "c2": numbers}
    told = make("mutual_information").estimates(
        play(
            lambda x, c: Verdict(x[:, 0], heads),
            normal(4, 2),
            normal(4, 2),
            "g",
            codes={"c1": classes, "c2": numbers},
        )
    )
    assert told["mutual_information_c1"].item() == pytest.approx(math.log(4))
    # A unit Gaussian at the truth: log 2 nats of U(-1, 1), less half of log 2 pi.
    assert told["mutual_information_c2"].item() == pytest.approx(math.log(2) - 0.5 * math.log(2 * math.pi))


def test_class_accuracy_counts_wanted_labels_among_the_highest_outputs() -> None:
    outputs = torch.tensor([[3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 3.0]])
    cond = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    fake_cond = torch.tensor([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
    told = make("auxiliary_classifier").estimates(
        play(
            lambda x, c: Verdict(x[:, 0], {"labels": outputs}),
            normal(2, 2),
            normal(2, 2),
            "d",
            cond,
            fake_cond,
        )
    )
    found = {name: (share.part.item(), share.whole.item()) for name, share in told.items()}
    assert found == {"class_accuracy_real": (3, 4), "class_accuracy_fake": (1, 2)}


def test_class_accuracy_of_samples_without_labels_is_a_share_of_none() -> None:
    outputs, cond = torch.tensor([[3.0, 2.0], [0.0, 1.0]]), torch.zeros(2, 2)
    verdict = Verdict(outputs[:, 0], {"labels": outputs})
    told = make("auxiliary_classifier").estimates(
        play(lambda x, c: verdict, normal(2, 2), normal(2, 2), "d", cond, cond)
    )
    assert [(share.part.item(), share.whole.item()) for share in told.values()] == [(0, 0), (0, 0)]


@pytest.mark.parametrize("shape", [(3,), (2, 4, 4)], ids=str)
def test_l1_is_the_mean_distance_of_pairs(shape: tuple[int, ...]) -> None:
    real, fake = normal(N, *shape, seed=1), normal(N, *shape, seed=2)
    value = make("l1")(play(reader({}, {}, real), real, fake, "g"))
    assert value.item() == pytest.approx(np.abs(real.numpy() - fake.numpy()).mean(), rel=1e-12)
