"""The gradient penalties with any critic's output, any input, any precision, and in shares of a batch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ganforge.api import Critic, Draw, Play, Stream, Verdict
from support.plays import PENALTIES, make, play
from support.tensors import normal
from support.toys import toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric

Shape = tuple[int, ...]
Floats = NDArray[np.float64]
each_penalty = pytest.mark.parametrize("name", PENALTIES)
each_input = pytest.mark.parametrize("shape", [(2,), (1, 5, 4), (3, 5, 4)], ids=["points", "grey", "rgb"])
each_output = pytest.mark.parametrize("tail", [(), (1,), (1, 1, 1), (1, 2, 3)], ids=str)
N = 6
PRECISIONS = [(torch.float32, 1e-5), (torch.bfloat16, 4e-2), (torch.float16, 5e-3)]
"""And by how much a sum of rounded products may be off, of its size."""


def critic_of(weight: Tensor, tail: Shape, precision: torch.dtype) -> Critic:
    """f(x) = (w . x)^2 / 2 in that precision, given out as [N, *tail]."""

    def critic(x: Tensor, cond: Tensor | None) -> Verdict:
        with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
            score = F.linear(x.flatten(1), weight[None]).square() / 2
        assert score.dtype == (weight.dtype if precision == torch.float32 else precision)
        return Verdict(score.reshape(-1, *[1] * len(tail)).expand(-1, *tail))

    return critic


def closed_form(name: str, x: Floats, w: Floats, patches: int) -> tuple[float, Floats]:
    """The penalty at `x` [N, D] of that critic, whose gradient is (w . x) w at each patch, and the
    penalty's own gradient with respect to w."""
    s, norm = x @ w, np.linalg.norm(w)
    slope = patches * np.abs(s) * norm
    of_slope = patches * (np.sign(s)[:, None] * x * norm + np.abs(s)[:, None] * w / norm)
    if name == "gradient_penalty":
        return float(((slope - 1) ** 2).mean()), (2 * (slope - 1)[:, None] * of_slope).mean(0)
    return float((slope**2).mean() / 2), (slope[:, None] * of_slope).mean(0)


@each_penalty
@each_input
@each_output
@pytest.mark.parametrize(("precision", "off"), PRECISIONS, ids=["fp32", "bf16", "fp16"])
def test_a_critic_learns_of_its_penalty(
    name: str, shape: Shape, tail: Shape, precision: torch.dtype, off: float
) -> None:
    width = math.prod(shape)
    weight = (normal(width, seed=1) / width).float().requires_grad_(True)
    # A fake like its real sample: whatever t is, that is the point between them.
    x = normal(N, *shape, seed=2).float()
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, enabled=precision == torch.float16)
    value = make(name)(play(critic_of(weight, tail, precision), x, x.clone()))
    torch.autograd.backward(scaler.scale(value))
    before = weight.detach().clone()
    scaler.step(torch.optim.SGD([weight], lr=0.5))

    expected, gradient = closed_form(
        name, x.double().flatten(1).numpy(), before.double().numpy(), math.prod(tail)
    )
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected, rel=off)
    step = (before - weight.detach()).double().numpy() / 0.5
    assert np.linalg.norm(step - gradient) < off * np.linalg.norm(gradient)


@each_penalty
@each_output
def test_two_shares_of_a_batch_have_the_penalty_of_the_whole(name: str, tail: Shape) -> None:
    real, fake, weight = normal(N, 1, 5, 4, seed=1), normal(N, 1, 5, 4, seed=2), normal(20, seed=3) / 9
    critic = critic_of(weight, tail, torch.float32)

    def penalty(rank: int, world: int) -> Tensor:
        stream = Stream.of(torch.device("cpu"), rank, world)
        stream.manual_seed(rank)
        stream.shared.manual_seed(7)
        mine = slice(rank * N // world, (rank + 1) * N // world)
        draw = Draw(torch.zeros(N // world, 1), None, {})
        return make(name)(Play("d", real[mine], None, fake[mine], draw, critic, critic, stream))

    whole = penalty(0, 1).item()
    assert (penalty(0, 2).item() + penalty(1, 2).item()) / 2 == pytest.approx(whole, rel=1e-12)


POINTS = {"data": {"type": "toy2d", "count": 64}, "nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8]}}
IMAGES = {"nets": {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none"}}


@pytest.mark.gpu
@each_penalty
@pytest.mark.parametrize("sections", [POINTS, IMAGES], ids=["points", "rgb"])
def test_a_run_in_half_precision(tmp_path: Path, name: str, sections: dict[str, Any]) -> None:
    train = {"precision": "fp16", "device": "cuda"}
    loop, _ = toy_loop(tmp_path, toy_config(**sections, terms=[{"type": name}], train=train))
    before = weights_of(loop)
    for index in range(24):
        loop.game.update("d", loop.batches.at(index))
    after = weights_of(loop)
    weights = [key for key in after if key.startswith("network_d.") and after[key].is_floating_point()]
    # The scale is found by steps that overflow and are left out.
    assert loop.game.players["d"].scaler.get_scale() >= 1.0
    assert any(not torch.equal(before[key], after[key]) for key in weights)
    assert all(after[key].isfinite().all() for key in weights)
    assert math.isfinite(loop.game.means.take()[f"term/d/{name}"])
