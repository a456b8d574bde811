"""What all tests share: small data, small nets, and where the real data lie."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from ganforge.engine.kernels import convolution

pytest.register_assert_rewrite("support")

from support.paths import ROOT


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """A test of a hostile megabyte must not have it for a name."""
    return f"{val[:40]}..." if isinstance(val, str) and len(val) > 60 else None


def pytest_collection(session: pytest.Session) -> None:
    """Collecting makes a million objects that stay: to look for garbage among them is a second lost."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """Accelerate keeps one state a process; a run expects its own."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def everything_by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """All convolutions are matrix products, lest a test need large ones."""
    monkeypatch.setattr(convolution, "SMALL", 10**9)
    monkeypatch.setattr(convolution, "HEAVY", 0)
    monkeypatch.setattr(convolution, "FAST_PRODUCTS", True)


@pytest.fixture
def without_kinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks without kinks. Next to one, the last bit of a sum decides between two gradients, and a
    narrow network has so few units that this shows in its weights: the same arithmetic looks different."""

    def swish(x: Tensor, *_: object, **__: object) -> Tensor:
        return F.silu(x)

    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: swish(x))
    monkeypatch.setattr(nn.LeakyReLU, "forward", lambda self, x: swish(x))
    monkeypatch.setattr(F, "relu", swish)
    monkeypatch.setattr(F, "leaky_relu_", swish)
    monkeypatch.setattr(Tensor, "relu_", swish)


@pytest.fixture
def real_data() -> Path:
    """The folder with iclevr/ and mnist/; skips where there is none."""
    given = os.environ.get("GANFORGE_DATA")
    folder = Path(given) if given else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data: set GANFORGE_DATA to a folder with iclevr/ and mnist/")
    return folder


@pytest.fixture
def ganforge(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in a process of its own, in an empty folder with a cache of its own."""

    def call(
        *arguments: object, timeout: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ganforge", *map(str, arguments)]
        scene = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1", **environment}
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **scene},
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    return call


THREADS = int(os.environ.get("GANFORGE_TEST_THREADS", "1"))
"""Torch's threads in the tests' own process. What they find may not depend on it: set it to 2 to see."""


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tests use small tensors, for which threads only cost."""
    torch.set_num_threads(THREADS)
