"""In bf16, the four largest resolutions compute in 16 bits, and the others, latents and logits in float32: as in
the authors' code of StyleGAN2-ADA and R3GAN."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganforge.api import Networks
from ganforge_architectures import R3GAN, StyleGAN2, style_generator
from ganforge_architectures.filtered import upsampled
from ganforge_architectures.modulated import ToRGB
from ganforge_architectures.precision import wide_stages
from ganforge_architectures.r3gan import Bottleneck
from ganforge_architectures.resample import Downsample, Upsample
from ganforge_architectures.style_discriminator import DownBlock
from support.networks import spec

pytestmark = pytest.mark.numeric

UNIT = 2.0**-9
"""Largest relative error of a rounding to bfloat16, which has 8 significant bits."""
NARROW, WIDE = torch.bfloat16, torch.float32


def r3gan(side: int) -> Networks:
    torch.manual_seed(0)
    nets = R3GAN(width=32, group_width=4, blocks=1, condition_dim=5, edges="zeros")
    both = nets.build(spec(side, 3), 6, {"label": 3})
    for network in both:
        for block in network.modules():
            if isinstance(block, Bottleneck):  # they begin as identities
                nn.init.normal_(block.conv3.weight, 0.0, 0.1)  # type: ignore[arg-type]
    return both


def stylegan2(side: int, **fields: Any) -> Networks:
    torch.manual_seed(0)
    settings = {
        "channel_base": 64,
        "channel_max": 8,
        "w_dim": 6,
        "mapping_layers": 2,
        "noise": "none",
        "mixing": 0.0,
        **fields,
    }
    return StyleGAN2.model_validate(settings).build(spec(side, 3), 6, {"label": 3})


BUILT: dict[str, Callable[[int], Networks]] = {
    "r3gan": r3gan,
    "stylegan2": stylegan2,
    "skip": lambda side: stylegan2(side, discriminator="skip"),
    "plain, grouped": lambda side: stylegan2(side, discriminator="plain", modulation="grouped"),
}


def inputs() -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(1)
    return torch.randn(4, 6, generator=stream), torch.eye(3)[[2, 0, 1, 2]]


def images(side: int) -> Tensor:
    return torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(2)) * 2 - 1


def types(
    network: nn.Module, kinds: tuple[type[nn.Module], ...], *given: Any
) -> list[tuple[int, torch.dtype]]:
    """Side and type of what each module of these kinds returns, in order, in bf16."""
    found: list[tuple[int, torch.dtype]] = []

    def note(_: nn.Module, __: Any, result: Any) -> None:
        result = result[0] if isinstance(result, tuple) else result
        found.append((result.shape[2], result.dtype))

    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, kinds)]
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        network(*given)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize(
    ("side", "narrow"), [(16, {8, 16}), (32, {8, 16, 32}), (64, {8, 16, 32, 64}), (256, {32, 64, 128, 256})]
)
def test_resolutions_of_r3gan(side: int, narrow: set[int]) -> None:
    """Its presets have three such stages at 32x32, and four at 64x64 and 256x256."""
    g, d = r3gan(side)
    sides = [4 << i for i in range(side.bit_length() - 2)]
    of = {each: NARROW if each in narrow else WIDE for each in sides}
    up = [(4, WIDE), *((each, of[each]) for each in sides[1:] for _ in range(2))]
    assert types(g, (Bottleneck, Upsample), *inputs()) == up
    # In D, a stage ends with the downsampling to the next one.
    down = [row for large, small in pairwise(sides[::-1]) for row in ((large, of[large]), (small, of[large]))]
    found = types(d, (Bottleneck, Downsample), images(side), inputs()[1])
    assert found == [*down, (4, WIDE)]


@pytest.mark.parametrize("design", ["residual", "skip", "plain"])
@pytest.mark.parametrize("side", [32, 256])
def test_resolutions_of_stylegan2(side: int, design: str) -> None:
    g, d = stylegan2(side, discriminator=design)
    sides = [4 << i for i in range(side.bit_length() - 2)]
    narrow = {8, 16, 32} if side == 32 else {32, 64, 128, 256}
    of = {each: NARROW if each in narrow else WIDE for each in sides}
    blocks = types(g, (type(g.synthesis.blocks[0]),), *inputs())
    assert blocks == [(each, of[each]) for each in sides]
    # Colors are summed in float32.
    assert types(g, (ToRGB,), *inputs()) == [(each, WIDE) for each in sides]
    down = [(small, of[large]) for large, small in pairwise(sides[::-1])]
    assert types(d, (DownBlock,), images(side), inputs()[1]) == down
    assert types(d, (type(d.conv),), images(side), inputs()[1])[-1] == (4, WIDE)


@pytest.mark.parametrize("kind", BUILT)
def test_results_are_float32_and_as_close_as_roundings_allow(kind: str) -> None:
    """Layers with weights of unit gain keep the relative size of an error, so that those of n roundings sum to at
    most n units: three a layer (input, weights, result), and one for a sum."""
    g, d = BUILT[kind](32)
    (z, cond), x = inputs(), images(32)
    with torch.no_grad():
        exact = [g.double()(z.double(), cond.double()), *_outputs(d.double(), x.double(), cond.double())]
        g.float(), d.float()
        single = [g(z, cond), *_outputs(d, x, cond)]
        with torch.autocast("cpu", torch.bfloat16):
            narrow = [g(z, cond), *_outputs(d, x, cond)]
    # Three resolutions of at most four layers and two sums or activations.
    bound = 3 * (4 * 3 + 2) * UNIT
    for want, plain, found in zip(exact, single, narrow, strict=True):
        assert found.dtype == plain.dtype == torch.float32
        assert float((plain - want).norm() / want.norm()) < 1e-5
        assert UNIT / 32 < float((found - want).norm() / want.norm()) < bound


def _outputs(d: nn.Module, x: Tensor, cond: Tensor) -> list[Tensor]:
    verdict = d(x, cond)
    return [verdict.logits, verdict.features, verdict.heads["label"]]


@pytest.mark.parametrize("kind", BUILT)
def test_latents_and_the_smallest_resolution_are_those_of_float32(kind: str) -> None:
    g, _ = BUILT[kind](32)
    kept: list[Tensor] = []
    first = g.trunk[0] if kind == "r3gan" else g.synthesis.blocks[0].conv1
    first.register_forward_hook(lambda _, __, result: kept.append(result))
    with torch.no_grad():
        g(*inputs())
        with torch.autocast("cpu", torch.bfloat16):
            g(*inputs())
    one, other = kept
    assert torch.equal(one, other)


def test_colors_are_upsampled_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.dtype] = []

    def noted(x: Tensor) -> Tensor:
        made.append(upsampled(x).dtype)
        return upsampled(x)

    monkeypatch.setattr(style_generator, "upsampled", noted)
    g, _ = stylegan2(32)
    with torch.autocast("cpu", torch.bfloat16):
        g(*inputs())
    assert made == [WIDE] * 3


def test_float32_stages() -> None:
    assert [wide_stages(stages) for stages in (3, 4, 5, 6, 7, 9)] == [1, 1, 1, 2, 3, 5]
