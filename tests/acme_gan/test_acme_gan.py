"""Components written from their papers outside of the packages keep the contract, and are what they say."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge.api import Architecture, DataSpec, Play, Verdict
from ganforge.components.registry import Plugin, Registry
from ganforge.testing import outcomes
from support.plays import play
from support.toys import toy_registry

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
try:
    import acme_gan
finally:
    sys.path.remove(str(HERE))
from ganforge.testing.subject import with_squares  # noqa: E402

SPEC = DataSpec(shape=(3, 16, 16))
FOUND = Registry.from_modules([(Plugin("acme"), acme_gan)])
REGISTRY = with_squares(toy_registry(), *FOUND.providers)


def networks(name: str) -> Any:
    of = toy_registry().find("nets", "dcgan").model_validate({"type": "dcgan", "width": 4})
    component = FOUND.find("nets", name).model_validate({"type": name, "of": of, "width": 4})
    assert isinstance(component, Architecture)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return component.build(SPEC, 8, {})


@pytest.mark.parametrize("component", list(FOUND.providers), ids=lambda component: component.type_name())
def test_each_keeps_every_rule(component: Any) -> None:
    found = list(outcomes(component, REGISTRY))
    assert [str(each) for each in found if each.verdict != "kept"] == []


def test_they_import_the_api_and_nothing_else_of_ganforge() -> None:
    files = list((HERE / "acme_gan").glob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    assert {name for name in imported if name.startswith("ganforge")} == {"ganforge.api"}
    assert len(files) == 7


def test_the_unet_judges_the_image_and_each_pixel() -> None:
    verdict = networks("acme_unet").discriminator(torch.rand(2, 3, 16, 16), None)
    assert {name: tuple(each.shape) for name, each in verdict.logits.items()} == {
        "image": (2,),
        "pixels": (2, 1, 16, 16),
    }


def test_cutmix_is_zero_for_a_critic_that_judges_each_pixel_by_itself() -> None:
    def by_pixel(x: Tensor, cond: Any) -> Verdict:
        return Verdict({"pixels": x.mean(1, keepdim=True).square()})

    def by_image(x: Tensor, cond: Any) -> Verdict:
        return Verdict({"pixels": (x * x.mean((1, 2, 3), keepdim=True)).mean(1, keepdim=True)})

    term = FOUND.find("terms", "acme_cutmix").model_validate({"type": "acme_cutmix"})
    real, fake = torch.rand(4, 3, 16, 16), -torch.rand(4, 3, 16, 16)
    assert float(term(play(by_pixel, real, fake))) == 0  # type: ignore[operator]
    assert float(term(play(by_image, real, fake))) > 0.001  # type: ignore[operator]


def test_projected_features_do_not_train() -> None:
    discriminator = networks("acme_projected").discriminator
    names = {name for name, _ in discriminator.named_parameters()}
    assert names and not any(name.startswith("pyramid") for name in names)
    assert "pyramid.feature_0" in discriminator.state_dict()
    logits = discriminator(torch.rand(2, 3, 16, 16), None).logits
    assert [tuple(each.shape) for each in logits.values()] == [
        (2, 1, 8, 8),
        (2, 1, 4, 4),
        (2, 1, 2, 2),
        (2, 1, 1, 1),
    ]


REAL, FAKE = torch.tensor([[1.0], [3.0], [-0.5]]), torch.tensor([[0.5], [-2.0], [0.25]])


def judged(role: Literal["d", "g"] = "d") -> Play:
    """A play whose logits are the samples themselves."""
    return play(lambda x, cond: Verdict(x.squeeze(1)), REAL, FAKE, role)


def test_the_dual_contrastive_loss_is_that_of_the_paper() -> None:
    loss = FOUND.find("loss", "acme_dual").model_validate({"type": "acme_dual"})
    real, fake = REAL.flatten().double().numpy(), FAKE.flatten().double().numpy()
    of_real = [np.log(np.exp(x) / (np.exp(x) + np.exp(fake).sum())) for x in real]
    of_fake = [np.log(np.exp(-x) / (np.exp(-x) + np.exp(-real).sum())) for x in fake]
    expected = np.mean(of_real) + np.mean(of_fake)
    assert float(loss(judged("d"))) == pytest.approx(-expected, rel=1e-5)  # type: ignore[operator]
    assert float(loss(judged("g"))) == pytest.approx(expected, rel=1e-5)  # type: ignore[operator]


def test_lecam_is_the_distance_from_the_average_of_the_other_side() -> None:
    term = FOUND.find("terms", "acme_lecam").model_validate({"type": "acme_lecam"})
    real, fake = REAL.flatten().numpy(), FAKE.flatten().numpy()
    a_real = a_fake = 0.0
    for _ in range(2):
        a_real, a_fake = 0.99 * a_real + 0.01 * real.mean(), 0.99 * a_fake + 0.01 * fake.mean()
        expected = np.mean((real - a_fake) ** 2) + np.mean((fake - a_real) ** 2)
        assert float(term(judged())) == pytest.approx(expected, rel=1e-5)  # type: ignore[operator]


@pytest.mark.parametrize(("logit", "expected"), [(1.0, 4 / 1000), (-1.0, 0.0)])
def test_the_controller_follows_the_sign_of_real_logits(logit: float, expected: float) -> None:
    fields = {"type": "acme_controller", "images": 1000}
    callback = FOUND.find("callbacks", "acme_controller").model_validate(fields)
    update: Play = play(
        lambda x, cond: Verdict(torch.full((4,), logit)), torch.zeros(4, 2), torch.zeros(4, 2)
    )
    callback.after(update)  # type: ignore[attr-defined]
    assert float(callback._p) == pytest.approx(expected)  # type: ignore[attr-defined]


def test_the_controller_shows_samples_as_they_are_at_first() -> None:
    callback = FOUND.find("callbacks", "acme_controller").model_validate({"type": "acme_controller"})
    x, rng = torch.rand(8, 3, 4, 4), torch.Generator().manual_seed(1)
    assert torch.equal(callback.augment(x, rng), x)  # type: ignore[attr-defined]
    callback._p.fill_(1.0)  # type: ignore[attr-defined]
    assert not (callback.augment(x, rng) == x).flatten(1).any(1).any()  # type: ignore[attr-defined]
