"""StyleGAN2's weights from elsewhere: the documented names are all of them, and its layers freeze."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ganforge.engine.checkpoint import checkpoint
from ganforge.training.first_weights import take
from support.paths import ROOT
from support.toys import run, toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric

PAGE = (ROOT / "docs" / "stylegan2.md").read_text()
SIDE, WIDE, LATENT, STYLE, LABELS = 32, 8, 8, 6, 3
BASE = 128
NETS = {"type": "stylegan2", "channel_base": BASE, "channel_max": WIDE, "w_dim": STYLE, "mapping_layers": 2}
SECTIONS: dict[str, Any] = {"nets": NETS, "data": {"type": "squares", "size": SIDE}, "train": {"images": 16}}
FILTER = [4, 4]
SIDES = [4, 8, 16, 32]


def channels(side: int) -> int:
    return min(BASE // side, WIDE)


def layer(name: str, outputs: int, inputs: int, *kernel: int) -> dict[str, list[int]]:
    return {f"{name}.weight": [outputs, inputs, *kernel], f"{name}.bias": [outputs]}


def mapping(inputs: int, width: int) -> dict[str, list[int]]:
    embed = layer("mapping.embed", width, LABELS)
    return embed | layer("mapping.fc0", width, inputs + width) | layer("mapping.fc1", width, width)


def styled(name: str, side: int, inputs: int) -> dict[str, list[int]]:
    return {
        **layer(name, channels(side), inputs, 3, 3),
        **layer(f"{name}.affine", inputs, STYLE),
        f"{name}.noise_const": [side, side],
        f"{name}.noise_strength": [],
        f"{name}.resample_filter": FILTER,
    }


def their_generator() -> dict[str, list[int]]:
    """Name in stylegan2-ada-pytorch -> shape, for labelled images."""
    found = mapping(LATENT, STYLE) | {"mapping.w_avg": [STYLE]}
    for side in SIDES:
        block, width = f"synthesis.b{side}", channels(side)
        found[f"{block}.resample_filter"] = FILTER
        if side == 4:
            found[f"{block}.const"] = [width, 4, 4]
        else:
            found |= styled(f"{block}.conv0", side, channels(side // 2))
        found |= styled(f"{block}.conv1", side, width)
        found |= layer(f"{block}.torgb", 3, width, 1, 1) | layer(f"{block}.torgb.affine", width, STYLE)
    return found


def their_discriminator(design: str) -> dict[str, list[int]]:
    last = channels(4)
    found = mapping(0, last) | layer(f"b{SIDE}.fromrgb", channels(SIDE), 3, 1, 1)
    found[f"b{SIDE}.fromrgb.resample_filter"] = FILTER
    for side in SIDES[1:]:
        width, wider = channels(side), channels(side // 2)
        found |= layer(f"b{side}.conv0", width, width, 3, 3) | layer(f"b{side}.conv1", wider, width, 3, 3)
        found |= {f"b{side}{part}.resample_filter": FILTER for part in ("", ".conv0", ".conv1")}
        if design == "residual":
            found[f"b{side}.skip.weight"] = [wider, width, 1, 1]
            found[f"b{side}.skip.resample_filter"] = FILTER
    for side in SIDES[:-1] if design == "skip" else ():
        found |= layer(f"b{side}.fromrgb", channels(side), 3, 1, 1)
    found |= layer("b4.conv", last, last + 1, 3, 3) | layer("b4.fc", last, last * 16)
    return found | layer("b4.out", last, last) | {"b4.conv.resample_filter": FILTER}


def rows() -> list[tuple[str, str | None]]:
    """The names that the page pairs: theirs, and ours, or None where there is no such tensor."""
    table = PAGE.split("| theirs | here |\n|---|---|\n")[1].split("\n\n")[0]
    found: list[tuple[str, str | None]] = []
    for line in table.splitlines():
        theirs, ours = (
            re.findall(r"`([^`]+)`", re.sub(r"\([^)]*\)", "", cell)) for cell in line.strip("|").split("|")
        )
        assert len(theirs) == len(ours) or not ours
        found += zip(theirs, ours or [None] * len(theirs), strict=True)
    return found


def rule(theirs: str, ours: str | None) -> tuple[int, str, str | None]:
    """A pair of examples without what both end in, and with patterns for its numbers: its parts, which say how
    specific it is, an expression for names, and what replaces the match, with `{layer}` and `{block}` for the
    numbers of layers and of blocks, and `{lower}` for the block above."""
    if ours is None:
        return 99, rf"(.*\.)?{theirs}", None
    first, second = theirs.split("."), ours.split(".")
    while len(first) > 1 and len(second) > 1 and first[-1] == second[-1]:
        first, second = first[:-1], second[:-1]
    pattern = re.sub(r"\bfc\d+", r"fc(?P<layer>\\d+)", re.escape(".".join(first)))
    target = re.sub(r"\blayers\.\d+", "layers.{layer}", ".".join(second))
    if re.search(r"blocks\.|_rgb", target):
        pattern = re.sub(r"\bb\d+", r"b(?P<side>\\d+)", pattern)
        target = re.sub(r"\bblocks\.\d+", "blocks.{block}", target)
        target = re.sub(r"\blower_rgb\.\d+", "lower_rgb.{lower}", target)
    if first[-1].startswith("noise"):
        pattern, target = pattern.replace("conv0", r"(?P<conv>conv\d)"), target.replace("conv0", "{conv}")
    return len(first), rf"{pattern}(?P<rest>\..+)?", target


def ours_of(name: str, largest: int) -> str | None:
    """Our name of one of their tensors by the page's table; as it is where no row is about it."""
    rules = sorted((rule(*row) for row in rows()), key=lambda each: -each[0])
    for _, pattern, target in rules:
        found = re.fullmatch(pattern, name)
        if found is None:
            continue
        if target is None:
            return None
        given = {"rest": "", **{key: value for key, value in found.groupdict().items() if value}}
        if side := int(given.pop("side", 0)):
            block = round(math.log2(side / 4 if name.startswith("synthesis") else largest / side))
            # The image enters by one layer at the largest resolution, and by others below it.
            if (target == "from_rgb" and block > 0) or (target.startswith("lower_rgb") and block == 0):
                continue
            given |= {"block": str(block), "lower": str(block - 1)}
        return target.format(**given) + given["rest"]
    return name


def test_the_examples_of_the_table_follow_its_rules() -> None:
    assert len(rows()) >= 12
    for theirs, ours in rows():
        assert ours_of(theirs, 256) == ours, theirs


def theirs_filled(design: str) -> dict[str, dict[str, Tensor]]:
    """Player -> their name -> random weights."""
    rng = torch.Generator().manual_seed(3)
    shapes = {"generator": their_generator(), "discriminator": their_discriminator(design)}
    return {
        player: {name: torch.randn(shape, generator=rng) for name, shape in named.items()}
        for player, named in shapes.items()
    }


@pytest.mark.parametrize("design", ["residual", "skip", "plain"])
def test_every_tensor_has_one_name_in_the_table(tmp_path: Path, design: str) -> None:
    sections = {**SECTIONS, "nets": {**NETS, "discriminator": design}}
    loop, _ = toy_loop(tmp_path / "run", toy_config(**sections))
    given = theirs_filled(design)
    for player, role in (("generator", "g"), ("discriminator", "d")):
        names = {name: ours_of(name, SIDE) for name in given[player]}
        left = {name for name, ours in names.items() if ours is None}
        assert left == {name for name in given[player] if name.endswith("resample_filter")}
        back = {ours: name for name, ours in names.items() if ours is not None}
        assert len(back) == len(names) - len(left)
        state = loop.game.players[role].network.state_dict()
        assert back.keys() == state.keys()
        shapes = {ours: list(given[player][name].shape) for ours, name in back.items()}
        assert shapes == {name: list(value.shape) for name, value in state.items()}
        renamed = {ours: given[player][name] for ours, name in back.items()}
        save_file(renamed, tmp_path / f"{player}.safetensors")

    lines: list[str] = []
    assert take(loop, tmp_path, lines.append) == {"generator": [], "discriminator": []}
    for player, role in (("generator", "g"), ("discriminator", "d")):
        state = loop.game.players[role].network.state_dict()
        for name, value in given[player].items():
            if (ours := ours_of(name, SIDE)) is not None:
                assert torch.equal(state[ours], value), name
    averaged = loop.averages["generator"].network.state_dict()
    assert torch.equal(averaged["w_mean"], given["generator"]["mapping.w_avg"])
    assert run(loop)


def frozen_by_the_page() -> list[str]:
    (block,) = re.findall(r"```toml\n(\[init\].*?)```", PAGE, re.DOTALL)
    found: list[str] = tomllib.loads(block)["init"]["freeze"]
    return found


def test_frozen_layers_keep_their_weights_and_resume(tmp_path: Path) -> None:
    """Also a mapping, which the path length then takes its latents from."""
    frozen = (*frozen_by_the_page(), "generator.mapping")
    assert len(frozen) == 3

    def config(images: int) -> Any:
        terms = [{"type": "path_length", "every": 2}, {"type": "r1", "every": 2}]
        return toy_config(
            nets=NETS, terms=terms, init={"freeze": list(frozen)}, train={"images": images, "batch_size": 4}
        )

    def parameters(loop: Any) -> dict[str, Tensor]:
        return {
            f"{player}.{name}": value.detach().clone()
            for player, role in (("generator", "g"), ("discriminator", "d"))
            for name, value in loop.game.players[role].network.named_parameters()
        }

    whole, _ = toy_loop(tmp_path / "whole", config(16))
    before = parameters(whole)
    assert run(whole)
    after = parameters(whole)
    kept = {name for name, value in after.items() if torch.equal(value, before[name])}
    assert kept == {name for name in after if name.startswith(tuple(f"{each}." for each in frozen))}
    assert all(any(name.startswith(each) for name in kept) for each in frozen)

    first, _ = toy_loop(tmp_path / "parts", config(8))
    assert run(first)
    second, _ = toy_loop(tmp_path / "parts", config(16))
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    assert run(second)
    wanted, found = weights_of(whole), weights_of(second)
    assert [name for name in wanted if not torch.equal(wanted[name], found[name])] == []
