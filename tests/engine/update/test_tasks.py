"""Every task trains, resumes exactly, and plays by recordings as it plays plainly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, LabelSpec, Task, UserError
from ganforge.config import RunConfig
from ganforge.engine.acceleration.cuda_graph import CudaGraph
from ganforge.engine.acceleration.graph_replay import Replays
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.loop import Loop
from ganforge.engine.update.device_optimizer import keep_on_device
from ganforge.profiling.preflight import preflight
from ganforge.training.build import load_samples, plan, shapes_of
from support.contexts import context
from support.games import TASKS, sections_of
from support.replayed import ADAM, replays_of
from support.tape import graphs_on_tape as graphs_on_tape
from support.toys import run, toy_config, toy_loop, toy_registry, weights_of

pytestmark = pytest.mark.numeric

BATCH = 8


def config_of(task: str, iterations: int, **train: Any) -> RunConfig:
    sections = sections_of(task)
    sections["train"] = {"images": BATCH * iterations, **train}
    sections |= {"generator": ADAM, "discriminator": ADAM}
    return toy_config(**sections, logging={"every": 8 * BATCH, "grid_every": 0, "checkpoint_every": 10**9})


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def test_there_is_a_run_of_every_task() -> None:
    assert set(TASKS) == set(toy_registry().of("task"))


@pytest.mark.parametrize("fakes", ["fresh", "reused"])
@pytest.mark.parametrize("task", TASKS)
def test_both_sides_learn_and_the_run_resumes_exactly(tmp_path: Path, task: str, fakes: str) -> None:
    train = {"fakes": fakes, "accumulate": 2}
    whole, log = toy_loop(tmp_path / "whole", config_of(task, 8, **train))
    before = weights_of(whole)
    assert run(whole)
    after = weights_of(whole)
    for side in ("network_d", "network_g"):
        names = [name for name, _ in whole.game.players[side[-1]].network.named_parameters()]  # type: ignore[index]
        moved = [not torch.equal(before[f"{side}.{name}"], after[f"{side}.{name}"]) for name in names]
        assert sum(moved) >= 0.9 * len(moved), side
    assert all(value == value for row in log.rows for value in row.values())
    first, _ = toy_loop(tmp_path / "parts", config_of(task, 4, **train))
    assert run(first)
    second, _ = toy_loop(tmp_path / "parts", config_of(task, 8, **train))
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    assert run(second)
    equal(weights_of(second), after)


@pytest.mark.usefixtures("graphs_on_tape")
@pytest.mark.parametrize("task", TASKS)
def test_recordings_are_the_plain_run(tmp_path: Path, task: str) -> None:
    def loop_of(name: str) -> Loop:
        return toy_loop(tmp_path / name, config_of(task, 16))[0]

    plain, fast = loop_of("plain"), loop_of("fast")
    for player in plain.game.players.values():
        keep_on_device(player.optimizer, plain.game.runtime.device)
    fast.replays = Replays(fast.game, fast.schedule, lambda: CudaGraph([fast.game.rng], None), fast.say)
    assert run(plain) and run(fast)
    assert replays_of(fast).recorded == 2 and replays_of(fast).replayed > 0
    equal(weights_of(fast), weights_of(plain))


@pytest.mark.parametrize("task", TASKS)
def test_a_sample_has_the_shape_of_the_data(tmp_path: Path, task: str) -> None:
    loop, _ = toy_loop(tmp_path, config_of(task, 1))
    images, draw = loop.sampler.draw(3, seed=1)
    assert images.shape == (3, 3, 16, 16) and images.abs().max() <= 1
    assert torch.equal(images, loop.sampler.draw(3, seed=1)[0])
    if loop.sampler.spec.labels.kind == "image":
        assert draw.cond is not None and draw.cond.min() >= -1 and draw.cond.max() <= 1


@pytest.mark.parametrize("task", TASKS)
def test_check_counts_its_iteration(task: str) -> None:
    found = preflight(config_of(task, 4))
    assert found.cost is not None and found.cost.iteration.flops > 0 and found.notes == ()


def test_the_names_of_comparisons_and_their_shapes() -> None:
    assert shapes_of(plan(config_of("generate", 1))) == {"": (3, 16, 16)}
    assert shapes_of(plan(config_of("cycle", 1))) == {"b": (3, 16, 16), "a": (3, 16, 16)}
    assert shapes_of(plan(config_of("autoencode", 1))) == {"": (8,)}


def test_a_comparison_of_several_is_logged_by_its_name(tmp_path: Path) -> None:
    loop, log = toy_loop(tmp_path, config_of("cycle", 1))
    assert run(loop)
    row = log.rows[0]
    both = [row["score/real/a"], row["score/real/b"]]
    assert row["score/real"] == pytest.approx(sum(both) / 2, rel=1e-5) and both[0] != both[1]


def test_what_learns_on_the_real_side_minimizes_the_swapped_loss(tmp_path: Path) -> None:
    """BiGAN's encoder: its objective is d_loss(fake, real), of the logits as they are."""
    loop, _ = toy_loop(tmp_path, config_of("infer", 1))
    game, batch = loop.game, loop.batches.at(0)
    game.seed_update(game.players["g"])
    (play,) = game._plays("g", batch)
    assert play.both_learn and play.cond.requires_grad
    expected = torch.nn.functional.softplus(-play.fake_verdict.logits).mean()
    expected = expected + torch.nn.functional.softplus(play.real_verdict.logits).mean()
    torch.testing.assert_close(game.live.loss(play), expected)
    game.seed_update(game.players["d"])
    (play,) = game._plays("d", batch)
    assert not play.both_learn and not play.cond.requires_grad and not play.fake.requires_grad


REFUSED = [
    ("translate", {"data": {"type": "squares", "labels": "none"}, "nets": MLP_NONE}, "has none")
    for MLP_NONE in [{"type": "mlp"}]
] + [
    (
        "upscale",
        {"data": {"type": "squares", "labels": "image", "small": 16}},
        "task 'upscale': expected samples 2, 3, ... times as large as their condition of 16x16, got 16x16",
    ),
    (
        "cycle",
        {"data": {"type": "squares", "labels": "many_of_k"}},
        "task 'cycle': expected data whose conditions are images (or vectors) of another domain, got labels "
        "of kind 'many_of_k'",
    ),
]


@pytest.mark.parametrize(("task", "change", "message"), REFUSED)
def test_data_that_do_not_fit_are_refused_before_training(
    task: str, change: dict[str, Any], message: str
) -> None:
    config = toy_config(**{**sections_of(task), "terms": [], **change})
    with pytest.raises(UserError) as caught:
        preflight(config)
    assert message in str(caught.value)


def test_unpaired_data_are_refused_where_pairs_are_needed(tmp_path: Path) -> None:
    sections = {**sections_of("translate"), "data": {"type": "squares", "labels": "image", "pairs": False}}
    config = toy_config(**sections)
    message = (
        "task 'translate' needs paired data, but the samples and conditions of data 'squares' are two "
        "collections; use paired data, or task 'cycle'"
    )
    with pytest.raises(UserError) as checked:
        plan(config)
    assert str(checked.value) == message
    # A data set may tell no sooner than when it is opened.
    silent = DataSpec(shape=(3, 16, 16), labels=LabelSpec(kind="image", size=(3, 16, 16)))
    with pytest.raises(UserError) as opened:
        load_samples(config, silent, context(tmp_path))
    assert str(opened.value) == message


def test_a_network_that_is_not_there_is_named(tmp_path: Path) -> None:
    class Wrong(Task):
        type: Any = "wrong"

        def compare(self, generator: Any, real: Any, cond: Any, draw: Any) -> Any:
            return {"": generator["xy"](draw.z, draw.cond)}

    loop, _ = toy_loop(tmp_path, config_of("cycle", 1))
    loop.game.live.task = Wrong()
    with pytest.raises(UserError, match="no network 'xy' on this side; there are: ab, ba"):
        loop.game.update("d", loop.batches.at(0))
