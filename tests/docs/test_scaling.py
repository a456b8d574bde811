"""docs/scaling.md says what docs/scaling.py computes, and that computes what it says."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest
import torch

from support.paths import ROOT

PAGE = ROOT / "docs" / "scaling.md"


@pytest.fixture(scope="module")
def scaling() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scaling", ROOT / "docs" / "scaling.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scaling"] = module
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        spec.loader.exec_module(module)
    return module


def test_the_page_holds_what_the_script_computes(scaling: ModuleType) -> None:
    page = PAGE.read_text()
    (counted,) = re.findall(r"^Counted with torch (.+)\.$", page, flags=re.MULTILINE)
    if not torch.__version__.startswith(f"{counted}."):
        pytest.skip(f"the page was counted with torch {counted}; others dispatch other operations")
    assert scaling.written(page, scaling.tables([scaling.count(name) for name in scaling.EXAMPLES])) == page


def test_the_arithmetic_of_the_mlp_is_that_of_its_layers(scaling: ModuleType) -> None:
    needs = scaling.count("toy/gan_ring8")
    first = 2 * 256
    g, d = first + 2 * 256 * 256 + 256 * 2, first + 2 * 256 * 256 + 256
    # D's turn: G forward; D on real and fake, forward, for its weights, and for its inputs but the first.
    d_turn = g + 2 * (d + d + (d - first))
    # G's turn: G and D forward; back through all of D, and through G but to its latents.
    g_turn = g + d + d + g + (g - first)
    assert needs.flops == 2 * (d_turn + g_turn)
    assert (needs.g, needs.d) == (g + 3 * 256 + 2, d + 3 * 256 + 1)
    assert needs.messages == (4 * needs.d, 4 * needs.g)
    # Weights and two moments with a step for each tensor, and the moving average; 8 tensors a network.
    assert needs.checkpoint == pytest.approx(4 * (3 * needs.d + 4 * needs.g), rel=1e-3)


def test_the_ring_moves_each_byte_twice(scaling: ModuleType) -> None:
    link = scaling.Link("x", rate=1e9, latency_s=0.0)
    assert scaling.all_reduce(1e9, 64, link) == pytest.approx(2 * 63 / 64)
    slow = scaling.Link("x", rate=float("inf"), latency_s=1e-3)
    assert scaling.all_reduce(1e9, 64, slow) == pytest.approx(0.126)
    inside = 2 * 7 / 8 * 1e9 / scaling.INSIDE.rate + 14 * scaling.INSIDE.latency_s
    assert scaling.all_reduce(1e9, 8, link) == pytest.approx(inside)


def test_without_a_network_to_wait_for_all_gpus_count(
    scaling: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = scaling.Link("free", float("inf"), 0.0)
    monkeypatch.setattr(scaling, "GPU", scaling.Gpu(flops=1e12, launch_s=0.0))
    needs = scaling.Needs("x", 10, 10, 1e9, 100, 64, 1, 1, 3, 1, 1, 1, 1)
    assert scaling.strong(needs, 64, 64, free) == pytest.approx(64)
    assert scaling.weak(needs, 64, free) == pytest.approx(1)
    assert scaling.pays_up_to(needs, 64, free) == 64
    # Launches do not shrink with the batch: then a second GPU gains nothing.
    monkeypatch.setattr(scaling, "GPU", scaling.Gpu(flops=1e12, launch_s=1.0))
    assert scaling.strong(needs, 64, 64, free) == pytest.approx(1)
