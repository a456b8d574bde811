"""Each failure provoked on purpose is found by its name; what is healthy is left in peace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from conftest import ROOT
from torch import Tensor, nn

from ganforge.api import Field, Play, Role, Term
from ganforge.engine import Loop, StopRequest, checkpoint
from ganforge.engine.health import signals
from ganforge.engine.health.sentinel import Sentinel
from ganforge.engine.health.signals import FirstBad, bad_layer, separation
from support.toys import Recorder, toy_config, toy_loop, weights_of


class Bomb(Term):
    """Finite but for one update of the discriminator, in which it is NaN."""

    type: Literal["bomb"] = "bomb"
    players: ClassVar[frozenset[Role]] = frozenset({"d"})
    at: int = Field(0, description="Which call.")
    lasting: bool = Field(False, description="NaN from then on.")
    calls: ClassVar[int] = 0

    def __call__(self, play: Play) -> Tensor:
        Bomb.calls += 1
        assert Bomb.calls < 1000, "the run goes on for ever"
        bad = Bomb.calls - 1 >= self.at if self.lasting else Bomb.calls - 1 == self.at
        return play.real_verdict.logits.mean() * (float("nan") if bad else 0.0)


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


def with_bomb(loop: Loop, bomb: Bomb) -> Loop:
    Bomb.calls = 0
    loop.game.players["d"].terms["bomb"] = bomb
    return loop


def run(loop: Loop) -> bool:
    return loop.run(StopRequest())


def found(log: Recorder) -> list[str]:
    return [event["diagnosis"] for event in log.events if event["event"] == "finding"]


@pytest.mark.parametrize("loss", ["bce", "hinge", "wasserstein"])
def test_a_hundredfold_learning_rate_oscillates(tmp_path: Path, loss: str) -> None:
    loop, log = toy_loop(tmp_path, toy_config(**points(0.1, iterations=320, loss={"type": loss})))
    assert run(loop)
    assert found(log) == ["oscillation"]
    assert log.lines[0].startswith("health: oscillation at ")
    assert log.lines[1].startswith("  try: lower both learning rates")


def test_a_healthy_run_is_left_in_peace(tmp_path: Path) -> None:
    loop, log = toy_loop(tmp_path, toy_config(**points()))
    assert run(loop)
    assert (log.events, log.lines) == ([], [])
    assert {"health/separation", "health/g_gain", "health/g_step", "health/spread", "health/diversity",
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
    assert event["what"] == "fakes differ 0.0% as much as real samples do"
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


def test_a_nan_weight_is_traced_to_its_layer(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path)
    network = loop.game.players["g"].network
    names = [name for name, _ in network.named_parameters()]
    assert bad_layer(network) is None
    with torch.no_grad():
        network.get_parameter(names[3]).fill_(float("inf"))
        network.get_parameter(names[5]).fill_(float("nan"))
    assert bad_layer(network) == names[3]


def test_the_first_bad_update_is_kept_though_later_ones_are_finite() -> None:
    first = FirstBad()
    values = [1.0, float("nan"), 2.0, float("inf")]
    for value in values:
        first.note(("adversarial/d", "term/d/r1", "score/real"), torch.tensor([value, 1.0, value]))
        first.tick()
    assert first.read() == {"adversarial/d": 1}
    other = FirstBad()
    other.restore(7, first.read())
    other.note(("term/d/r1", "adversarial/d"), torch.tensor([float("nan"), float("nan")]))
    assert other.read() == {"adversarial/d": 1, "term/d/r1": 7}


def test_more_updates_than_there_are_rows_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "MANY", 4)
    first = FirstBad()
    for update in range(11):
        first.note(("term/d/r1",), torch.tensor([float("inf") if update in (6, 9) else 1.0]))
        first.tick()
    assert first.read() == {"term/d/r1": 6}


def test_a_mark_is_gone_back_to_and_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a rehearsal does it: back before an update, another one in its place, then the update again."""
    monkeypatch.setattr(signals, "MANY", 3)
    bad, well = torch.tensor([float("nan")]), torch.tensor([1.0])
    first = FirstBad()
    first.note(("term/d/r1",), well)
    first.tick()
    before = first.mark()
    first.note(("term/d/r1",), well)
    first.note(("term/g/r1",), bad)
    first.tick()
    after = first.mark()
    first.back_to(before)
    # Fills the rows, which are then looked through.
    for _ in range(3):
        first.note(("term/d/r1",), bad)
    first.back_to(after)
    assert (first.updates, first.read()) == (2, {"term/g/r1": 1})
    first.back_to(before)
    assert first.updates == 1
    first.note(("term/d/r1",), bad)
    assert first.read() == {"term/g/r1": 1, "term/d/r1": 1}


GROWTH = """
import sys
from pathlib import Path
from support.toys import toy_config, toy_loop

nets = {"type": "resnet", "g_width": 16, "d_width": 16, "conditioning": "none"}
data = {"type": "iclevr", "image_size": 32, "scenes": 30}
settings = {"terms": [{"type": "gradient_penalty"}], "train": {"batch_size": 64, "device": "cpu"}}
loop, _ = toy_loop(Path(sys.argv[1]), toy_config(nets=nets, data=data, **settings))
for count in (10, 50):
    for _ in range(count):
        loop._iterate(False)
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmRSS")]
    print(int(line.split()[1]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, which tells of memory")
def test_watching_takes_no_memory_from_one_line_of_the_log_to_the_next(tmp_path: Path) -> None:
    """Small tensors that outlive an update keep the heap between them from being used again."""
    command = [sys.executable, "-c", GROWTH, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT / "tests", check=True, capture_output=True, text=True)
    early, late = map(float, done.stdout.split())
    assert late - early < 40


def test_the_separation_is_the_area_under_the_roc_curve() -> None:
    rng = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(0, 9, (n,), generator=rng).float() for n in (13, 17))
    pairs = [(r > f) + 0.5 * (r == f) for r in real.tolist() for f in fake.tolist()]
    assert float(separation(real, fake)) == pytest.approx(sum(pairs) / len(pairs))


@pytest.mark.parametrize("labels", ["none", "many_of_k"])
def test_watching_does_not_change_training(tmp_path: Path, labels: str) -> None:
    results = []
    for policy in ("off", "warn"):
        config = toy_config(data={"type": "squares", "labels": labels}, health={"policy": policy})
        loop, log = toy_loop(tmp_path / policy, config)
        run(loop)
        results.append(weights_of(loop))
        assert any(key.startswith("health/") for key in log.rows[-1]) == (policy == "warn")
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_fakes_of_one_label_are_compared_with_real_ones_of_it(tmp_path: Path) -> None:
    loop, log = toy_loop(tmp_path, toy_config(data={"type": "squares", "labels": "one_of_k"}))
    run(loop)
    diversity = loop.guard._diversity
    assert diversity is not None and diversity.cond is not None
    half = len(diversity.cond) // 2
    assert torch.equal(diversity.cond[:half], diversity.cond[half:])
    assert 0 < log.rows[-1]["health/diversity_within"] < 1


def row(iteration: int, **values: Any) -> dict[str, Any]:
    healthy = {
        "loss/g": 1.0, "grad/g": 1.0, "lr/g": 1e-3, "score/real": 0.9, "score/fake": 0.1,
        "health/separation": 1.0, "health/g_gain": 0.05, "health/g_step": 0.1, "health/spread": 1.0,
        "health/diversity": 0.9, "health/weights_g": 10.0,
    }  # fmt: skip
    given = {key.replace("__", "/"): value for key, value in values.items()}
    return {"iteration": iteration, "images_seen": 64 * iteration, **healthy, **given}


def test_a_pattern_is_believed_after_patience_and_grace_and_told_once() -> None:
    sentinel = Sentinel(patience=3, grace=4)
    told = [[each.diagnosis for each in sentinel.look(row(i, health__diversity=0.01))] for i in range(1, 10)]
    assert told == [[], [], [], [], [], ["mode_collapse"], [], [], []]
    assert not sentinel.calm
    for i in (10, 11):
        sentinel.look(row(i))
        assert not sentinel.calm and sentinel.active
    sentinel.look(row(12))
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


def test_an_update_that_the_scaler_skips_is_no_alarm() -> None:
    sentinel = Sentinel(patience=2, grace=0)
    skipped = {"loss__g": None, "grad__g": None, "health__scale_d": 65536.0, "health__scale_g": 32768.0}
    assert sentinel.replay([row(1, **skipped)]) == []
    [finding] = sentinel.replay([row(2, **{**skipped, "health__scale_g": 0.5})])
    assert (finding.diagnosis, finding.players) == ("non_finite", ("g",))
    assert finding.what == "the gradient scaler fell to 0.5 for the generator: gradients overflow unscaled"


def test_what_is_ignored_is_not_found(tmp_path: Path) -> None:
    config = toy_config(train={"images": 48}, health={"ignore": ["non_finite"]})
    loop, log = toy_loop(tmp_path, config)
    run(with_bomb(loop, Bomb(at=2, lasting=True)))
    assert "non_finite" not in found(log)


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


def test_a_stopped_and_resumed_run_finds_the_same(tmp_path: Path) -> None:
    config = toy_config(**points(0.1, iterations=260))
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
