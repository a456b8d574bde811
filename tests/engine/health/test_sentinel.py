"""The sentinel over rows made by hand: what it believes, when, and what it does not take for an illness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ganforge.engine.health.sentinel import Sentinel


def row(iteration: int, **values: Any) -> dict[str, Any]:
    healthy = {
        "loss/g": 1.0, "grad/g": 1.0, "lr/g": 1e-3, "score/real": 0.9, "score/fake": 0.1,
        "health/separation": 1.0, "health/g_gain": 0.05, "health/g_jump": 0.05,
        "health/diversity": 0.9, "health/weights_g": 10.0,
    }  # fmt: skip
    given = {key.replace("__", "/"): value for key, value in values.items()}
    return {"iteration": iteration, "images_seen": 64 * iteration, **healthy, **given}


def test_a_pattern_is_believed_after_patience_and_grace_and_told_once() -> None:
    sentinel = Sentinel(patience=3, grace=4)
    told = [
        [each.diagnosis for each in sentinel.inspect(row(i, health__diversity=0.01))] for i in range(1, 10)
    ]
    assert told == [[], [], [], [], [], ["mode_collapse"], [], [], []]
    assert not sentinel.calm
    for i in (10, 11):
        sentinel.inspect(row(i))
        assert not sentinel.calm and sentinel.active
    sentinel.inspect(row(12))
    assert sentinel.calm and not sentinel.active


def test_a_vanished_gradient_is_found_but_not_a_small_one() -> None:
    sentinel = Sentinel(patience=2, grace=0)
    assert sentinel.replay([row(i) for i in range(3)]) == []
    assert sentinel.replay([row(i, grad__g=2e-3) for i in range(3, 9)]) == []
    [finding] = sentinel.replay([row(i, grad__g=5e-4) for i in range(9, 12)])
    assert finding.diagnosis == "vanishing_generator_gradient"
    assert finding.what == "G's gradient has norm 0.0005; the largest was 1, that of its weights is 10"


def test_a_gain_that_a_schedule_has_made_small_is_no_alarm() -> None:
    sentinel = Sentinel(patience=2, grace=0)
    decayed = [row(i, lr__g=1e-3 * 0.5**i, health__g_gain=0.05 * 0.5**i) for i in range(30)]
    assert sentinel.replay(decayed) == []
    stuck = sentinel.replay([row(i, health__g_gain=-1e-6) for i in range(30, 33)])
    assert [finding.diagnosis for finding in stuck] == ["discriminator_overpowers"]


def test_standing_still_is_judged_from_the_first_row_on() -> None:
    def replay(moved: float, iterations: range) -> list[str]:
        rows = [row(i, health__moved_d=moved, health__moved_g=1.0) for i in iterations]
        return [finding.what for finding in Sentinel(patience=2, grace=0).replay(rows)]

    assert replay(9.9e-5, range(1000, 1003)) == [
        "relative to their size, the weights have moved since the start only by tiny amounts: "
        "the discriminator by 0.0001"
    ]
    assert replay(1.01e-4, range(1000, 1_000_000, 100_000)) == []
    assert replay(1.01e-6, range(1, 11)) == []
    assert replay(0.0, range(1, 2)) == []


def test_an_update_that_the_scaler_skips_is_no_alarm() -> None:
    sentinel = Sentinel(patience=2, grace=0)
    skipped = {"loss__g": None, "grad__g": None, "health__scale_d": 65536.0, "health__scale_g": 32768.0}
    assert sentinel.replay([row(1, **skipped)]) == []
    [finding] = sentinel.replay([row(2, **{**skipped, "health__scale_g": 0.5})])
    assert (finding.diagnosis, finding.players) == ("non_finite", ("g",))
    assert finding.what == "the gradient scaler fell to 0.5 for the generator: gradients overflow unscaled"


def test_the_memory_passes_through_a_checkpoint(tmp_path: Path) -> None:
    rows = [row(i, health__diversity=0.01 if i > 4 else 0.9, grad__g=1.0 + i) for i in range(12)]
    whole, first, second = (Sentinel(patience=4, grace=2) for _ in range(3))
    expected = whole.replay(rows)
    for cut in range(12):
        first = Sentinel(patience=4, grace=2)
        before = first.replay(rows[:cut])
        second = Sentinel(patience=4, grace=2)
        second.restore(json.loads(json.dumps(first.state())))
        assert before + second.replay(rows[cut:]) == expected
        assert second.state() == whole.state()
    assert len(expected) == 1


def test_steps_that_replace_the_fakes_oscillate_whatever_the_losses_do() -> None:
    for losses in ([1.0] * 14, [2.0**i for i in range(14)], [(-1e6) ** i for i in range(14)], [None] * 14):
        moves = {"health__separation": 0.55}
        rows = [row(i, loss__g=losses[i], health__g_jump=0.1 if i % 2 else 0.8, **moves) for i in range(14)]
        sentinel = Sentinel(patience=5, grace=0, ignore=["non_finite"])
        assert sentinel.replay(rows[:13]) == []
        [finding] = sentinel.replay(rows[13:])
        assert (finding.diagnosis, finding.players) == ("oscillation", ("d", "g"))
        assert finding.what == (
            "a step of G moves a fake by 0.45 of the spread of the samples, and D ranks 55% of pairs of a real "
            "sample and a fake correctly, on average over 10 rows of the log"
        )


def test_one_large_step_or_many_small_ones_are_no_oscillation() -> None:
    lone = [row(i, health__separation=0.5, health__g_jump=1e9 if i % 10 == 5 else 0.1) for i in range(40)]
    assert Sentinel(patience=2, grace=0).replay(lone) == []
    small = [row(i, health__separation=0.5, health__g_jump=0.39, loss__g=(-3.0) ** i) for i in range(40)]
    assert Sentinel(patience=2, grace=0).replay(small) == []


def test_large_steps_that_the_critic_follows_are_no_oscillation() -> None:
    """As of StyleGAN2 in its first images, at the published learning rate."""
    rows = [row(i, health__separation=0.93, health__g_jump=0.54) for i in range(40)]
    assert Sentinel(patience=2, grace=0).replay(rows) == []
    led = [row(i, health__separation=0.79, health__g_jump=0.54) for i in range(40)]
    assert [each.diagnosis for each in Sentinel(patience=2, grace=0).replay(led)] == ["oscillation"]


def test_steps_that_were_not_measured_are_no_oscillation() -> None:
    for name, value in (("health__g_jump", 1.0), ("health__separation", 0.5)):
        given = {"health__g_jump": 1.0, "health__separation": 0.5}
        rows = [row(i, **given | {name: None if i % 10 == 5 else value}) for i in range(40)]
        assert Sentinel(patience=2, grace=0).replay(rows) == []
