"""What is trained: the networks, losses and sizes that users of such scripts train."""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass, field
from typing import Any

from support.paths import EXAMPLES

ADAM = {"optimizer": {"type": "adam", "lr": 2e-4, "betas": [0.5, 0.999]}}
SCENES = 86
"""Drawn i-CLEVR scenes, 3 images each: a few hundred pictures."""
DIGITS = 10_000


@dataclass(frozen=True)
class Work:
    """A run file as tables, without what depends on the machine."""

    what: str
    document: dict[str, Any]
    narrow: dict[str, Any] = field(default_factory=dict)
    """Keys of [nets] that keep the paper's networks within what a CPU can do; left out by --full."""
    workers: int = 2
    """Of the tutorial's DataLoader, as in the script the loop is like."""

    def tables(self, full: bool) -> dict[str, Any]:
        tables = copy.deepcopy(self.document)
        tables["nets"] |= {} if full else self.narrow
        # No script has a moving average of the generator; with it, ganforge would do more than they.
        tables["ema"] = {"halflife": 0}
        return tables


def _example(name: str, **data: Any) -> dict[str, Any]:
    tables: dict[str, Any] = tomllib.loads((EXAMPLES / name).read_text())
    tables["data"] = data
    return {key: table for key, table in tables.items() if key != "logging"}


def _digits(**more: Any) -> dict[str, Any]:
    return {"type": "mnist", **more}


def _mlp(data: dict[str, Any], g_hidden: list[int], d_hidden: list[int]) -> dict[str, Any]:
    return {
        "data": data,
        "prior": {"type": "normal", "dim": 100},
        "nets": {"type": "mlp", "g_hidden": g_hidden, "d_hidden": d_hidden},
        "loss": {"type": "bce"},
        "generator": ADAM,
        "discriminator": ADAM,
    }


def _wgan_gp(side: int) -> dict[str, Any]:
    adam = {"optimizer": {"type": "adam", "lr": 1e-4, "betas": [0.0, 0.9]}}
    return {
        "data": {"type": "iclevr", "image_size": side, "scenes": SCENES},
        "prior": {"type": "normal", "dim": 128},
        "nets": {"type": "resnet", "conditioning": "none"},
        "loss": {"type": "wasserstein"},
        "terms": [{"type": "gradient_penalty"}],
        "generator": adam,
        "discriminator": adam,
        "train": {"d_updates": 5},
    }


def _stylegan2(side: int) -> Work:
    """Without path length and augmentation; R1 in every update, which costs more than a lazy one."""
    adam = {"optimizer": {"type": "adam", "lr": 2.5e-3, "betas": [0.0, 0.99]}}
    document = {
        "data": {"type": "iclevr", "image_size": side, "scenes": SCENES},
        "prior": {"type": "normal", "dim": 512},
        "nets": {"type": "stylegan2", "channel_base": 16_384, "mapping_layers": 2},
        "loss": {"type": "bce"},
        "terms": [{"type": "r1", "weight": 10.0}],
        "generator": adam,
        "discriminator": adam,
    }
    narrow = {"channel_base": 1024, "channel_max": 64, "w_dim": 64}
    return Work(f"StyleGAN2 with R1, {side}x{side}", document, narrow)


WORKS: dict[str, Work] = {
    "cgan_iclevr64": Work(
        "cGAN on i-CLEVR 64x64: examples/baselines/cgan_iclevr_dcgan.toml",
        _example("baselines/cgan_iclevr_dcgan.toml", type="iclevr", image_size=64, scenes=SCENES),
    ),
    "dcgan_mnist28": Work(
        "DCGAN on MNIST 28x28: examples/mnist/dcgan.toml",
        _example("mnist/dcgan.toml", **_digits(labelled=False)),
    ),
    "mlp_gan_mnist28": Work(
        "fully connected GAN on MNIST 28x28, the widths of PyTorch-GAN's gan",
        _mlp(_digits(labelled=False), [128, 256, 512, 1024], [512, 256]),
        workers=0,
    ),
    "mlp_cgan_mnist32": Work(
        "fully connected cGAN on MNIST 32x32, the widths of PyTorch-GAN's cgan",
        _mlp(_digits(image_size=32), [128, 256, 512, 1024], [512, 512, 512]),
        workers=0,
    ),
    "infogan_mnist28": Work(
        "InfoGAN on MNIST 28x28: examples/mnist/infogan.toml",
        _example("mnist/infogan.toml", **_digits(labelled=False)),
        workers=0,
    ),
    "wgan_gp_resnet32": Work("WGAN-GP, ResNet 32x32", _wgan_gp(32), {"g_width": 16, "d_width": 16}),
    "wgan_gp_resnet64": Work("WGAN-GP, ResNet 64x64", _wgan_gp(64), {"g_width": 6, "d_width": 6}),
    **{f"stylegan2_iclevr{side}": _stylegan2(side) for side in (64, 128, 256)},
}
