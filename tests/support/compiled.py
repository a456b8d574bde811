"""Small runs that are compiled, and in the compiler's place a form that tells which one ran."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ganforge.engine.acceleration.compile_trial as module
from ganforge.engine.acceleration.compile_trial import END
from ganforge.engine.loop import Loop
from support.toys import Recorder, toy_config, toy_loop, weights_of

MLP: dict[str, Any] = {
    "data": {"type": "squares", "labels": "none"},
    "nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8], "spectral_norm": True},
}
DCGAN: dict[str, Any] = {
    "data": {"type": "squares"},
    "nets": {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none", "spectral_norm": True},
}


def toy(folder: Path, mode: str, **sections: Any) -> tuple[Loop, Recorder]:
    train = {"compile": mode, "images": 8 * (END + 4), **sections.pop("train", {})}
    logging = {"every": 80, "grid_every": 0}
    return toy_loop(folder, toy_config(train=train, logging=logging, **{**MLP, **sections}))


def same(a: Loop, b: Loop) -> bool:
    first, second = weights_of(a), weights_of(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def kept_apart(monkeypatch: pytest.MonkeyPatch, factor: float = 1.001) -> None:
    """In the compiler's place: a form whose numbers tell which one ran."""

    def compiled(network: nn.Module) -> Callable[..., Any]:
        def forward(*inputs: Any) -> Any:
            output = network(*inputs)
            return (
                output * factor
                if isinstance(output, Tensor)
                else output._replace(logits=output.logits * factor)
            )

        return forward

    monkeypatch.setattr(module, "_compiled", compiled)
    monkeypatch.setattr(module, "_fixed", lambda forward: forward)


class Clock:
    """An iteration lasts as long as its form does."""

    def __init__(self, loop: Loop, eager: float, compiled: float) -> None:
        self.loop = loop
        self.cost = {True: eager, False: compiled}
        self.now, self.looks = 0.0, 0

    def perf_counter(self) -> float:
        self.looks += 1
        if self.looks % 2 == 0:
            player = self.loop.game.players["d"]
            self.now += self.cost[player.form is player.network]
        return self.now
