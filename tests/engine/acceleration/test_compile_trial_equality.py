"""`train.compile`: compiled updates are the plain ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import ganforge.engine.acceleration.compile_trial as module
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from support.compiled import DCGAN, same, toy
from support.toys import weights_of

RESNET: dict[str, Any] = {
    "data": {"type": "squares", "size": 32, "count": 16},
    "nets": {"type": "resnet", "g_width": 4, "d_width": 4, "condition_dim": 4, "norm": "layer"},
    "terms": [{"type": "gradient_penalty", "every": 2}],
    "loss": {"type": "wasserstein"},
}
SGD = {"optimizer": {"type": "sgd", "lr": 0.1}}
"""A step of SGD is the gradient: what differs there differs here, and no more."""

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="torch.compile writes C++, and there is neither g++ nor clang++ here",
)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An update that the rehearsal has not compiled raises, where a run would play it eagerly."""

    def fixed(forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*inputs: Any) -> Any:
            with torch.compiler.set_stance("fail_on_recompile"):
                return forward(*inputs)

        return run

    monkeypatch.setattr(module, "_fixed", fixed)
    yield
    torch.compiler.reset()


def forgetful(loop: Loop) -> None:
    """Gives the discriminator a layer that draws for itself."""
    critic: Any = loop.game.players["d"].network
    critic.trunk = nn.Sequential(nn.Dropout(0.5), critic.trunk)


def apart(folder: Path, change: Callable[[Loop], None] = lambda loop: None, **sections: Any) -> float:
    """Plays two iterations plainly and compiled; the largest difference in any weight, buffer or
    average. They must have moved."""
    loops = [
        toy(folder / mode, mode, generator=SGD, discriminator=SGD, **sections)[0] for mode in ("off", "on")
    ]
    for loop in loops:
        change(loop)
    start = weights_of(loops[0])
    for loop in loops:
        for _ in range(2):
            loop._iterate(False)
    assert loops[1].trial.choice == "compiled"
    plain, compiled = (weights_of(loop) for loop in loops)
    assert plain.keys() == compiled.keys()
    for group in ("network_d", "network_g", "generator"):
        assert any(not torch.equal(start[name], plain[name]) for name in plain if name.startswith(group))
    return max(float((plain[name].double() - compiled[name].double()).abs().max()) for name in plain)


@pytest.mark.slow
def test_compiled_is_plain_with_random_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strict: None
) -> None:
    monkeypatch.setattr(module, "BACKEND", "aot_eager")
    assert apart(tmp_path, forgetful) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("sections", [DCGAN, RESNET], ids=["dcgan", "resnet"])
def test_compiled_is_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strict: None, sections: dict[str, Any]
) -> None:
    """DCGAN with conditions, BatchNorm and spectral normalization; a residual critic under a penalty,
    which differentiates twice."""
    monkeypatch.setattr(module, "BACKEND", "aot_eager")
    assert apart(tmp_path, **sections) < 1e-5


@needs_compiler
@pytest.mark.slow
def test_torchs_own_compiler_draws_what_is_drawn_plainly(tmp_path: Path, strict: None) -> None:
    assert apart(tmp_path, forgetful) < 1e-6


@needs_compiler
@pytest.mark.slow
def test_torchs_own_compiler_with_convolutions(tmp_path: Path, strict: None) -> None:
    assert apart(tmp_path, **DCGAN) < 1e-5


@pytest.mark.slow
def test_a_compiled_run_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKEND", "aot_eager")
    whole, _ = toy(tmp_path / "whole", "on", train={"images": 64})
    forgetful(whole)
    whole.run(StopRequest())
    first, _ = toy(tmp_path / "parts", "on", train={"images": 24})
    forgetful(first)
    first.run(StopRequest())
    second, _ = toy(tmp_path / "parts", "on", train={"images": 64})
    forgetful(second)
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    second.run(StopRequest())
    assert second.trial.choice == "compiled" and same(second, whole)
