"""Whether runs on a GPU resume bit for bit, by the command line, as a user would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from support.paths import ROOT

CASES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cGAN, DCGAN 64, float32": ("baselines/cgan_iclevr_dcgan.toml", ("train.precision=no",)),
    "cGAN, DCGAN 64, bf16": ("baselines/cgan_iclevr_dcgan.toml", ("train.precision=bf16",)),
    "main recipe, bf16": ("cgan_iclevr.toml", ("train.precision=bf16",)),
    "InfoGAN, float32": ("mnist/infogan.toml", ("train.precision=no",)),
    "WGAN-GP, float32": ("mnist/wgan_gp.toml", ("train.precision=no",)),
}
COMMON = (
    "train.batch_size=64",
    "logging.grid_every=0",
    "logging.checkpoint_every=1_000_000",
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
    last checkpoint differ, and by how much at most."""
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
    shown = 64 * _updates(file)
    said = [
        _ganforge(here, "run", file, "--out", "whole", *_sets(*wanted, f"train.images={shown * iterations}")),
        _ganforge(
            here, "run", file, "--out", "parts", *_sets(*wanted, f"train.images={shown * iterations // 2}")
        ),
        _ganforge(here, "resume", "parts", *_sets(f"train.images={shown * iterations}")),
    ]
    whole, parts = (_newest(here / run) for run in ("whole", "parts"))
    apart = {
        key: float((value.double() - parts[key].double()).abs().max())
        for key, value in whole.items()
        if not torch.equal(value, parts[key])
    }
    lines = [
        line for text in said for line in text.splitlines() if "cuda graphs" in line or "continues" in line
    ]
    return {
        "case": name,
        "deterministic": deterministic,
        "tensors": len(whole),
        "differ": len(apart),
        "largest": max(apart.values(), default=0.0),
        "said": lines,
    }


def _updates(file: Path) -> int:
    import tomllib

    return int(tomllib.loads(file.read_text()).get("train", {}).get("d_updates", 1))


def _sets(*overrides: str) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


def _ganforge(folder: Path, *words: object) -> str:
    command: Sequence[str] = [sys.executable, "-m", "ganforge", *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-800:]}")
    return done.stdout + done.stderr


def _newest(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = max(path for path in (run / "checkpoints").iterdir() if path.is_dir())
    return {
        f"{file.stem}.{name}": value
        for file in sorted(checkpoint.glob("*.safetensors"))
        for name, value in load_file(file).items()
    }
