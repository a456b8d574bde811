"""A small run of every task."""

from __future__ import annotations

from typing import Any

MLP = {"type": "mlp", "g_hidden": [16], "d_hidden": [16]}
IMAGES = {"type": "squares", "labels": "image"}

TASKS: dict[str, dict[str, Any]] = {
    "generate": {},
    "translate": {
        "data": {**IMAGES, "mirror": True},
        "nets": {
            "type": "unet",
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
    "infer": {"data": {"type": "squares", "labels": "none"}, "nets": MLP},
}
"""Name -> sections of a run file that differ from those of `toy_document`."""


def sections_of(task: str) -> dict[str, Any]:
    """The sections of a small run of `task`, its own included."""
    return {"task": {"type": task}, "prior": {"type": "normal", "dim": 8}, **TASKS[task]}
