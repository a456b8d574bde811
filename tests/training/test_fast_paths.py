"""Example runs take the fast paths. Calls are counted: a path that falls back to a slow one gives the same numbers."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from ganforge.components.registry import Registry, discover
from ganforge.config import validate
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.kernels import convolution, im2col
from ganforge.engine.kernels.double_backward import TwiceDifferentiable
from ganforge.engine.kernels.override import watched
from ganforge.engine.loop import Loop
from ganforge.engine.update import critic
from support.called import count_calls
from support.convolutions import Torchs
from support.digit_files import files as digit_files
from support.operations import Operations
from support.paths import ROOT
from support.small_runs import open_loop, small

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def wide(example: Path, folder: Path, registry: Registry) -> Loop:
    """The example with its own networks, whose widths decide which convolutions are products; batch size 2."""
    document: dict[str, Any] = tomllib.loads(example.read_text())
    document["train"] |= {"batch_size": 2, "device": "cpu"}
    data = document["data"]
    if data["type"] == "iclevr":
        data["scenes"] = 4
    else:
        data["root"] = str(digit_files(folder / "digits"))
        data.pop("download", None)
    return open_loop(validate(document, registry, file=str(example)), folder)[0]


def narrow(example: str, folder: Path, registry: Registry, iterations: int = 2) -> Loop:
    config = small(EXAMPLES / example, folder / "digits", registry, iterations)
    return open_loop(config, folder)[0]


PRODUCTS: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    # G's last layer maps 32 channels to 3, in two forward passes; D's first layer has the input gradient for G.
    # Of the other layers, D has 3 convolutions and three forward passes, G has 2 convolutions and two.
    "iclevr32/auxiliary.toml": ({"scattered": 3}, {"value": 13, "input": 9, "weight": 9}),
    # Also the layers between 256 channels and 512 at 4x4 pixels, whose weights are too many for so few pixels:
    # all three operations of both networks.
    "baselines/cgan_iclevr_dcgan.toml": (
        {"scattered": 10, "gathered": 4, "correlated": 3},
        {"value": 13, "input": 9, "weight": 9},
    ),
    # Five penalized updates of D: G's last layer, and the input gradient of D's first layer in the penalty and
    # once more in its backward pass, through layer norm. One update of G: both thin layers once.
    "mnist/wgan_gp.toml": ({"scattered": 17}, {"value": 48, "input": 23, "weight": 42}),
}
"""What an iteration computes by products, and what torch does."""


@pytest.mark.parametrize("example", PRODUCTS)
def test_convolutions_are_products_where_these_are_faster(
    example: str, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choice depends on the layers' shapes, not on the batch size; as on a processor of fast products."""
    monkeypatch.setattr(convolution, "FAST_PRODUCTS", True)
    loop = wide(EXAMPLES / example, tmp_path, registry)
    counted = count_calls(monkeypatch, im2col, "gathered", "scattered", "correlated")
    with Torchs() as torchs:
        loop._iterate(False)
    assert (counted, torchs.seen) == PRODUCTS[example]


class Counted(TwiceDifferentiable):
    """Counts the operations that are replaced."""

    seen: ClassVar[Counter[str]] = Counter()

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in self.ours and not watched():
            self.seen[func.__name__] += 1
        return super().__torch_function__(func, types, args, kwargs)


PENALTIES: dict[str, dict[str, int]] = {
    # Five penalties of a critic with two convolutions; its head is a product. Then a lazy penalty, at update 0.
    "mnist/wgan_gp.toml": {"conv2d": 5 * 2, "leaky_relu": 5 * 2},
    "mnist/hinge_r1.toml": {"conv2d": 2, "leaky_relu": 2},
    # R1 and R2. A critic has three blocks of three convolutions, a first layer, a basis, and downsamples twice.
    "mnist/r3gan.toml": {"conv2d": 2 * (1 + 3 * 3 + 1 + 2), "leaky_relu_": 2 * 3 * 2, "pad": 2 * 2},
}
"""Which operations are replaced in an iteration's penalties."""


@pytest.mark.parametrize("example", PENALTIES)
def test_penalties_are_differentiated_without_detours(
    example: str, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = narrow(example, tmp_path, registry)
    monkeypatch.setattr(critic, "TwiceDifferentiable", Counted)
    monkeypatch.setattr(Counted, "seen", Counter())
    loop._iterate(False)
    assert Counted.seen == PENALTIES[example]


def strays(loop: Loop, *kinds: str) -> tuple[list[str], Counter[str]]:
    """The tensors of two iterations' convolutions that are not channels_last, and how many were checked by
    kind: weights and results, or those of `kinds`."""
    wrong: list[str] = []
    seen: Counter[str] = Counter()

    def look(module: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        tensors = {"given": given[0], "weight": module.weight, "result": result}
        for kind in kinds or ("weight", "result"):
            tensor = tensors[kind]
            assert isinstance(tensor, Tensor)
            seen[kind] += 1
            if not tensor.is_contiguous(memory_format=torch.channels_last):
                wrong.append(f"{kind} {tuple(tensor.shape)} of {module}")

    for player in loop.game.players.values():
        for module in player.network.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.register_forward_hook(look)
    for _ in range(2):
        loop._iterate(False)
    return wrong, seen


@pytest.mark.parametrize(
    "example", ["cgan_iclevr.toml", "iclevr32/sagan.toml", "iclevr32/biggan.toml", "iclevr32/r3gan.toml"]
)
def test_convolutions_and_moments_are_channels_last(example: str, tmp_path: Path, registry: Registry) -> None:
    loop = narrow(example, tmp_path, registry)
    wrong, seen = strays(loop)
    assert wrong == []
    assert set(seen) == {"weight", "result"} and min(seen.values()) > 0
    for player in loop.game.players.values():
        for parameter, state in player.optimizer.state.items():
            moments = [value for value in state.values() if value.shape == parameter.shape]
            assert moments and all(moment.stride() == parameter.stride() for moment in moments)


def test_inputs_of_convolutions_are_channels_last(tmp_path: Path, registry: Registry) -> None:
    """In the README's example no convolution has to convert a batch, a fake or an activation."""
    loop = narrow("cgan_iclevr.toml", tmp_path, registry)
    wrong, seen = strays(loop, "given")
    assert wrong == [] and seen["given"] > 0


FUSED = {"adam": "_fused_adam_", "adamw": "_fused_adamw_", "sgd": "_fused_sgd_"}


@pytest.mark.parametrize("example", ["cgan_iclevr.toml", "mnist/wgan_gp.toml", "mnist/gan_mlp.toml"])
def test_each_step_of_an_optimizer_is_one_kernel(example: str, tmp_path: Path, registry: Registry) -> None:
    """In a new run, and in one resumed from a checkpoint."""
    loop = narrow(example, tmp_path, registry)
    loop.run(StopRequest())
    resumed = narrow(example, tmp_path, registry, iterations=4)
    resumed.restore(*checkpoint.load_newest(tmp_path / "checkpoints", print))
    for each in (loop, resumed):
        before = {role: player.updates for role, player in each.game.players.items()}
        with Operations() as operations:
            each._iterate(False)
        steps = sum(player.updates - before[role] for role, player in each.game.players.items())
        assert steps == len(each.schedule)
        assert sum(operations.seen[name] for name in FUSED.values()) == steps
        assert not any(name.startswith("_foreach_addc") for name in operations.seen)
