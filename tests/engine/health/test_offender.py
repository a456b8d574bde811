"""Who is at fault where numbers are not finite: from what was first, and in runs that diverge."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganforge.api import Role
from ganforge.engine.health.offender import offender
from support.toys import run, toy_config, toy_loop

ALTERNATING: tuple[Role, ...] = ("d", "g")
CRITIC: tuple[Role, ...] = ("d", "d", "g", "g")

CASES: list[tuple[dict[str, int], tuple[Role, ...], Role | None]] = [
    ({}, ALTERNATING, None),
    # The losses overflow after the rival's step.
    ({"adversarial/g": 3, "adversarial/d": 4, "score/fake_before_g": 3}, ALTERNATING, "d"),
    ({"adversarial/g": 3, "score/fake": 4}, ALTERNATING, "d"),
    ({"adversarial/d": 4, "score/fake": 4, "adversarial/g": 5}, ALTERNATING, "g"),
    ({"adversarial/d": 4}, ALTERNATING, "g"),
    # With several updates of one player in a row, after its own.
    ({"score/fake": 5, "adversarial/d": 5}, CRITIC, "d"),
    ({"score/fake": 4, "adversarial/d": 4}, CRITIC, "g"),
    ({"adversarial/g": 6}, CRITIC, "d"),
    ({"adversarial/g": 7}, CRITIC, "g"),
    # D(x) depends on D alone.
    ({"score/real": 4, "score/fake": 4, "adversarial/d": 4}, ALTERNATING, "d"),
    # A term is its player's, as long as nothing else is bad.
    ({"term/d/r1": 4, "adversarial/g": 5}, ALTERNATING, "d"),
    ({"term/g/mutual_information": 5, "adversarial/d": 6}, ALTERNATING, "g"),
    ({"term/d/r1": 4, "score/fake": 4}, ALTERNATING, "g"),
    # Measured after the step of G.
    ({"score/fake_after_g": 4}, ALTERNATING, "g"),
    ({"score/fake_after_g": 4, "score/fake": 4, "adversarial/d": 4}, ALTERNATING, "g"),
    # Bad before any step.
    ({"adversarial/d": 0, "score/fake": 0, "adversarial/g": 1}, ALTERNATING, "d"),
]


@pytest.mark.parametrize(("first_bad", "schedule", "expected"), CASES)
def test_who_is_at_fault(
    first_bad: dict[str, int], schedule: tuple[Role, ...], expected: Role | None
) -> None:
    assert offender(first_bad, schedule) == expected


@pytest.mark.parametrize("loss", ["mse", "bce", "wasserstein"])
@pytest.mark.parametrize(("role", "player"), [("d", "discriminator"), ("g", "generator")])
def test_the_player_whose_learning_rate_is_absurd_is_at_fault(
    tmp_path: Path, role: Role, player: str, loss: str
) -> None:
    """Weights of infinity after its first step (float32 ends at 3.4e38)."""
    config = toy_config(
        data={"type": "toy2d", "shape": "ring8"},
        nets={"type": "mlp", "g_hidden": [8], "d_hidden": [8]},
        loss={"type": loss},
        train={"images": 64},
        health={"policy": "rollback", "rollbacks": 1},
        **{player: {"optimizer": {"type": "sgd", "lr": 1e45}}},
    )
    loop, log = toy_loop(tmp_path, config)
    assert not run(loop)
    finding = next(event for event in log.events if event["event"] == "finding")
    assert (finding["diagnosis"], finding["players"]) == ("non_finite", (role,))
    [event] = [event for event in log.events if event["event"] == "rollback"]
    assert event["lr_factor"] == {"d": 0.5 if role == "d" else 1.0, "g": 0.5 if role == "g" else 1.0}
