"""A small run of every task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MLP = {"type": "mlp", "g_hidden": [16], "d_hidden": [16]}
IMAGES = {"type": "squares", "labels": "image"}

TASKS: dict[str, dict[str, Any]] = {
    "generate": {},
    "translate": {
        "data": {**IMAGES, "mirror": True},
        "nets": {
            "type": "unet",
            "dropout": 0.0,
            "width": 4,
            "d_width": 4,
            "d_layers": 1,
            "norm": "instance",
            "d_norm": "none",
        },
        "terms": [{"type": "l1"}, {"type": "r1"}],
    },
    "cycle": {
        "data": {**IMAGES, "pairs": False},
        "nets": {"type": "translator", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1},
        "loss": {"type": "mse"},
    },
    "upscale": {
        "data": {**IMAGES, "small": 4},
        "nets": {
            "type": "upscaler",
            "width": 4,
            "blocks": 1,
            "norm": "none",
            "d_width": 4,
            "d_layers": 1,
            "d_norm": "none",
        },
        "terms": [{"type": "l1"}],
    },
    "autoencode": {
        "data": {"type": "squares", "labels": "none"},
        "nets": MLP,
        "terms": [{"type": "reconstruction"}],
    },
    "multi_domain": {
        "data": {"type": "domains", "of": {**IMAGES, "labels": "one_of_k", "mirror": True}},
        "nets": {"type": "translator", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1},
        "terms": [
            {"type": "auxiliary_classifier", "condition": "domain", "fake_weight": 0.0},
            {"type": "cycle_consistency"},
        ],
    },
    "infer": {"data": {"type": "squares", "labels": "none"}, "nets": MLP},
}
"""Name -> sections of a run file that differ from those of `toy_document`."""


def sections_of(task: str) -> dict[str, Any]:
    """The sections of a small run of `task`, its own included."""
    return {"task": {"type": task}, "prior": {"type": "normal", "dim": 8}, **TASKS[task]}


OF_TASK = {"reconstruction": "autoencode", "cycle_consistency": "cycle", "identity": "cycle"}
"""Term -> the task that it is made for."""
OTHERWISE = {"adaptive_weight", "guide", "perceptual"}
"""Terms that need another term, or a file: tested where they are defined."""
DOUBLE_BACKWARD = {"gradient_penalty", "r1", "r2", "wgan_div"}
"""Terms that differentiate the critic twice, which goes without batch norm."""


def of_any_task(terms: Iterable[str]) -> list[str]:
    """Those of `terms` that a plain GAN can have by themselves."""
    return sorted(set(terms) - OF_TASK.keys() - OTHERWISE)


def sections_for(term: str) -> dict[str, Any]:
    """The sections of a small run with this term alone."""
    if term in OF_TASK:
        return {**sections_of(OF_TASK[term]), "terms": [{"type": term}]}
    nets: dict[str, Any] = {"type": "dcgan", "width": 4, "condition_dim": 4}
    prior: dict[str, Any] = {"type": "normal", "dim": 8}
    if term in DOUBLE_BACKWARD:
        nets["d_norm"] = "none"
    if term == "mutual_information":
        prior = {"type": "codes", "dim": 4, "categorical": [3], "continuous": 2}
    return {"nets": nets, "prior": prior, "terms": [{"type": term, "every": 1}]}
