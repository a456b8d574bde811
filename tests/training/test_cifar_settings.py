"""StyleGAN2-ADA's example for CIFAR-10 has the published settings, and trains on files in CIFAR-10's form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganforge.components.registry import discover
from ganforge.config import load
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.training.build import plan
from ganforge_architectures.style_discriminator import GroupStddev
from ganforge_datasets.cifar10 import NAMES
from support.networks import count
from support.paths import EXAMPLES
from support.small_runs import open_loop

EXAMPLE = EXAMPLES / "stylegan2_ada" / "cifar10.toml"
NARROW = ("nets.channel_base=64", "nets.channel_max=8", "nets.w_dim=8", "prior.dim=8", "train.precision=no")


def test_published_settings() -> None:
    """Configuration "cifar" of the authors' code: gamma 0.01 every 16 updates, no path length, no mixed styles, Adam
    corrected as by lazy terms in both players, 100 million images in batches of 64, and the pipeline `bgc`."""
    config = load(EXAMPLE, discover(), [])
    assert [(term.type, term.weight, term.every) for term in config.terms] == [("r1", 0.01, 16)]
    players = (config.generator.optimizer, config.discriminator.optimizer)
    assert [(each.lr, each.betas, each.lazy) for each in players] == [  # type: ignore[attr-defined]
        (2.5e-3, (0.0, 0.99), 4),
        (2.5e-3, (0.0, 0.99), 16),
    ]
    assert (config.train.images, config.train.batch_size) == (100_000_000, 64)
    assert (config.ema.halflife, config.ema.rampup) == (500_000, 0.05)
    (ada,) = config.callbacks
    assert (ada.target, ada.every, ada.kimg) == (0.6, 4, 500)  # type: ignore[attr-defined]
    geometric = {"xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac"}
    colors = {"brightness", "contrast", "lumaflip", "hue", "saturation"}
    assert ada.transforms == dict.fromkeys(geometric | colors, 1.0)  # type: ignore[attr-defined]
    assert not config.data.mirror  # type: ignore[attr-defined]


def test_published_networks() -> None:
    g, d = plan(load(EXAMPLE, discover(), [])).networks("meta")
    # Counts without labels as in the architecture's tests; and the two mappings of 10 classes.
    assert count(g) == 19_947_539 + 10 * 512 + 512 + 512 * 512
    mapping = 10 * 512 + 512 + 2 * (512 * 512 + 512)
    assert count(d) == 20_720_641 + mapping + 511 * 513
    assert g.mixing == 0.0
    assert all(block.skip is None for block in d.blocks) and len(d.lower_rgb) == 0  # type: ignore[union-attr, arg-type]
    assert isinstance(d.stddev, GroupStddev) and d.stddev.size == 32
    free, _ = plan(load(EXAMPLE, discover(), ["nets.conditioning=none"])).networks("meta")
    assert count(free) == 19_947_539


@pytest.mark.numeric
def test_it_trains_on_files_in_the_form_of_cifar(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "batches.meta.txt").write_text("\n".join(NAMES) + "\n")
    for number in range(1, 6):
        images = rng.integers(0, 256, (8, 3 * 32 * 32), dtype=np.uint8)
        classes = rng.integers(0, 10, (8, 1), dtype=np.uint8)
        (tmp_path / f"data_batch_{number}.bin").write_bytes(np.hstack([classes, images]).tobytes())
    short = ("train.batch_size=8", "train.images=16", "logging.every=8", "train.device=cpu")
    config = load(EXAMPLE, discover(), [f"data.root={tmp_path}", *NARROW, *short])
    loop, log = open_loop(config, tmp_path / "run")
    assert loop.run(StopRequest())
    assert [row["images_seen"] for row in log.rows] == [8, 16]
    assert all(
        np.isfinite([value for value in row.values() if isinstance(value, float)]).all() for row in log.rows
    )
    assert {"estimate/ada_p", "estimate/ada_r"} <= log.rows[-1].keys()
