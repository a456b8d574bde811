"""CUDA graphs on a GPU: they run, and compute what plain updates compute, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.engine.acceleration.graph_replay import WARM_UP
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from support.replayed import KINDS, PENALIZED, replays_of
from support.stops import StopAfter
from support.toys import Recorder, toy_config, toy_loop, weights_of

pytestmark = pytest.mark.gpu

ON_GPU: dict[str, dict[str, Any]] = {
    **KINDS,
    "rmsprop": {"generator": {"optimizer": {"type": "rmsprop"}}},
    "compiled": {"train": {"compile": "on", "images": 8 * 30}},
    "bf16": {"train": {"precision": "bf16", "images": 8 * 30}},
    "penalized in bf16": {**PENALIZED, "train": {**PENALIZED["train"], "precision": "bf16"}},
}


def loop_of(folder: Path, sections: dict[str, Any], **train: Any) -> tuple[Loop, Recorder]:
    """On the GPU, with kernels that always give the same result."""
    tables = {
        "logging": {"every": 8 * 7, "grid_every": 0, "checkpoint_every": 10**9},
        **sections,
        "train": {
            "images": 8 * 30,
            **sections.get("train", {}),
            "device": "cuda",
            "deterministic": True,
            **train,
        },
    }
    return toy_loop(folder, toy_config(**tables))


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    differ = {name for name, value in expected.items() if not torch.equal(value, found[name])}
    assert (found.keys(), differ) == (expected.keys(), set())


@pytest.mark.parametrize("kind", ON_GPU)
def test_cuda_graphs_do_what_plain_updates_do(tmp_path: Path, kind: str) -> None:
    plain, _ = loop_of(tmp_path / "plain", ON_GPU[kind], cuda_graphs="off")
    assert plain.run(StopRequest()) and plain.replays is None
    fast, log = loop_of(tmp_path / "fast", ON_GPU[kind])
    assert fast.run(StopRequest())
    replays = replays_of(fast)
    assert replays.recorded >= 2
    assert replays.replayed == (30 - len(log.rows) - WARM_UP) * len(fast.schedule) > 0
    assert log.lines[-1].startswith("cuda graphs: on (")
    assert_equal(weights_of(fast), weights_of(plain))


@pytest.mark.parametrize("kind", ["dcgan", "penalized", "codes", "compiled", "bf16", "penalized in bf16"])
def test_a_run_on_a_gpu_resumes_exactly(tmp_path: Path, kind: str) -> None:
    sections = ON_GPU[kind]
    whole, _ = loop_of(tmp_path / "whole", sections)
    whole.run(StopRequest())
    first, _ = loop_of(tmp_path / "parts", sections)
    assert not first.run(StopAfter(14))
    second, _ = loop_of(tmp_path / "parts", sections)
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    second.run(StopRequest())
    assert all(replays_of(loop).replayed > 0 for loop in (whole, first, second))
    assert_equal(weights_of(second), weights_of(whole))


def test_without_deterministic_kernels_graphs_stay_close(tmp_path: Path) -> None:
    loops = [
        loop_of(tmp_path / graphs, PENALIZED, deterministic=False, cuda_graphs=graphs)[0]
        for graphs in ("off", "auto")
    ]
    assert all(loop.run(StopRequest()) for loop in loops)
    assert replays_of(loops[1]).replayed > 0
    plain, fast = (weights_of(loop) for loop in loops)
    apart = sum(float((plain[k] - fast[k]).float().norm()) for k in plain if k.startswith("network"))
    size = sum(float(plain[k].float().norm()) for k in plain if k.startswith("network"))
    assert apart < 1e-3 * size
