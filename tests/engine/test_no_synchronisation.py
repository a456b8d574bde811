"""Between two lines of the log the host never waits for the device: it only queues work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from support.games import TASKS, of_any_task, sections_of
from support.toys import toy_config, toy_loop, toy_registry
from support.waits import Waits

REGISTRY = toy_registry()
HOST_SIDE = "engine/data/batches.py"
"""Which samples are in a batch is computed on the host, from tensors that never leave it."""

DCGAN = {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "layer"}
COMBINATIONS: dict[str, dict[str, Any]] = {
    **{f"loss {name}": {"loss": {"type": name}} for name in REGISTRY.of("loss")},
    **{f"term {name}": {"terms": [{"type": name}]} for name in of_any_task(REGISTRY.of("terms"))},
    **{f"task {name}": sections_of(name) for name in TASKS},
    **{f"callback {name}": {"callbacks": [{"type": name}]} for name in REGISTRY.of("callbacks")},
    **{
        f"optimizer {name}": {side: {"optimizer": {"type": name}} for side in ("generator", "discriminator")}
        for name in REGISTRY.of("optimizer")
    },
    "dragan": {"terms": [{"type": "gradient_penalty", "form": "dragan"}]},
    "one of k": {
        "data": {"type": "squares", "labels": "one_of_k"},
        "terms": [{"type": "auxiliary_classifier"}],
    },
    "mirror, accumulation": {
        "data": {"type": "squares", "mirror": True},
        "train": {"accumulate": 2, "clip_grad_norm": 1.0},
    },
    "mlp": {"nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8], "spectral_norm": True}},
    "resnet": {
        "data": {"type": "squares", "size": 32, "count": 16},
        "nets": {
            "type": "resnet",
            "g_width": 4,
            "d_width": 4,
            "attention": 16,
            "conditioning": "conditional_bn",
        },
    },
    "biggan": {
        "data": {"type": "squares", "size": 32, "count": 16},
        "nets": {"type": "biggan", "channels": 4, "shared_dim": 4, "attention": 0},
    },
    "stylegan2": {
        "nets": {"type": "stylegan2", "channel_max": 4, "w_dim": 4, "mapping_layers": 2},
        "terms": [{"type": "path_length", "every": 1}],
    },
    "r3gan": {
        "data": {"type": "squares", "size": 32, "count": 16},
        "nets": {"type": "r3gan", "width": 32, "condition_dim": 4, "blocks": 1},
    },
}
for _sections in COMBINATIONS.values():
    _sections.setdefault("nets", DCGAN)
    if {"type": "mutual_information"} in _sections.get("terms", ()):
        _sections["prior"] = {"type": "codes", "dim": 6, "categorical": [3], "continuous": 1}


def waits_of(folder: Path, sections: dict[str, Any]) -> list[str]:
    """Where two iterations between lines of the log wait, after a first one that sets things up."""
    loop, _ = toy_loop(folder, toy_config(**sections))
    loop._iterate(False)
    with Waits() as waits:
        loop._iterate(False)
        loop._iterate(False)
    return waits.found


@pytest.mark.parametrize("name", COMBINATIONS)
def test_an_iteration_reads_nothing_from_the_device(tmp_path: Path, name: str) -> None:
    found = [line for line in waits_of(tmp_path, COMBINATIONS[name]) if not line.startswith(HOST_SIDE)]
    assert found == []


def test_every_architecture_is_looked_at() -> None:
    looked_at = {sections["nets"]["type"] for sections in COMBINATIONS.values()}
    # These take an image as their condition, or are made for one loss.
    assert looked_at | {"began", "translator", "unet", "upscaler"} == set(REGISTRY.of("nets"))


def test_a_line_of_the_log_is_found_to_wait(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path, toy_config())
    loop._iterate(False)
    with Waits() as waits:
        loop._log(1.0)
    assert any(
        line.startswith("engine/instruments/running_means.py") and line.endswith(" tolist")
        for line in waits.found
    )


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda x: x.sum().item(), "item"),
        (lambda x: float(x.sum()), "__float__"),
        (lambda x: bool(x.any()), "__bool__"),
        (lambda x: x.tolist(), "tolist"),
        (lambda x: x.cpu(), "cpu"),
        (lambda x: x.to("cpu"), "to('cpu')"),
        (lambda x: x.nonzero(), "aten.nonzero.default"),
        (lambda x: x[x > 0], "aten.index.Tensor"),
    ],
)
def test_every_way_to_wait_is_caught(read: Any, expected: str) -> None:
    x = torch.ones(3)
    with Waits() as waits:
        read(x)
    assert any(line.endswith(f" {expected}") for line in waits.found)
    with Waits() as none:
        torch.where(x > 0, x, 0).sum().clone()
    assert none.found == []


@pytest.mark.gpu
@pytest.mark.parametrize("name", COMBINATIONS)
def test_cuda_itself_sees_no_synchronisation(tmp_path: Path, name: str) -> None:
    sections = COMBINATIONS[name]
    config = toy_config(**{**sections, "train": {**sections.get("train", {}), "device": "cuda"}})
    loop, _ = toy_loop(tmp_path, config)
    loop._iterate(False)
    torch.cuda.set_sync_debug_mode("error")
    try:
        loop._iterate(False)
    finally:
        torch.cuda.set_sync_debug_mode("default")
