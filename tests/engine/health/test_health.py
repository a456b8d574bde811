"""Each failure provoked on purpose is found by its name; what is healthy is left in peace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from support.bomb import Bomb, with_bomb
from support.toys import Recorder, run, toy_config, toy_loop

pytestmark = pytest.mark.numeric


def adam(lr: float) -> dict[str, Any]:
    return {"optimizer": {"type": "adam", "lr": lr, "betas": [0.5, 0.9]}}


def points(lr: float = 1e-3, iterations: int = 400, **sections: Any) -> dict[str, Any]:
    """A run on the 8 Gaussians with a row each 20 iterations."""
    train = {"images": 64 * iterations, "batch_size": 64}
    return {
        "data": {"type": "toy2d"},
        "prior": {"type": "normal", "dim": 2},
        "nets": {"type": "mlp", "g_hidden": [64, 64], "d_hidden": [64, 64]},
        "generator": adam(lr),
        "discriminator": adam(lr),
        "logging": {"every": 64 * 20, "checkpoint_every": 10**9},
        "health": {"grace": 0},
        **sections,
        "train": {**train, **sections.get("train", {})},
    }


def found(log: Recorder) -> list[str]:
    return [event["diagnosis"] for event in log.events if event["event"] == "finding"]


LOSSES = ("bce", "hinge", "wasserstein")


def seeded(folder: Path, loss: str, seed: int, lr: float) -> Recorder:
    """The log of a run of 320 iterations on points, 17 rows."""
    sections = {"loss": {"type": loss}, "train": {"seed": seed}}
    loop, log = toy_loop(folder / f"{loss}{seed}", toy_config(**points(lr, iterations=320, **sections)))
    assert run(loop)
    return log


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_hundredfold_learning_rate_oscillates(tmp_path: Path, loss: str, seed: int) -> None:
    log = seeded(tmp_path, loss, seed, 0.1)
    assert found(log) == ["oscillation"]
    assert log.events[0]["players"] == ("d", "g")
    assert log.lines[0].startswith("health: oscillation at ")
    assert log.lines[1].startswith("  try: lower both learning rates")


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_a_hundredfold_learning_rate_oscillates_whatever_the_seed(tmp_path: Path, loss: str) -> None:
    findings = {seed: found(seeded(tmp_path, loss, seed, 0.1)) for seed in range(20)}
    assert findings == {seed: ["oscillation"] for seed in range(20)}


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_the_right_learning_rate_is_no_alarm_whatever_the_seed(tmp_path: Path, loss: str) -> None:
    findings = {seed: found(seeded(tmp_path, loss, seed, 1e-3)) for seed in range(5)}
    assert findings == {seed: [] for seed in range(5)}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_healthy_run_is_left_in_peace(tmp_path: Path, loss: str) -> None:
    log = seeded(tmp_path, loss, 0, 1e-3)
    assert (log.events, log.lines) == ([], [])
    assert {"health/separation", "health/g_gain", "health/g_jump", "health/diversity",
            "health/weights_d", "health/weights_g"} <= log.rows[-1].keys()  # fmt: skip


def test_fifty_updates_of_d_to_one_overpower_g(tmp_path: Path) -> None:
    config = toy_config(
        data={"type": "squares", "labels": "none"},
        nets={"type": "mlp", "g_hidden": [32], "d_hidden": [64, 64]},
        generator=adam(2e-4),
        discriminator=adam(1e-3),
        train={"d_updates": 50, "images": 8 * 50 * 20},
        logging={"every": 8 * 50 * 2},
        health={"grace": 0},
    )
    loop, log = toy_loop(tmp_path, config)
    assert run(loop)
    assert found(log) == ["discriminator_overpowers"]
    assert log.events[0]["players"] == ("d",)


@pytest.mark.parametrize(("player", "role"), [("discriminator", "d"), ("generator", "g")])
def test_a_player_with_a_hopeless_rate_stands_still(tmp_path: Path, player: str, role: str) -> None:
    sections = points(health={"grace": 10}, **{player: adam(1e-12)})
    loop, log = toy_loop(tmp_path, toy_config(**sections))
    assert run(loop)
    [event] = [event for event in log.events if event.get("diagnosis") == "standing_still"]
    assert event["players"] == (role,)
    assert (
        log.rows[-1][f"health/moved_{role}"]
        < 1e-6
        < 1e-2
        < log.rows[-1]["health/moved_" + "dg"["gd".index(role)]]
    )


class Constant(nn.Module):
    """A generator that has frozen: one answer, whatever the latent."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.full(shape, 0.1))

    def forward(self, z: Tensor, cond: Tensor | None) -> Tensor:
        return self.answer.expand(len(z), *self.answer.shape)


def test_a_constant_generator_is_a_collapse(tmp_path: Path) -> None:
    loop, log = toy_loop(tmp_path, toy_config(**points(ema={"halflife": 0})))
    player = loop.game.players["g"]
    player.network = Constant((2,))
    player.optimizer = torch.optim.SGD(player.network.parameters(), lr=1e-3)
    assert run(loop)
    assert "mode_collapse" in found(log)
    [event] = [event for event in log.events if event.get("diagnosis") == "mode_collapse"]
    assert event["players"] == ("g",)
    assert event["what"] == "distances between fakes are 0.0% of those between real samples"
    assert log.rows[5]["health/diversity"] == 0.0


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_planted_nan_is_traced_to_its_term_and_update(tmp_path: Path, accumulate: int) -> None:
    config = toy_config(train={"accumulate": accumulate, "images": 96}, logging={"every": 32})
    loop, log = toy_loop(tmp_path, config)
    run(with_bomb(loop, Bomb(at=6 * accumulate)))
    assert found(log) == ["non_finite"]
    event = log.events[0]
    first = next(iter(dict(loop.game.players["d"].network.named_parameters())))
    # Update 6 of D is in iteration 7, of 8 images; the row that shows it comes at 64.
    assert event["what"] == (
        f"term/d/bomb not finite since iteration 7 (56 images); first layer of the discriminator: {first}"
    )
    assert (event["players"], event["images_seen"]) == (("d",), 64)
    assert loop.guard.sentinel.active.keys() == {"non_finite"}


def test_what_is_ignored_is_not_found(tmp_path: Path) -> None:
    config = toy_config(train={"images": 48}, health={"ignore": ["non_finite"]})
    loop, log = toy_loop(tmp_path, config)
    run(with_bomb(loop, Bomb(at=2, lasting=True)))
    assert "non_finite" not in found(log)


def test_a_stopped_and_resumed_run_finds_the_same(tmp_path: Path) -> None:
    config = toy_config(**points(0.1, iterations=320))
    straight, straight_log = toy_loop(tmp_path / "straight", config)
    assert run(straight)

    class After(StopRequest):
        left = 130

        def __bool__(self) -> bool:
            self.left -= 1
            return self.left <= 0

    broken, broken_log = toy_loop(tmp_path / "broken", config)
    assert not broken.run(After())
    resumed, resumed_log = toy_loop(tmp_path / "broken", config)
    resumed.restore(*checkpoint.load_newest(tmp_path / "broken", resumed_log.say))
    assert run(resumed)
    assert straight_log.events == broken_log.events + resumed_log.events
    assert len(straight_log.events) == 1
    assert resumed.guard.sentinel.state() == straight.guard.sentinel.state()
