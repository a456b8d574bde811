"""The decision about a run's health, over the table of what it depends on."""

from __future__ import annotations

import itertools
import json

import pytest

from ganforge.api import Role
from ganforge.config import Health
from ganforge.engine.rollback import Continue, Findings, GoBack, History, Stop, decide


def found(*players: Role, at: int = 64) -> Findings:
    return Findings(players, "mode_collapse at 64 images: x", at)


def policy(name: str, **keys: object) -> Health:
    return Health.model_validate({"policy": name, **keys})


@pytest.mark.parametrize("healthy_checkpoint", [True, False])
@pytest.mark.parametrize("rollbacks", [0, 2, 9])
@pytest.mark.parametrize("name", ["off", "warn", "stop", "rollback"])
def test_a_run_without_findings_continues(name: str, rollbacks: int, healthy_checkpoint: bool) -> None:
    history = History(rollbacks, {"d": 0.5, "g": 1.0}, 640)
    assert decide(found(), history, policy(name), healthy_checkpoint) == Continue()


def test_the_table() -> None:
    """Policy x rollbacks made (of 2) x a healthy checkpoint -> what is done."""
    expected = {
        "off": Continue,
        "warn": Continue,
        "stop": Stop,
    }
    for name, made, checkpoint in itertools.product(
        ("off", "warn", "stop", "rollback"), (0, 1, 2, 3), (True, False)
    ):
        decision = decide(found("d"), History(made), policy(name, rollbacks=2), checkpoint)
        wanted = expected.get(name) or (GoBack if made < 2 and checkpoint else Stop)
        assert type(decision) is wanted, (name, made, checkpoint)
        if isinstance(decision, Stop):
            assert decision.gave_up == (name == "rollback")


def test_why_a_run_stops() -> None:
    what = "mode_collapse at 64 images: x"
    assert decide(found("d"), History(), policy("stop")) == Stop(what)
    assert decide(found("d"), History(2), policy("rollback", rollbacks=2), False) == Stop(
        f"{what} (after 2 rollbacks, the maximum of health.rollbacks)", gave_up=True
    )
    assert decide(found("d"), History(1), policy("rollback", rollbacks=2), False) == Stop(
        f"{what} (there is no healthy checkpoint to roll back to)", gave_up=True
    )


@pytest.mark.parametrize("at_fault", [("d",), ("g",), ("d", "g")])
def test_the_player_at_fault_learns_more_slowly(at_fault: tuple[Role, ...]) -> None:
    history = History(1, {"d": 0.5, "g": 0.25}, failed_at=32)
    decision = decide(found(*at_fault), history, policy("rollback", lr_factor=0.1, rollbacks=5))
    lr = {"d": 0.05 if "d" in at_fault else 0.5, "g": 0.025 if "g" in at_fault else 0.25}
    assert decision == GoBack(found().summary, at_fault, History(2, lr, 64), 5)


@pytest.mark.parametrize(("at", "lowered"), [(32, ("d", "g")), (64, ("d", "g")), (65, ("d",))])
def test_a_rollback_that_changed_nothing_lowers_both(at: int, lowered: tuple[Role, ...]) -> None:
    """Both, where the run fails again no later than it did before the last rollback (at 64 images)."""
    decision = decide(found("d", at=at), History(1, {"d": 0.5, "g": 1.0}, 64), policy("rollback"))
    assert isinstance(decision, GoBack)
    assert decision.lowered == lowered
    assert decision.history == History(2, {"d": 0.25, "g": 0.5 if "g" in lowered else 1.0}, at)


def test_what_is_recorded_and_reported() -> None:
    decision = decide(found("g", "d"), History(), policy("rollback", lr_factor=0.25, rollbacks=3))
    assert isinstance(decision, GoBack)
    assert decision.event() == {
        "event": "rollback", "what": "mode_collapse at 64 images: x", "from": 64, "rollback": 1, "of": 3,
        "lr_factor": {"d": 0.25, "g": 0.25},
    }  # fmt: skip
    assert decision.line(1_024) == (
        "health: back at 1,024 images (rollback 1 of 3), with new random numbers and learning rates "
        "g x 0.25, d x 0.25"
    )


def test_the_history_passes_through_a_checkpoint_also_of_an_older_version() -> None:
    history = History(2, {"d": 0.5, "g": 0.25}, 640)
    assert History.restored(json.loads(json.dumps(history.state()))) == history
    assert History.restored({"rollbacks": 1, "lr": {"d": 0.5, "g": 1.0}}) == History(1, {"d": 0.5, "g": 1.0})
