"""The update: what moves, what stays, and what must not change the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.api import Role, UserError
from ganforge.engine.data.batches import Batch
from ganforge.engine.loop import Loop
from ganforge.engine.update.game import Game
from support.games import OTHERWISE, sections_for
from support.toys import toy_config, toy_loop, toy_registry, weights_of

pytestmark = pytest.mark.numeric

LOSSES = sorted(toy_registry().of("loss"))
TERMS = sorted(toy_registry().of("terms").keys() - OTHERWISE)


def parameters(loop: Loop, role: Role) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in loop.game.players[role].network.parameters()]


def check_both_updates(loop: Loop) -> None:
    """Each player's update moves it and leaves its rival alone, with finite results."""
    sides: list[tuple[Role, Role]] = [("d", "g"), ("g", "d"), ("d", "g"), ("g", "d")]
    for index, (me, rival) in enumerate(sides):
        mine, theirs = parameters(loop, me), parameters(loop, rival)
        loop.game.update(me, loop.batches.at(index), measure=True)
        moved = [not torch.equal(a, b) for a, b in zip(mine, parameters(loop, me), strict=True)]
        assert sum(moved) >= 0.9 * len(moved)
        assert all(torch.equal(a, b) for a, b in zip(theirs, parameters(loop, rival), strict=True))
    means = loop.game.means.take()
    assert all(value == value and abs(value) < 1e6 for value in means.values()), means


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_moves_each_player_and_leaves_its_rival(tmp_path: Path, loss: str) -> None:
    loop, _ = toy_loop(tmp_path, toy_config(loss={"type": loss}))
    check_both_updates(loop)


@pytest.mark.parametrize("term", TERMS)
def test_every_term_joins_the_objective_of_its_players(tmp_path: Path, term: str) -> None:
    config = toy_config(**sections_for(term))
    loop, _ = toy_loop(tmp_path, config)
    players: list[Role] = ["d", "g"]
    for role in players:
        loop.game.update(role, loop.batches.at(0))
    means = loop.game.means.take()
    for role in players:
        named = f"term/{role}/{term}"
        assert (named in means) == (role in config.terms[0].players)
        share = config.terms[0].weight * means.get(named, 0.0)
        assert means[f"loss/{role}"] == pytest.approx(means[f"adversarial/{role}"] + share, rel=1e-4)
    check_both_updates(toy_loop(tmp_path, config)[0])


@pytest.mark.parametrize("labels", ["none", "one_of_k", "many_of_k", "vector"])
def test_every_kind_of_label_trains(tmp_path: Path, labels: str) -> None:
    loop, _ = toy_loop(tmp_path, toy_config(data={"type": "squares", "labels": labels}))
    check_both_updates(loop)


def test_a_lazy_term_applies_once_in_so_many_updates_scaled_up(tmp_path: Path) -> None:
    terms = [{"type": "r1", "weight": 2.0, "every": 3}]
    loop, _ = toy_loop(tmp_path, toy_config(nets=sections_for("r1")["nets"], terms=terms))
    seen = []
    for index in range(4):
        loop.game.update("d", loop.batches.at(index))
        means = loop.game.means.take()
        seen.append(means["loss/d"] - means["adversarial/d"])
        expected = 6.0 * means["term/d/r1"] if index in (0, 3) else 0.0
        assert seen[-1] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert seen[0] > 0


def test_a_term_named_twice_is_logged_twice(tmp_path: Path) -> None:
    terms = [{"type": "r1", "weight": 1.0}, {"type": "r1", "weight": 2.0}]
    loop, _ = toy_loop(tmp_path, toy_config(nets=sections_for("r1")["nets"], terms=terms))
    loop.game.update("d", loop.batches.at(0))
    means = loop.game.means.take()
    assert means["term/d/r1"] == pytest.approx(means["term/d/r1_2"])


def test_measuring_does_not_change_the_result(tmp_path: Path) -> None:
    results = []
    for measure in (False, True):
        loop, _ = toy_loop(tmp_path)
        for index in range(3):
            loop.game.update("d", loop.batches.at(index), measure)
            loop.game.update("g", loop.batches.at(index), measure)
        results.append(weights_of(loop))
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_drawing_numbers_in_between_does_not_change_the_result(tmp_path: Path) -> None:
    results = []
    for disturbed in (False, True):
        loop, _ = toy_loop(tmp_path)
        for index in range(2):
            if disturbed:
                torch.rand(100)
            loop.game.update("d", loop.batches.at(index))
        results.append(weights_of(loop))
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def without_batch_norm(**train: Any) -> Any:
    """Networks whose gradient is a mean over samples, so that a batch can be split."""
    return toy_config(
        nets={"type": "mlp", "g_hidden": [16], "d_hidden": [16]},
        train={"accumulate": 1, **train},
        discriminator={"optimizer": {"type": "sgd", "lr": 0.1}},
        generator={"optimizer": {"type": "sgd", "lr": 0.1}},
    )


def gradient(game: Game, role: Role, batch: Batch) -> Tensor:
    game.update(role, batch)
    return torch.cat(
        [p.grad.flatten() for p in game.players[role].network.parameters() if p.grad is not None]
    )


def test_accumulated_micro_batches_give_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    # D on real samples alone sees no latent, so its gradient is the same however the batch is cut.
    whole, _ = toy_loop(tmp_path, without_batch_norm())
    parts, _ = toy_loop(tmp_path, without_batch_norm(accumulate=4))
    for loop in (whole, parts):
        # A generator that gives a constant makes the fakes equal too.
        for parameter in loop.game.players["g"].network.parameters():
            torch.nn.init.zeros_(parameter)
    batch = whole.batches.at(0)
    torch.testing.assert_close(gradient(whole.game, "d", batch), gradient(parts.game, "d", batch))
    assert parts.game.players["d"].updates == whole.game.players["d"].updates == 1


def test_the_gradient_is_clipped_to_its_norm(tmp_path: Path) -> None:
    free, _ = toy_loop(tmp_path, without_batch_norm())
    clipped, _ = toy_loop(tmp_path, without_batch_norm(clip_grad_norm=1e-3))
    batch = free.batches.at(0)
    direct, short = gradient(free.game, "d", batch), gradient(clipped.game, "d", batch)
    assert direct.norm() > 1e-3
    torch.testing.assert_close(short, direct * (1e-3 / direct.norm()), rtol=1e-3, atol=1e-9)


def test_bf16_trains_and_keeps_float32_weights(tmp_path: Path) -> None:
    terms = [{"type": "gradient_penalty"}, {"type": "r1"}]
    config = toy_config(nets=sections_for("r1")["nets"], terms=terms, train={"precision": "bf16"})
    loop, _ = toy_loop(tmp_path, config)
    check_both_updates(loop)
    assert {p.dtype for p in loop.game.players["d"].network.parameters()} == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize(
    ("train", "expected"),
    [
        (
            {"device": "cuda"},
            "train.device is 'cuda' but torch finds no CUDA device here; use 'auto' or 'cpu', or check the "
            "driver with nvidia-smi",
        ),
        ({"precision": "fp16"}, "train.precision 'fp16' needs a CUDA device; use 'bf16' or 'no' on the CPU"),
        (
            {"batch_size": 9, "accumulate": 2},
            "train.batch_size = 9 is the global batch and must divide evenly among 1 processes x 2 "
            "accumulation steps",
        ),
    ],
)
def test_what_the_machine_cannot_do_is_refused(tmp_path: Path, train: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        toy_loop(tmp_path, toy_config(train=train))
    assert str(caught.value) == expected
