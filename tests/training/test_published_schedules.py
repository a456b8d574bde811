"""R3GAN's example for CIFAR-10 plays the published schedules: what is in effect in an iteration, at each point."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import pytest

from ganforge.components.registry import discover
from ganforge.engine.loop import Loop
from support.paths import EXAMPLES
from support.small_runs import open_loop, small

pytestmark = pytest.mark.numeric

EXAMPLE = EXAMPLES / "r3gan" / "cifar10.toml"
BURN_IN = 20_000_000
"""Images over which the published schedules change (Huang et al., 2024, arXiv:2501.05441, appendix D)."""
PUBLISHED = {
    "gamma": (0.05, 0.005),
    "lr": (2e-4, 5e-5),
    "beta2": (0.9, 0.99),
    "augmentation": (0.0, 0.55),
    "half-life": (0.0, 5_000_000.0),
}
SHARES_LEFT = {
    0: 1.0,
    5_000_000: (2 + math.sqrt(2)) / 4,  # cos(pi / 8) squared
    10_000_000: 0.5,
    15_000_000: (2 - math.sqrt(2)) / 4,
    BURN_IN: 0.0,
    250_000_000: 0.0,
}
"""Images seen -> how much of the way from first to last value is left: half a period of a cosine."""


def in_effect(loop: Loop, images_seen: int) -> dict[str, set[float]]:
    """Each schedule's value after an iteration that begins at `images_seen`; a set, as both players and both
    penalties have one each."""
    loop.images_seen = images_seen
    loop._iterate(False)
    live = loop.game.live
    assert [term.type for term in live.terms] == ["r1", "r2"]
    (augment,) = live.callbacks
    groups = [group for player in loop.game.players.values() for group in player.optimizer.param_groups]
    assert len(groups) == 2 and all(group["betas"][0] == 0 for group in groups)
    (average,) = loop.averages.values()
    decay = average.decay(1000, images_seen)
    return {
        "gamma": {float(term.weight) for term in live.terms},
        "lr": {float(group["lr"]) for group in groups},
        "beta2": {float(group["betas"][1]) for group in groups},
        "augmentation": {float(augment.probability())},  # type: ignore[attr-defined]
        # The share of a weight that is left after n images is 2 ^ (-n / half-life).
        "half-life": {-1000 / math.log2(decay) if decay else 0.0},
    }


def test_each_number_follows_its_cosine(tmp_path: Path) -> None:
    loop = open_loop(small(EXAMPLE, tmp_path / "digits", discover(), 1), tmp_path)[0]
    for images_seen, left in SHARES_LEFT.items():
        found = in_effect(loop, images_seen)
        assert found.keys() == PUBLISHED.keys()
        for name, (first, last) in PUBLISHED.items():
            want = left * first + (1 - left) * last
            assert sorted(found[name]) == pytest.approx([want], rel=1e-6, abs=1e-12), (name, images_seen)


def test_batches_and_length_are_those_of_the_schedules() -> None:
    train = tomllib.loads(EXAMPLE.read_text())["train"]
    assert train["batch_size"] == 512
    assert train["images"] > BURN_IN
