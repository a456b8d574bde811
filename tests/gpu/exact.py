"""Whether runs on a GPU resume bit for bit, by the command line, as a user would."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from support.paths import ROOT

Tensors = Mapping[str, torch.Tensor]

CASES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cGAN, DCGAN 64, float32": ("baselines/cgan_iclevr_dcgan.toml", ("train.precision=no",)),
    "cGAN, DCGAN 64, bf16": ("baselines/cgan_iclevr_dcgan.toml", ("train.precision=bf16",)),
    "main recipe, bf16": ("cgan_iclevr.toml", ("train.precision=bf16",)),
    "InfoGAN, float32": ("mnist/infogan.toml", ("train.precision=no",)),
    "WGAN-GP, float32": ("mnist/wgan_gp.toml", ("train.precision=no",)),
    "WGAN-GP, float32, no graphs": ("mnist/wgan_gp.toml", ("train.precision=no", "train.cuda_graphs=off")),
}
COMMON = (
    "train.batch_size=64",
    "logging.grid_every=0",
    "logging.keep_checkpoints=10",
    "wandb.mode=disabled",
)


def measure(
    name: str,
    folder: Path,
    data: Path | None,
    iterations: int = 60,
    deterministic: bool = True,
    device: str = "cuda",
) -> dict[str, Any]:
    """One run at a stretch against the same run stopped halfway and resumed: how many tensors of the
    checkpoints halfway and at the end differ, and by how much at most."""
    example, settings = CASES[name]
    file = ROOT / "examples" / example
    here = folder / name.replace(" ", "_").replace(",", "")
    here.mkdir(parents=True)
    wanted = [
        *COMMON,
        *settings,
        f"train.device={device}",
        f"train.deterministic={str(deterministic).lower()}",
    ]
    if data is not None:
        wanted.append(f"data.root={data / ('mnist' if 'mnist' in example else 'iclevr')}")
    half = 64 * _updates(file) * (iterations // 2)
    wanted.append(f"logging.checkpoint_every={half}")
    said = [
        _ganforge(here, "run", file, "--out", "whole", *sets(*wanted, f"train.images={2 * half}")),
        _ganforge(here, "run", file, "--out", "parts", *sets(*wanted, f"train.images={half}")),
        _ganforge(here, "resume", "parts", *sets(f"train.images={2 * half}")),
    ]
    lines = [
        line for text in said for line in text.splitlines() if "cuda graphs" in line or "continues" in line
    ]
    apart = {
        at: _apart(*(_tensors(here / run / "checkpoints" / f"{images:012d}") for run in ("whole", "parts")))
        for at, images in (("halfway", half), ("end", 2 * half))
    }
    return {"case": name, "deterministic": deterministic, **apart, "said": lines}


def _apart(whole: Tensors, parts: Tensors) -> dict[str, Any]:
    differences = {
        key: float((value.double() - parts[key].double()).abs().max())
        for key, value in whole.items()
        if not torch.equal(value, parts[key])
    }
    return {
        "tensors": len(whole),
        "differ": len(differences),
        "largest": max(differences.values(), default=0.0),
    }


def _updates(file: Path) -> int:
    return int(tomllib.loads(file.read_text()).get("train", {}).get("d_updates", 1))


def sets(*overrides: str) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


def _ganforge(folder: Path, *words: object) -> str:
    command: Sequence[str] = [sys.executable, "-m", "ganforge", *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-800:]}")
    return done.stdout + done.stderr


def _tensors(checkpoint: Path) -> Tensors:
    return {
        f"{file.stem}.{name}": value
        for file in sorted(checkpoint.glob("*.safetensors"))
        for name, value in load_file(file).items()
    }
