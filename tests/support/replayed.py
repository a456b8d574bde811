"""Runs whose updates are played by recordings, in small: what differs in how they are recorded."""

from __future__ import annotations

from typing import Any

from ganforge.engine.acceleration.graph_replay import Replays
from ganforge.engine.loop import Loop

ADAM = {"optimizer": {"type": "adam", "lr": 1e-3}}
PENALIZED: dict[str, Any] = {
    "nets": {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none", "spectral_norm": True},
    "loss": {"type": "wasserstein"},
    "terms": [{"type": "gradient_penalty", "every": 3}],
    "callbacks": [{"type": "diff_augment"}],
    "train": {"d_updates": 3, "images": 24 * 30},
}
KINDS: dict[str, dict[str, Any]] = {
    "dcgan": {},
    "reused": {"train": {"fakes": "reused", "images": 8 * 30}},
    "lazy": {
        "nets": {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none"},
        "terms": [{"type": "r1", "every": 4}],
        "train": {"fakes": "reused", "images": 8 * 30},
        "generator": {"optimizer": {"type": "adam", "lr": 1e-5}},
    },
    "penalized": PENALIZED,
    "wgan": {
        "loss": {"type": "wasserstein"},
        "callbacks": [{"type": "weight_clip"}],
        "generator": {"optimizer": {"type": "sgd", "momentum": 0.5}},
        "discriminator": {"optimizer": {"type": "adamw"}},
    },
    "codes": {
        "data": {"type": "squares", "labels": "none"},
        "prior": {"type": "codes", "dim": 4, "categorical": [3], "continuous": 2},
        "terms": [{"type": "mutual_information"}],
        "lr": {"decay": "linear"},
    },
    "micro": {"train": {"accumulate": 2, "images": 8 * 30, "clip_grad_norm": 0.5}},
}


def replays_of(loop: Loop) -> Replays:
    assert loop.replays is not None
    return loop.replays
