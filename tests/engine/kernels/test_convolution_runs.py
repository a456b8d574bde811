"""Runs whose convolutions are matrix products end where torch would take them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.engine.kernels import convolution
from support.convolutions import Torchs
from support.toys import toy_config, toy_loop, weights_of

NETS: list[dict[str, Any]] = [
    {"type": "dcgan", "width": 8},
    {"type": "dcgan", "width": 8, "conditioning": "conditional_bn", "spectral_norm": True, "d_norm": "none"},
    {"type": "resnet", "g_width": 8, "d_width": 8},
    {"type": "biggan", "channels": 4},
    {"type": "r3gan", "width": 16, "blocks": 1, "group_width": 4},
]


@pytest.mark.usefixtures("everything_by_products", "without_kinks")
@pytest.mark.parametrize("terms", [[], [{"type": "gradient_penalty"}]], ids=["plain", "penalty"])
@pytest.mark.parametrize("nets", NETS, ids=lambda nets: "-".join(map(str, nets.values())))
def test_a_run_ends_where_torch_would_take_it(
    nets: dict[str, Any], terms: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Each network, with all its convolutions by products; two iterations, as close as float32 lets them be."""
    found, seen = [], []
    for ways in (contextlib.nullcontext(), convolution.convolutions_by_torch()):
        # Not Adam, which makes a whole step of a gradient that is nothing but rounding.
        player = {"optimizer": {"type": "sgd", "lr": 0.005}}
        data = {"type": "squares", "size": 32}
        config = toy_config(data=data, nets=nets, terms=terms, generator=player, discriminator=player)
        loop, _ = toy_loop(tmp_path / str(len(found)), config)
        with ways, Torchs() as torchs:
            for index in range(2):
                for role in ("d", "g"):
                    loop.game.update(role, loop.batches.at(index))  # type: ignore[arg-type]
        found.append(weights_of(loop))
        seen.append(torchs.seen.total())
    # Grouped convolutions stay torch's.
    assert seen[0] < seen[1] / 2
    assert found[0].keys() == found[1].keys()
    for name, tensor in found[0].items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, found[1][name], rtol=1e-3, atol=1e-5, msg=name)
