"""Fine-tuning: weights of another run or of files, what does not fit, and what is frozen."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ganforge.api import UserError
from ganforge.engine.checkpoint import checkpoint
from ganforge.training.first_weights import take
from support.command_line import EXAMPLE, TINY, call, sets
from support.toys import run, toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric

DCGAN = {"type": "dcgan", "width": 4, "condition_dim": 4}


def files_of(folder: Path, **nets: Any) -> Path:
    """A folder with the weights of both networks of a short run."""
    loop, _ = toy_loop(folder / "run", toy_config(nets={**DCGAN, **nets}, train={"seed": 5}))
    assert run(loop)
    tensors, _ = loop.state()
    for group, file in (("network_g", "generator"), ("network_d", "discriminator")):
        save_file(
            {name: value.contiguous() for name, value in tensors[group].items()},
            folder / f"{file}.safetensors",
        )
    return folder


def test_what_fits_is_taken_and_the_rest_is_listed(tmp_path: Path) -> None:
    source = files_of(tmp_path, condition_dim=6)
    loop, _ = toy_loop(tmp_path / "new", toy_config(nets=DCGAN))
    before, lines = weights_of(loop), []
    left = take(loop, source, lines.append)
    after = weights_of(loop)
    assert set(left) == {"generator", "discriminator"}
    named = [each.split(" ")[0] for each in left["generator"]]
    assert named and all("there [" in each for each in left["generator"])
    for name, value in after.items():
        player, _, rest = name.partition(".")
        if player == "network_g":
            assert torch.equal(value, before[name]) == (
                rest in named or (value.ndim == 0 and value == before[name])
            )
        if player == "generator":
            assert torch.equal(value, after[f"network_g.{rest}"])
    taken = len(loop.game.players["g"].network.state_dict()) - len(named)
    assert lines[0] == (
        f"init: generator: {taken} of {taken + len(named)} tensors from {source}; not taken: {', '.join(left['generator'])}"
    )
    assert run(loop)


def test_a_part_that_is_not_there_stays_random(tmp_path: Path) -> None:
    source = files_of(tmp_path)
    (source / "generator.safetensors").unlink()
    loop, _ = toy_loop(tmp_path / "new", toy_config(nets=DCGAN))
    before, lines = weights_of(loop), []
    assert take(loop, source, lines.append) == {"discriminator": []}
    assert lines[0] == (
        f"init: generator: keeps its random weights, as {source} has no generator.safetensors"
    )
    after = weights_of(loop)
    assert all(torch.equal(after[name], before[name]) for name in after if name.startswith("network_g."))
    assert any(not torch.equal(after[name], before[name]) for name in after if name.startswith("network_d."))


def test_from_a_run_with_its_average(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert call(tmp_path, "run", EXAMPLE, *sets(*TINY), "--out", first).code == 0
    source = f"init.from={json.dumps(str(first))}"
    again = call(
        tmp_path, "run", EXAMPLE, *sets(*TINY, source, "lr.warmup_images=1_000_000_000"), "--out", second
    )
    assert again.code == 0, again.err
    assert f"tensors from {first}" in again.out + again.err
    info = json.loads((second / "run.json").read_text())
    assert info["init_not_taken"] == {"generator": [], "discriminator": []}
    # At a learning rate of nearly 0, all is as it was.
    was, now = (checkpoint.load_newest(folder / "checkpoints", print)[0] for folder in (first, second))
    for group in ("network_g", "network_d", "generator"):
        for name, value in was[group].items():
            if value.ndim > 1:
                torch.testing.assert_close(now[group][name], value, atol=1e-5, rtol=1e-4)
    other = call(tmp_path, "run", EXAMPLE, *sets(*TINY, "init.from=nowhere"), "--out", tmp_path / "third")
    assert other.code == 2 and "init.from: " in other.err and not (tmp_path / "third").exists()


@pytest.fixture
def repositories(monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Repository of the Hub -> folder with its copy."""
    copies: dict[str, Path] = {}

    def snapshot_download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        if name not in copies:
            raise OSError("404 Client Error\n for this repository")
        return str(copies[name] / (revision or ""))

    client = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    return copies


def test_from_a_published_run_on_the_hub(tmp_path: Path, repositories: dict[str, Path]) -> None:
    first, second, copy = tmp_path / "first", tmp_path / "second", tmp_path / "copy" / "v2"
    tiny = sets(*TINY, "lr.warmup_images=1_000_000_000")
    for arguments in (
        ("run", EXAMPLE, *tiny, "--out", first),
        ("export", first, "--hub", copy, "--license", "mit"),
    ):
        assert call(tmp_path, *arguments).code == 0
    repositories["me/scenes"] = copy.parent
    done = call(
        tmp_path, "run", EXAMPLE, *tiny, *sets("init.from=hf://me/scenes@v2", "train.seed=9"), "--out", second
    )
    assert done.code == 0, done.err
    assert 'from = "hf://me/scenes@v2"' in (second / "config.toml").read_text()
    assert "tensors from hf://me/scenes@v2" in done.out + done.err
    assert (
        "init: discriminator: keeps its random weights, as hf://me/scenes@v2 has no discriminator.safetensors"
        in (" ".join((done.out + done.err).split()))
    )
    assert json.loads((second / "run.json").read_text())["init_not_taken"] == {"generator": []}
    # The moving average is what is published, and it is the start of the network and of its average.
    was, now = (checkpoint.load_newest(folder / "checkpoints", print)[0] for folder in (first, second))
    compared = [name for name, value in was["generator"].items() if value.ndim > 1]
    assert compared
    for name in compared:
        for group in ("network_g", "generator"):
            torch.testing.assert_close(now[group][name], was["generator"][name], atol=1e-5, rtol=1e-4)
    # Nothing is fetched a second time.
    repositories.clear()
    assert call(tmp_path, "resume", second, *sets("train.images=96")).code == 0


def test_from_files_on_the_hub(tmp_path: Path, repositories: dict[str, Path]) -> None:
    repositories["me/files"] = files_of(tmp_path)
    loop, _ = toy_loop(tmp_path / "new", toy_config(nets=DCGAN))
    lines: list[str] = []
    assert take(loop, "hf://me/files", lines.append) == {"generator": [], "discriminator": []}
    count = len(loop.game.players["g"].network.state_dict())
    assert lines[0] == f"init: generator: {count} of {count} tensors from hf://me/files"


def test_refusals_of_the_hub(
    tmp_path: Path, repositories: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, _ = toy_loop(tmp_path / "a", toy_config(nets=DCGAN))
    repositories["me/empty"] = tmp_path / "nothing"

    def refused(source: str) -> str:
        with pytest.raises(UserError) as refusal:
            take(loop, source, lambda line: None)
        return str(refusal.value)

    assert refused("hf://me/none") == (
        "init.from: hf://me/none: cannot be downloaded: 404 Client Error for this repository"
    )
    assert refused("hf://me/empty") == (
        "init.from: expected a run folder, or a folder with generator.safetensors or discriminator.safetensors, "
        "got hf://me/empty, which is neither"
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert refused("hf://me/files") == (
        "init.from: hf://me/files needs huggingface_hub: pip install huggingface_hub"
    )
    with pytest.raises(UserError) as refusal:
        toy_config(init={"from": "hf://me"})
    assert str(refusal.value).endswith(
        "init.from: expected hf://owner/name, or hf://owner/name@revision, got 'hf://me'"
    )


def test_frozen_layers_keep_their_weights_and_resume(tmp_path: Path) -> None:
    def config(images: int) -> Any:
        init = {"freeze": ["discriminator.trunk.0", "generator.first"]}
        optimizer = {"type": "adamw", "weight_decay": 0.1}
        players = {side: {"optimizer": optimizer} for side in ("generator", "discriminator")}
        return toy_config(nets=DCGAN, init=init, train={"images": images}, **players)

    whole, _ = toy_loop(tmp_path / "whole", config(48))
    before = weights_of(whole)
    assert run(whole)
    after = weights_of(whole)

    def frozen(name: str) -> bool:
        return name.startswith(("network_d.trunk.0.", "network_g.first."))

    networks = {name for name in after if name.startswith("network_") and after[name].ndim}
    assert {name for name in networks if torch.equal(after[name], before[name])} == set(
        filter(frozen, networks)
    )
    assert any(map(frozen, networks))
    first, _ = toy_loop(tmp_path / "parts", config(24))
    assert run(first)
    second, _ = toy_loop(tmp_path / "parts", config(48))
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    assert run(second)
    found = weights_of(second)
    assert [name for name in after if not torch.equal(after[name], found[name])] == []


def test_refusals(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path / "a", toy_config(nets=DCGAN))

    def refused(source: Path) -> str:
        with pytest.raises(UserError) as refusal:
            take(loop, source, lambda line: None)
        return str(refusal.value)

    missing = tmp_path / "missing"
    assert refused(missing) == (
        "init.from: expected a run folder, or a folder with generator.safetensors or discriminator.safetensors, "
        f"got {missing}, which is not a folder"
    )
    other = tmp_path / "other"
    other.mkdir()
    save_file({"nothing": torch.zeros(1)}, other / "generator.safetensors")
    assert refused(other) == (
        f"init.from: nothing in {other} fits these networks by name and shape; use the nets of that run, or "
        "leave init.from out"
    )
    (other / "generator.safetensors").write_bytes(b"no tensors")
    assert refused(other).startswith(f"init.from: {other / 'generator.safetensors'} cannot be read: ")


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (
            ["discriminator.nope"],
            "no parameter's name begins with 'discriminator.nope' (there are: generator.convs, generator.norms, "
            "discriminator.trunk, discriminator.logit)",
        ),
        (
            ["discriminator.trunk", "discriminator.logit"],
            "nothing of the discriminator would learn; name fewer of its layers",
        ),
    ],
)
def test_freezing_what_is_not_there_or_all(tmp_path: Path, freeze: list[str], message: str) -> None:
    nets = {**DCGAN, "conditioning": "none"}
    with pytest.raises(UserError) as refusal:
        toy_loop(tmp_path, toy_config(nets=nets, init={"freeze": freeze}))
    assert str(refusal.value) == f"init.freeze: {message}"
