"""The benchmark's three ways do the same arithmetic; its figures are what they say."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

from benchmarks import bound, measure, memory
from benchmarks.__main__ import main
from benchmarks.bound import cost
from benchmarks.elsewhere import Elsewhere
from benchmarks.job import Job, open_job
from benchmarks.loops import WAYS, ExpertLoop
from benchmarks.settings import Settings
from benchmarks.works import WORKS
from ganforge.api import Role
from ganforge.engine.data.batches import Batches
from ganforge.engine.random import generator_for
from support.toys import toy_registry

REGISTRY = toy_registry()
STYLES = {
    **{"channel_base": 1024, "channel_max": 4, "w_dim": 8, "mapping_rate": 1.0},
    # Drawn from torch's own generator, and so by each way for itself.
    **{"noise": "none", "mixing": 0.0},
}
NARROW: dict[str, dict[str, Any]] = {
    "cgan_iclevr64": {"width": 4, "condition_dim": 8},
    "dcgan_mnist28": {"width": 4},
    "mlp_gan_mnist28": {"g_hidden": [16], "d_hidden": [16]},
    "mlp_cgan_mnist32": {"g_hidden": [16], "d_hidden": [16]},
    "infogan_mnist28": {"width": 4, "fc_width": 16, "head_width": 8},
    "wgan_gp_resnet32": {"g_width": 4, "d_width": 4},
    "wgan_gp_resnet64": {"g_width": 2, "d_width": 2},
    **{f"stylegan2_iclevr{side}": STYLES for side in (64, 128, 256)},
}
LARGE = ("stylegan2_iclevr128", "stylegan2_iclevr256")
TOLERANCE = 2e-6
"""Of a weight after two iterations, absolute; each step moves a weight by up to 1e-3. The ways sum in
different orders, and a large `eps` keeps Adam from magnifying the last bits of gradients near 0."""


def small_job(name: str, folder: Path, fakes: str = "fresh") -> Job:
    """The work in narrow, in batches of 8, with the batches and random streams of the engine."""
    adam = {"optimizer": {"type": "adam", "lr": 1e-3, "betas": [0.5, 0.999], "eps": 1e-3}}
    changes = {"nets": NARROW[name], "generator": adam, "discriminator": adam, "train": {"fakes": fakes}}
    if "wgan" in name:
        changes["train"] = {"d_updates": 2}
    job = open_job(WORKS[name], REGISTRY, folder, batch=8, changes=changes)
    batches = Batches(job.samples, 8, 0, job.device)

    def stream(role: Role, update: int) -> torch.Generator:
        return generator_for(0, "update", role, update, 0)

    return replace(job, workers=0, order=batches.indices, rng=stream, reuse=fakes == "reused")


def weights_after(way: str, job: Job, iterations: int) -> dict[str, torch.Tensor]:
    loop = WAYS[way](job)
    for _ in range(iterations):
        loop.iterate()
    return {
        f"{player}.{name}": weight.detach().contiguous()
        for player, network in zip("gd", loop.networks, strict=True)
        for name, weight in network.named_parameters()
    }


@pytest.mark.usefixtures("without_kinks")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in WORKS]
)
def test_all_ways_do_the_same_arithmetic(tmp_path: Path, name: str) -> None:
    job = small_job(name, tmp_path)
    before = weights_after("expert", job, 0)
    expected = weights_after("expert", job, 2)
    # A bias before a norm, or one that the two halves of a Wasserstein loss share, has no gradient.
    weights = [key for key in before if key.endswith("weight")]
    assert all((expected[key] - before[key]).abs().max() > 20 * TOLERANCE for key in weights)
    for way in ("tutorial", "ganforge"):
        found = weights_after(way, job, 2)
        assert found.keys() == expected.keys()
        worst = max(float((found[key] - expected[key]).abs().max()) for key in expected)
        assert worst < TOLERANCE, (way, worst)


@pytest.mark.usefixtures("without_kinks")
@pytest.mark.parametrize("name", ["dcgan_mnist28", "cgan_iclevr64", "infogan_mnist28"])
def test_reused_fakes_are_the_same_fakes_in_all_ways(tmp_path: Path, name: str) -> None:
    reused = small_job(name, tmp_path, "reused")
    expert, tutorial, ganforge = (weights_after(way, reused, 2) for way in ("expert", "tutorial", "ganforge"))
    for key in expert:
        assert (expert[key] - tutorial[key]).abs().max() < TOLERANCE, key
        assert (expert[key] - ganforge[key]).abs().max() < TOLERANCE, key
    fresh = small_job(name, tmp_path)
    other = weights_after("expert", fresh, 2)
    assert any((expert[key] - other[key]).abs().max() > 20 * TOLERANCE for key in expert)
    # With the latents of the discriminator's update in the generator's, fresh fakes are the same.
    same = replace(fresh, rng=lambda role, update: generator_for(0, "update", "d", update, 0))
    made_again = weights_after("expert", same, 2)
    assert all((expert[key] - made_again[key]).abs().max() < TOLERANCE for key in expert)


def test_the_arithmetic_of_a_fully_connected_gan_is_counted_right(tmp_path: Path) -> None:
    job = small_job("mlp_gan_mnist28", tmp_path)
    g, d = 100 * 16 + 16 * 784, 784 * 16 + 16 * 1  # multiplications of one sample's forward pass
    # D's update: fakes; two verdicts, forward and for the weights, and back to the hidden layer.
    d_update = g + 2 * (2 * d + 16)
    # G's update: fakes and verdict; back through all of D; G's weights and its hidden layer.
    g_update = g + d + d + g + 16 * 784
    assert cost(WAYS["expert"](job).iterate).flops == 2 * 8 * (d_update + g_update)


def test_torchs_own_counter_agrees_where_it_can_look(tmp_path: Path) -> None:
    job = small_job("cgan_iclevr64", tmp_path)
    from torch.utils.flop_counter import FlopCounterMode  # imports Triton

    with FlopCounterMode(display=False) as counter:
        WAYS["expert"](job).iterate()
    assert cost(WAYS["expert"](job).iterate).flops == counter.get_total_flops() > 0


def test_a_grouped_convolution_is_counted_by_its_groups() -> None:
    x = torch.randn(2, 8, 5, 5, requires_grad=True)
    weight = torch.randn(12, 8 // 4, 3, 3, requires_grad=True)
    forward = 2 * (2 * 3 * 3 * 12 * (8 // 4) * 9)  # images x pixels x weights, twice
    # The value, and the gradients of image and weight.
    assert cost(lambda: F.conv2d(x, weight, groups=4).sum().backward()).flops == 3 * forward


def test_a_penalty_is_counted(tmp_path: Path) -> None:
    job = small_job("wgan_gp_resnet32", tmp_path)
    loop = ExpertLoop(job)
    with_penalty = cost(loop.iterate).flops
    loop.terms.clear()
    assert with_penalty > 1.5 * cost(loop.iterate).flops


def test_a_product_and_a_view_are_weighed() -> None:
    a, b = torch.ones(4, 3), torch.ones(3, 5)
    found = cost(lambda: (a @ b).t())
    assert found == (2 * 4 * 3 * 5, 4 * (12 + 15 + 20))


class Slow:
    """A way whose iterations take `step` seconds of a clock that stands otherwise."""

    def __init__(self, clock: list[float], step: float) -> None:
        self.clock, self.step = clock, step

    def iterate(self) -> None:
        self.clock[0] += self.step

    def synchronize(self) -> None: ...


def test_ways_take_turns_and_ratios_are_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])
    device = torch.device("cpu")
    slow: Any = Slow(clock, 0.2)
    fast: Any = Slow(clock, 0.05)
    ways = {"slow": measure.timed(slow, device), "fast": measure.timed(fast, device)}
    times = measure.alternate(ways, seconds=2.0, rounds=4)
    assert times["slow"] == pytest.approx([0.2] * 4) and times["fast"] == pytest.approx([0.05] * 4)
    assert measure.ratios([1.0, 2.0, 4.0], [4.0, 4.0, 4.0]) == (2.0, 1.0, 4.0)


@pytest.mark.slow
def test_the_command_line_writes_all_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bound.SIDES, "cpu", 256)
    monkeypatch.setattr(measure, "WARM_UP_S", 0.0)
    out = tmp_path / "found.json"
    words = ["--works", "mlp_gan_mnist28", "--seconds", "0", "--rounds", "2", "--batch", "16"]
    done = CliRunner().invoke(main, [*words, "--no-memory", "--device", "cpu", "--json", str(out)])
    assert done.exit_code == 0, done.output
    record = json.loads(out.read_text())
    assert {"processor", "cores", "threads", "torch", "ganforge", "device"} <= record["machine"].keys()
    (found,) = record["results"]
    assert found["ways"].keys() == {"tutorial", "expert", "ganforge"}
    assert found["ratios"].keys() == {"ganforge/tutorial", "ganforge/expert", "expert/tutorial"}
    for figure in found["ways"].values():
        median = statistics.median(figure["seconds_per_iteration"])
        assert figure["iterations_per_second"] == pytest.approx(1 / median)
        share = found["flops_per_image"] * 16 / median / max(found["matrix_rate"]["flops_per_second"])
        assert figure["share_of_bound"] == pytest.approx(share)


def test_memory_is_that_of_a_process_of_its_own() -> None:
    found = memory.measure("mlp_gan_mnist28", "expert", Settings(8, "cpu"))
    assert 0 < found["own_mib"] < found["resident_mib"]


def test_a_way_that_cannot_be_opened_is_no_silent_wait(tmp_path: Path) -> None:
    wrong = Settings(16, "cpu", overrides=("train.fakes=1",))
    with pytest.raises(RuntimeError, match="a way has ended with code 1; it says why above"):
        Elsewhere("mlp_gan_mnist28", "ganforge", wrong, tmp_path)
