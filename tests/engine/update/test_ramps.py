"""Ramps in a run: every scheduled number has its value at each iteration, resumed or not, recorded or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.api import Loss, Play, UserError
from ganforge.config import RunConfig
from ganforge.engine.acceleration.cuda_graph import CudaGraph
from ganforge.engine.acceleration.graph_replay import Replays
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.loop import Loop
from ganforge.engine.update.device_optimizer import keep_on_device
from ganforge.engine.update.schedule import scheduled_in_python
from support.replayed import replays_of
from support.tape import graphs_on_tape as graphs_on_tape
from support.toys import run, toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric

BATCH = 8


def table(start: float, end: float, over: int = 20) -> dict[str, Any]:
    return {"start": start, "end": end, "over": over * BATCH}


def config_of(iterations: int, betas: bool = True, **sections: Any) -> RunConfig:
    second: Any = table(0.9, 0.99) if betas else 0.99
    optimizer = {"type": "adam", "lr": table(1e-3, 1e-4), "betas": [0.0, second]}
    return toy_config(
        nets={"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none"},
        terms=[{"type": "r1", "weight": table(5.0, 0.5)}],
        callbacks=[{"type": "diff_augment", "p": table(0.0, 0.5)}],
        generator={"optimizer": optimizer},
        discriminator={"optimizer": optimizer},
        ema={"halflife": table(100, 1000)},
        train={"images": BATCH * iterations},
        logging={"every": 8 * BATCH, "grid_every": 0, "checkpoint_every": 10**9},
        **sections,
    )


def test_each_number_follows_its_ramp(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path, config_of(40))
    (term,) = loop.game.live.terms
    (callback,) = loop.game.live.callbacks
    for iteration in range(30):
        loop._iterate(False)
        share = min(1.0, iteration / 20)
        weight, p = term.weight, callback.p  # type: ignore[attr-defined]
        assert float(weight) == pytest.approx(5.0 * (1 - share) + 0.5 * share, rel=1e-6)
        assert float(p) == pytest.approx(0.5 * share, rel=1e-6, abs=1e-9)
        for player in loop.game.players.values():
            (group,) = player.optimizer.param_groups
            assert float(group["lr"]) == pytest.approx(1e-3 * (1 - share) + 1e-4 * share, rel=1e-6)
            assert group["betas"] == pytest.approx((0.0, 0.9 * (1 - share) + 0.99 * share))


def test_the_moving_average_follows_its_ramp(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path, config_of(4))
    # As long as rampup allows: 0.05 of a million images is more than either end.
    assert loop.averages["generator"].decay(8, 10**6) == pytest.approx(0.5 ** (8 / 1000))


def test_a_ramp_resumes_exactly(tmp_path: Path) -> None:
    whole, _ = toy_loop(tmp_path / "whole", config_of(8))
    first, _ = toy_loop(tmp_path / "parts", config_of(4))
    assert run(whole) and run(first)
    second, _ = toy_loop(tmp_path / "parts", config_of(8))
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    assert run(second)
    after, found = weights_of(whole), weights_of(second)
    assert [name for name in after if not torch.equal(after[name], found[name])] == []


@pytest.mark.usefixtures("graphs_on_tape")
def test_recordings_follow_ramps(tmp_path: Path) -> None:
    def loop_of(name: str) -> Loop:
        return toy_loop(tmp_path / name, config_of(24, betas=False))[0]

    plain, fast = loop_of("plain"), loop_of("fast")
    for player in plain.game.players.values():
        keep_on_device(player.optimizer, plain.game.runtime.device)
    fast.replays = Replays(fast.game, fast.schedule, lambda: CudaGraph([fast.game.rng], None), fast.say)
    assert run(plain) and run(fast)
    assert replays_of(fast).replayed > 0
    after, found = weights_of(plain), weights_of(fast)
    assert [name for name in after if not torch.equal(after[name], found[name])] == []


def test_betas_that_change_are_known_to_be_beyond_a_recording(tmp_path: Path) -> None:
    for betas in (True, False):
        loop, _ = toy_loop(tmp_path, config_of(4, betas))
        assert all(scheduled_in_python(player) == betas for player in loop.game.players.values())


def test_factors_on_the_learning_rate_of_some_layers(tmp_path: Path) -> None:
    config = toy_config(
        nets={"type": "mlp", "g_hidden": [8, 8], "d_hidden": [8]},
        generator={"lr_factors": {"trunk.0": 0.01}},
        lr={"decay": "linear"},
    )
    loop, _ = toy_loop(tmp_path, config)
    groups = {len(group["params"]): group for group in loop.game.players["g"].optimizer.param_groups}
    loop._iterate(False)
    loop._iterate(False)
    assert float(groups[2]["lr"]) == pytest.approx(0.01 * float(groups[4]["lr"]), rel=1e-6)
    network = loop.game.players["g"].network
    assert {id(p) for p in groups[2]["params"]} == {id(p) for p in network.trunk[0].parameters()}  # type: ignore[index,union-attr]


def test_a_factor_for_no_layer_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    config = toy_config(nets={"type": "mlp"}, generator={"lr_factors": {"mapping": 0.01}})
    with pytest.raises(UserError) as caught:
        toy_loop(tmp_path, config)
    assert str(caught.value) == (
        "generator.lr_factors: no parameter's name begins with 'mapping' (there are: first, trunk)"
    )


def test_logits_of_any_shape_are_summed_by_every_loss_over_its_outputs() -> None:
    """Each loss, of a patch critic of two scales, is the sum over the scales of what it is of each."""
    from ganforge.api import Verdict, leaves
    from support.plays import play as play_of
    from support.toys import toy_registry

    generator = torch.Generator().manual_seed(3)
    scales = [torch.randn(4, 1, 5, 5, generator=generator), torch.randn(4, 1, 2, 2, generator=generator)]
    shifted = [each + 1.0 for each in scales]
    real, fake = torch.zeros(4, 2), torch.ones(4, 2)

    def critic(x: Tensor, cond: Any) -> Verdict:
        return Verdict(scales if float(x[0, 0]) == 0 else shifted)

    for name, kind in toy_registry().of("loss").items():
        loss = kind.model_validate({"type": name})
        assert isinstance(loss, Loss)
        if type(loss).__call__ is not Loss.__call__:
            continue
        for role in ("d", "g"):
            move: Play = play_of(critic, real, fake, role=role)  # type: ignore[arg-type]
            found = loss(move)
            pairs = list(zip(leaves(scales), leaves(shifted), strict=True))
            if role == "d":
                expected = sum(loss.d_loss(a, b) for a, b in pairs)
            else:
                expected = sum(loss.g_loss(b, a if loss.paired else None) for a, b in pairs)
            torch.testing.assert_close(found, expected, msg=name)


def test_a_lazy_correction_is_kept_by_ramps_and_by_factors(tmp_path: Path) -> None:
    adam = {"type": "adam", "lr": table(1e-3, 1e-4), "betas": [0.0, table(0.9, 0.99)], "lazy": 4}
    config = toy_config(
        nets={"type": "mlp", "g_hidden": [8, 8], "d_hidden": [8]},
        generator={"optimizer": {**adam, "lr": 1e-3}, "lr_factors": {"trunk.0": 0.01}},
        discriminator={"optimizer": adam},
    )
    loop, _ = toy_loop(tmp_path, config)
    loop._iterate(False)
    (group,) = loop.game.players["d"].optimizer.param_groups
    assert float(group["lr"]) == pytest.approx(0.8e-3)
    assert group["betas"] == pytest.approx((0.0, 0.9**0.8))
    rates = [float(group["lr"]) for group in loop.game.players["g"].optimizer.param_groups]
    assert sorted(rates) == pytest.approx([0.8e-5, 0.8e-3])
