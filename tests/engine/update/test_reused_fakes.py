"""`train.fakes = "reused"`: the generator learns from what the discriminator has just seen."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.api import Draw, UserError
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from ganforge.training.build import plan
from support.toys import toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric

ADAM = {"optimizer": {"type": "adam", "lr": 1e-3, "betas": [0.5, 0.999], "eps": 1e-3}}


def reused(folder: Path, **sections: Any) -> Loop:
    train = {"fakes": "reused", **sections.pop("train", {})}
    return toy_loop(folder, toy_config(train=train, generator=ADAM, discriminator=ADAM, **sections))[0]


def by_hand(loop: Loop, iterations: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """The loop of a tutorial on copies of both networks, with the batches and latents of `loop`; the
    weights after it."""
    generator, discriminator = (loop.game.players[role].network for role in ("g", "d"))
    made: list[Draw] = []
    draw = loop.game._draw

    def noted(batch: Any) -> Draw:
        made.append(draw(batch))
        return made[-1]

    monkeypatch.setattr(loop.game, "_draw", noted)
    networks = [_twin(generator), _twin(discriminator)]
    adams = [torch.optim.Adam(n.parameters(), lr=1e-3, betas=(0.5, 0.999), eps=1e-3) for n in networks]
    g, d = networks
    for index in range(iterations):
        loop._iterate(False)
        batch, latents = loop.batches.at(index), made[-1]
        fake = g(latents.z, latents.cond)
        on_real, on_fake = d(batch.real, batch.cond).logits, d(fake.detach(), latents.cond).logits
        d.zero_grad()
        (F.softplus(-on_real).mean() + F.softplus(on_fake).mean()).backward()
        adams[1].step()
        g.zero_grad()
        F.softplus(-d(fake, latents.cond).logits).mean().backward()
        adams[0].step()
    assert len(made) == iterations
    return {
        f"network_{role}.{name}": value
        for role, network in zip("gd", networks, strict=True)
        for name, value in network.state_dict().items()
    }


def _twin(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).requires_grad_(True)


def test_it_is_the_tutorials_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = reused(tmp_path)
    expected = by_hand(loop, 3, monkeypatch)
    found = weights_of(loop)
    for name, value in expected.items():
        assert torch.allclose(found[name].float(), value.float(), atol=2e-6), name
    assert any("running_mean" in name for name in expected)
    # One forward pass of the generator an iteration.
    seen = [int(v) for k, v in found.items() if k.startswith("network_g") and "batches_tracked" in k]
    assert seen and set(seen) == {3}


def test_other_fakes_are_another_run(tmp_path: Path) -> None:
    fresh, _ = toy_loop(tmp_path / "a", toy_config(generator=ADAM, discriminator=ADAM))
    again = reused(tmp_path / "b")
    for loop in (fresh, again):
        loop._iterate(False)
    first, second = weights_of(fresh), weights_of(again)
    key = next(name for name in first if name.startswith("network_g") and name.endswith("weight"))
    assert not torch.equal(first[key], second[key])
    # The discriminator moved before any fake was made twice.
    d_keys = [name for name in first if name.startswith("network_d") and name.endswith("weight")]
    assert all(torch.equal(first[name], second[name]) for name in d_keys)


def test_micro_batches_each_meet_their_own_fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without batch statistics, the parts of a batch do together what the whole does; and a loss of pairs
    # tells whether each fake meets the real sample that it met before.
    alike: dict[str, Any] = {
        "loss": {"type": "relativistic"},
        "nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8]},
        "data": {"type": "squares", "labels": "none"},
    }
    whole = reused(tmp_path / "whole", **alike)
    parts = reused(tmp_path / "parts", **alike, train={"accumulate": 2})
    drawn = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    for loop in (whole, parts):
        rows = iter(drawn.split(8 // loop.game.accumulate))
        monkeypatch.setattr(loop.game, "_draw", lambda batch, rows=rows: Draw(next(rows), None, {}))
        loop._iterate(False)
        assert loop.game.kept == []
    first, second = weights_of(whole), weights_of(parts)
    worst = max(float((first[key] - second[key]).abs().max()) for key in first if "network_" in key)
    assert worst < 2e-6


def test_a_resumed_run_is_exact(tmp_path: Path) -> None:
    whole = reused(tmp_path / "whole", train={"images": 48})
    whole.run(StopRequest())
    first = reused(tmp_path / "parts", train={"images": 24})
    first.run(StopRequest())
    second = reused(tmp_path / "parts", train={"images": 48})
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    second.run(StopRequest())
    expected, found = weights_of(whole), weights_of(second)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("updates", [{"d_updates": 5}, {"g_updates": 2}])
def test_other_schedules_are_refused(updates: dict[str, int]) -> None:
    both = {"d_updates": 1, "g_updates": 1} | updates
    with pytest.raises(UserError) as caught:
        plan(toy_config(train={"fakes": "reused", **updates}))
    assert str(caught.value) == (
        "train.fakes = 'reused' needs one update of each player per iteration, got train.d_updates = "
        f"{both['d_updates']} and train.g_updates = {both['g_updates']}; set it to 'fresh'"
    )
