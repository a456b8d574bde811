"""The loop: schedule, log, checkpoints, and going on as if nothing had happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import UserError
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from support.stops import StopAfter
from support.toys import Recorder, toy_config, toy_loop, weights_of

TIMES = {"seconds", "images_per_second", "peak_memory_mib"}


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def finish(loop: Loop) -> None:
    assert loop.run(StopRequest())


RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "critic": {
        "train": {"d_updates": 3, "images": 96},
        "loss": {"type": "wasserstein"},
        "callbacks": [{"type": "weight_clip"}],
        "discriminator": {"optimizer": {"type": "rmsprop"}},
    },
    "penalty": {
        "nets": {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none", "spectral_norm": True},
        "terms": [{"type": "gradient_penalty", "every": 2}],
        "lr": {"decay": "linear", "warmup_images": 16},
    },
    "mirrored": {"data": {"type": "squares", "mirror": True}, "ema": {"halflife": 0}},
}


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_stopped_and_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    tmp_path: Path, recipe: str
) -> None:
    config = toy_config(**{"logging": {"every": 16}, **RECIPES[recipe]})
    straight, straight_log = toy_loop(tmp_path / "straight", config)
    finish(straight)

    first, first_log = toy_loop(tmp_path / "broken", config)
    assert not first.run(StopAfter(3 if recipe != "critic" else 2))
    second, second_log = toy_loop(tmp_path / "broken", config)
    second.restore(*checkpoint.load_newest(tmp_path / "broken", second_log.say))
    finish(second)

    expected, found = weights_of(straight), weights_of(second)
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert without_times(first_log.rows + second_log.rows) == without_times(straight_log.rows)


def test_the_schedule_and_the_log_count_images(tmp_path: Path) -> None:
    config = toy_config(train={"d_updates": 2, "g_updates": 1, "images": 64}, logging={"every": 32})
    loop, log = toy_loop(tmp_path, config)
    finish(loop)
    assert loop.images_seen == 64
    assert {role: player.updates for role, player in loop.game.players.items()} == {"d": 8, "g": 4}
    # The first iteration is logged at once, then a row an interval.
    assert [row["images_seen"] for row in log.rows] == [16, 32, 64]
    assert {"loss/d", "loss/g", "score/real", "score/fake", "score/fake_before_g", "score/fake_after_g",
            "grad/d", "grad/g", "lr/d", "lr/g", "images_per_second", "seconds"} <= log.rows[-1].keys()  # fmt: skip


def test_grids_show_samples_codes_and_conditions(tmp_path: Path) -> None:
    prior = {"type": "codes", "dim": 4, "categorical": [3], "continuous": 1}
    config = toy_config(
        prior=prior, logging={"grid_every": 16, "grid_samples": 5, "every": 16}, train={"images": 32}
    )
    loop, log = toy_loop(tmp_path, config)
    finish(loop)
    assert [(seen, grid.name, grid.columns, len(grid.images)) for seen, grid in log.grids] == [
        (seen, name, columns, count)
        for seen in (0, 16, 32)
        for name, columns, count in (("samples", 8, 5), ("c1", 3, 24), ("c2", 10, 80), ("conditions", 3, 24))
    ]
    named = {grid.name: (grid.across, grid.down) for _, grid in log.grids}
    rows = tuple(f"noise {row}" for row in range(1, 9))
    assert named["samples"] == ((), ())
    assert named["c1"] == (("c1 = 0", "c1 = 1", "c1 = 2"), rows)
    assert named["c2"][0][::3] == ("c2 = -2", "c2 = -0.667", "c2 = 0.667", "c2 = 2")
    assert named["conditions"] == (loop.sampler.spec.labels.names, rows)
    assert torch.equal(loop.sampler.sample(5, 3), loop.sampler.sample(5, 3))


def test_grids_are_of_fixed_latents(tmp_path: Path) -> None:
    config = toy_config(logging={"grid_every": 1000}, train={"images": 8})
    pictures = []
    for _ in range(2):
        loop, log = toy_loop(tmp_path, config)
        loop._grid()
        pictures.append([grid.images for _, grid in log.grids])
    assert all(torch.equal(a, b) for a, b in zip(*pictures, strict=True))


def test_a_sample_depends_on_its_seed_and_index_alone(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path)
    few, many = loop.sampler.sample(3, 11), loop.sampler.sample(70, 11)
    torch.testing.assert_close(few, many[:3])
    assert not torch.equal(few, loop.sampler.sample(3, 12))


def test_metrics_are_logged_and_do_not_change_training(tmp_path: Path) -> None:
    metric = {"type": "sliced_wasserstein", "samples": 16, "projections": 4, "every": 16}
    measured, log = toy_loop(tmp_path / "a", toy_config(metrics=[metric]))
    finish(measured)
    plain, _ = toy_loop(tmp_path / "b", toy_config())
    finish(plain)
    values = [row["metric/sliced_wasserstein"] for row in log.rows if "metric/sliced_wasserstein" in row]
    assert len(values) == 3
    expected, found = weights_of(plain), weights_of(measured)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_values_that_are_not_finite_are_said_once(tmp_path: Path) -> None:
    config = toy_config(discriminator={"optimizer": {"type": "sgd", "lr": 1e30}})
    loop, log = toy_loop(tmp_path, config)
    finish(loop)
    assert len(log.lines) == 2
    assert log.lines[0].startswith("health: non_finite at ")
    assert "adversarial/g not finite since iteration 1 " in log.lines[0]


def saved(tmp_path: Path) -> tuple[Path, Recorder]:
    loop, log = toy_loop(tmp_path, toy_config(logging={"checkpoint_every": 16, "keep_checkpoints": 2}))
    finish(loop)
    return tmp_path, log


def test_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path)
    assert [path.name for path in checkpoint.complete(folder)] == ["000000000032", "000000000048"]
    assert {path.suffix for path in (folder / "000000000048").iterdir()} == {".safetensors", ".json"}


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    folder, log = saved(tmp_path)
    victim = folder / "000000000048" / "network_d.safetensors"
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    _, state = checkpoint.load_newest(folder, log.say)
    assert state["images_seen"] == 32
    assert log.lines == [
        f"warning: {victim}: damaged: its SHA-256 does not match manifest.json; "
        "falling back to the previous checkpoint"
    ]


def test_a_checkpoint_without_its_manifest_does_not_count(tmp_path: Path) -> None:
    folder, log = saved(tmp_path)
    for path in checkpoint.complete(folder):
        (path / "manifest.json").unlink()
    with pytest.raises(UserError) as caught:
        checkpoint.load_newest(folder, log.say)
    assert str(caught.value) == (
        f"{folder}: no intact checkpoint; to train again, delete {folder.parent}, or choose another folder "
        "with 'ganforge run --out'"
    )


def test_a_failed_save_leaves_the_earlier_ones_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = saved(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(folder, {"x": {"a": torch.ones(3)}}, {"images_seen": 99}, keep=1)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
