"""`train.float32`: what products are rounded to, and where they are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from ganforge.api import Metric, Sampler, Samples
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.kernels.matmul_precision import exact_products, round_products
from ganforge.engine.metric_values import measure
from support.toys import toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric

MULTIPLIES_BFLOAT16 = torch.backends.mkldnn.is_available() and bool(
    torch.cpu.get_capabilities().get("amx_bf16")
)
needs_amx = pytest.mark.skipif(not MULTIPLIES_BFLOAT16, reason="this CPU does not multiply bfloat16 (AMX)")


@pytest.fixture(autouse=True)
def as_torch_comes() -> Iterator[None]:
    yield
    round_products(False)


def errors() -> tuple[float, float]:
    """The largest relative error of a matrix product's and of a convolution's numbers."""
    rng = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 256, 256, generator=rng) + 1
    x, w = torch.rand(4, 64, 16, 16, generator=rng) + 1, torch.rand(64, 64, 3, 3, generator=rng) + 1
    exact = (a.double() @ b.double(), torch.nn.functional.conv2d(x.double(), w.double()))
    found = (a @ b, torch.nn.functional.conv2d(x, w))
    first, second = (float((f.double() / e - 1).abs().max()) for f, e in zip(found, exact, strict=True))
    return first, second


def state() -> tuple[str, str]:
    """What torch is told, on any CPU: of matrix products, and of convolutions."""
    convolutions: str = torch.backends.mkldnn.conv.fp32_precision  # type: ignore[attr-defined]
    return torch.get_float32_matmul_precision(), convolutions


def test_torch_is_told_and_told_otherwise() -> None:
    for wish, expected in (("fast", ("medium", "bf16")), ("default", ("highest", "none"))):
        Runtime(toy_config(train={"float32": wish}).train)
        assert state() == expected


def test_products_are_exact_unless_asked() -> None:
    Runtime(toy_config(train={"float32": "fast"}).train)
    Runtime(toy_config().train)
    assert max(errors()) < 1e-5


@needs_amx
def test_fast_products_are_of_factors_with_7_bits() -> None:
    Runtime(toy_config(train={"float32": "fast"}).train)
    for error in errors():
        # Each factor is off by at most 2^-8 of itself, and sums of positive numbers by no more than both.
        assert 1e-5 < error < 2**-7


@needs_amx
def test_meanwhile_they_are_exact() -> None:
    round_products(True)
    with exact_products():
        assert max(errors()) < 1e-5
    assert min(errors()) > 1e-5


def test_what_a_user_has_set_is_left_and_put_back() -> None:
    torch.set_float32_matmul_precision("high")
    try:
        Runtime(toy_config().train)
        assert torch.get_float32_matmul_precision() == "high"
        with exact_products():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.mkldnn.conv.fp32_precision == "none"  # type: ignore[attr-defined]
    finally:
        torch.set_float32_matmul_precision("highest")


class Errors(Metric):
    """The errors of products where metrics are computed."""

    type: Literal["errors"] = "errors"

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        assert state() == ("highest", "none")
        return dict(zip(("matrix", "convolution"), errors(), strict=True))


def test_metrics_are_computed_with_exact_products(tmp_path: Path) -> None:
    loop, recorder = toy_loop(tmp_path, toy_config(train={"float32": "fast", "images": 64}))
    values = measure([Errors()], loop.sampler, loop.samples, loop.pool)
    assert values is not None and max(values.values()) < 1e-5
    assert state() == ("medium", "bf16")
    assert not recorder.rows


def weights_after(folder: Path, **train: Any) -> dict[str, Tensor]:
    loop, _ = toy_loop(folder, toy_config(nets={"type": "dcgan", "width": 8}, train=train))
    for index in range(2):
        loop.game.update("d", loop.batches.at(index))
        loop.game.update("g", loop.batches.at(index))
    return weights_of(loop)


@needs_amx
def test_a_run_with_fast_products_learns_nearly_the_same(tmp_path: Path) -> None:
    exact, fast = weights_after(tmp_path / "a"), weights_after(tmp_path / "b", float32="fast")
    again = weights_after(tmp_path / "c")
    trained = [key for key in exact if exact[key].is_floating_point()]
    assert all(torch.equal(exact[key], again[key]) for key in trained)
    assert any(not torch.equal(exact[key], fast[key]) for key in trained)
    total = sum((exact[key] - fast[key]).abs().sum() for key in trained)
    assert total < 0.02 * sum(exact[key].abs().sum() for key in trained)
