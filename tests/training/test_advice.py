"""Settings that hardly anybody means: which are warned of, which are refused, and which are left alone."""

from __future__ import annotations

import pytest
import torch

from ganforge.api import Advice, Loss, RunView, UserError
from ganforge.config import RunConfig
from ganforge.config.load import validate
from ganforge.training.advice import advice_on, in_lines
from ganforge.training.build import plan
from support.installed import installed

REGISTRY = installed()
DATA = {"type": "iclevr", "image_size": 32}


def config(**sections: object) -> RunConfig:
    document = {
        "data": DATA,
        "nets": {"type": "dcgan", "width": 4},
        "train": {"batch_size": 4, "device": "cpu"},
    }
    return validate(document | sections, REGISTRY, file="run.toml")


def keys(**sections: object) -> list[str]:
    return [each.key for each in advice_on(plan(config(**sections)))]


def nets(**keys: object) -> dict[str, object]:
    return {"type": "dcgan", "width": 4, **keys}


def test_an_average_that_keeps_its_first_weights() -> None:
    def said(**ema: object) -> list[str]:
        return [
            each.text for each in advice_on(plan(config(ema=ema, train={"images": 100_000, "batch_size": 4})))
        ]

    assert said(halflife=1_000_000_000, rampup=0.0) == [
        "ema.halflife = 1,000,000,000 exceeds train.images = 100,000, and ema.rampup is off: at the end, 100% of "
        "the moving average are still the first weights; lower ema.halflife, or set ema.rampup"
    ]
    assert said(halflife=1_000_000_000) == []
    assert said(halflife=100_000, rampup=0.0) == []
    assert said(halflife={"start": 200_000, "end": 50_000, "over": 50_000}, rampup=0.0) == []


PENALTIES = (
    {"type": "gradient_penalty"},
    {"type": "gradient_penalty", "form": "dragan"},
    {"type": "r1"},
    {"type": "r2"},
)


@pytest.mark.parametrize("term", PENALTIES, ids=str)
def test_penalties_on_single_samples_and_batch_norm(term: dict[str, object]) -> None:
    assert keys(terms=[term]) == [f"{term['type']}.batch_norm"]
    assert keys(terms=[term], nets=nets(d_norm="none")) == []
    assert keys(terms=[term], nets={"type": "resnet"}) == []
    (line,) = in_lines(advice_on(plan(config(terms=[term]))), config())
    assert "arXiv:" in line and line.endswith(
        f'(if it is meant: train.silence = ["{term["type"]}.batch_norm"])'
    )


def test_a_wasserstein_critic_needs_a_bound() -> None:
    loss = {"type": "wasserstein"}
    assert keys(loss=loss) == ["wasserstein.unconstrained"]
    for sections in (
        {"terms": [{"type": "gradient_penalty"}], "nets": nets(d_norm="none")},
        {"callbacks": [{"type": "weight_clip"}]},
        {"nets": nets(spectral_norm=True)},
    ):
        assert keys(loss=loss, **sections) == []


@pytest.mark.parametrize(
    ("smooth", "warned"), [(0.0, False), (0.1, False), (0.5, False), (0.51, True), (0.9, True)]
)
def test_smoothing_that_means_the_target(smooth: float, warned: bool) -> None:
    assert keys(loss={"type": "bce", "smooth_real": smooth}) == (["bce.smooth_real"] if warned else [])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop"])
def test_rates_that_replace_the_weights_or_do_not_move_them(optimizer: str) -> None:
    def said(lr: object) -> list[str]:
        return keys(discriminator={"optimizer": {"type": optimizer, "lr": lr}})

    assert said(1e-12) == said(1e-9) == said(0.06) == said(2.0) == [f"{optimizer}.lr"]
    assert said({"start": 1.0, "end": 1e-4, "over": 100}) == [f"{optimizer}.lr"]
    assert said(2e-9) == said(1e-4) == said(0.05) == said({"start": 1e-3, "end": 1e-12, "over": 100}) == []


def test_a_step_of_the_smallest_rate_moves_no_usual_weight() -> None:
    """Where the limit is from: around 0.02, float32 numbers lie 2^-29 apart, and half of it is rounded away."""
    weight = torch.tensor(0.02)
    assert weight + 0.9e-9 == weight
    assert weight + 2e-9 != weight


def test_rates_of_plain_gradient_descent_depend_on_the_gradient() -> None:
    assert keys(discriminator={"optimizer": {"type": "sgd", "lr": 2.0}}) == []


@pytest.mark.parametrize(
    ("betas", "warned"),
    [
        ((0.5, 0.999), 0),
        ((0.0, 0.0), 0),
        ((0.9, 0.9), 0),
        ((0.999, 0.5), 1),
        ((0.9, 0.5), 1),
        ((0.5, 0.0), 1),
    ],
)
def test_decays_that_are_swapped(betas: tuple[float, float], warned: bool) -> None:
    for optimizer in ("adam", "adamw"):
        found = advice_on(plan(config(generator={"optimizer": {"type": optimizer, "betas": betas}})))
        assert [each.key for each in found] == [f"{optimizer}.betas"] * warned
        assert all(f"write [{betas[1]:g}, {betas[0]:g}]" in each.text for each in found)


def test_bounds_that_undo_each_other() -> None:
    clip, loss = [{"type": "weight_clip"}], {"type": "wasserstein"}
    assert keys(loss=loss, callbacks=clip, nets=nets(spectral_norm=True)) == ["weight_clip.spectral_norm"]
    penalty = [{"type": "gradient_penalty"}]
    assert keys(loss=loss, callbacks=clip, terms=penalty, nets=nets(d_norm="none")) == [
        "weight_clip.gradient_penalty"
    ]


def test_targets_of_least_squares() -> None:
    assert keys(loss={"type": "mse", "c": 0.0}) == ["mse.targets"]
    assert keys(loss={"type": "mse", "a": -1.0, "b": 1.0, "c": 0.0}) == []
    with pytest.raises(
        UserError, match=r"expected two targets, for fakes \(a\) and real samples \(b\), got 1 twice"
    ):
        config(loss={"type": "mse", "a": 1.0})


@pytest.mark.parametrize(
    "term", ["gradient_penalty", "r1", "r2", "wgan_div", "feature_matching", "auxiliary_classifier"]
)
def test_a_negative_weight_is_refused(term: str) -> None:
    with pytest.raises(UserError, match=r"terms\.0\.weight: .*greater than or equal to 0, got -10"):
        config(terms=[{"type": term, "weight": -10.0}])
    with pytest.raises(UserError, match=r"terms\.0\.weight"):
        config(terms=[{"type": term, "weight": {"start": 1.0, "end": -1.0, "over": 100}}])
    assert config(terms=[{"type": term, "weight": 0.0}]).terms[0].weight == 0


def test_a_batch_of_one() -> None:
    one = {"batch_size": 1, "device": "cpu"}
    assert keys(train=one) == ["dcgan.batch"]
    with pytest.raises(
        UserError, match=r"get 1 sample at a time .* which of vectors leaves nothing; raise train.batch_size"
    ):
        keys(train=one, nets=nets(fc_width=8))
    # What is left for each process counts, and each accumulation step.
    assert [each.key for each in advice_on(plan(config()), processes=4)] == ["dcgan.batch"]
    assert keys(train={"batch_size": 4, "accumulate": 4, "device": "cpu"}) == ["dcgan.batch"]


def test_silence_names_what_is_not_to_be_shown() -> None:
    loud = {"loss": {"type": "wasserstein"}, "terms": [{"type": "r1"}]}
    assert keys(**loud) == ["r1.batch_norm"], "r1 bounds the slope as well"
    silent = {"batch_size": 4, "device": "cpu", "silence": ["r1.batch_norm", "dcgan.batch"]}
    assert keys(**loud, train=silent) == []


def test_a_component_that_gives_something_else_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bce = type(config().loss)
    monkeypatch.setattr(bce, "advice", lambda self, run: "careful")
    with pytest.raises(UserError, match=r"loss 'bce'.*advice returned something else than a list of Advice"):
        keys()

    def broken(self: Loss, run: RunView) -> list[Advice]:
        raise ZeroDivisionError("x")

    monkeypatch.setattr(bce, "advice", broken)
    with pytest.raises(UserError, match=r"loss 'bce'.*ZeroDivisionError"):
        keys()
