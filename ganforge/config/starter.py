"""A first run file for data of the user's own: short, commented, and with settings that suit their amount."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import tomli_w

from ganforge.api import Survey, UserError

Networks = Literal["dcgan", "stylegan2"]

LARGEST = {"dcgan": 64, "stylegan2": 128}
"""Image size in pixels up to which the networks are proposed without being asked for."""
SMALLEST = 16
SMALL_DATASET = 20_000
"""Images below which the discriminator memorizes them within the run unless it sees them augmented."""
TINY_DATASET = 100


@dataclass(frozen=True)
class Wishes:
    """What the user decided; None leaves it to the data and the device."""

    data: str = "image_folder"
    networks: Networks = "dcgan"
    image_size: int | None = None
    channels: int | None = None
    batch_size: int = 32
    mirror: bool = True
    images: int = 100_000
    """Length of the run."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0


def buildable(longest: int) -> int:
    """The largest side of a square, at most `longest` pixels, that all networks here build: base x 2^k with
    a base of 4 to 7 and k >= 2. Sides below 16 give 16."""
    sides = (base * 2**k for k in range(2, 9) for base in range(4, 8))
    return max((side for side in sides if side <= longest), default=SMALLEST)


def rounded(number: float) -> int:
    """The nearest number below of 1, 1.5, 2, 3, 5 and 7 times a power of ten, as budgets are written."""
    if number < 10:
        return max(1, int(number))
    power = 10 ** int(math.log10(number))
    return int(max(step * power for step in (1, 1.5, 2, 3, 5, 7) if step * power <= number))


def image_size(survey: Survey, wishes: Wishes) -> int:
    """Pixels of a side: at most that of the median image, and at most the one the networks suit."""
    return wishes.image_size or buildable(min(survey.short_sides[1], LARGEST[wishes.networks]))


def starter(survey: Survey, wishes: Wishes, budget: str = "") -> str:
    """The text of the run file. `budget`: a comment on how long `wishes.images` take.

    Raises `UserError` if there are fewer images than a batch of two.
    """
    if survey.images < 2:
        raise UserError(f"{survey.keys['root']} holds {survey.images} image; a GAN needs more, 100 at least")
    size = image_size(survey, wishes)
    batch = min(wishes.batch_size, survey.images)
    parts = [
        f"# A GAN on the {survey.images:,} images in {_one_line(survey.keys['root'])}; written by "
        "'ganforge new', to be edited.",
        *(f"#   {_one_line(fact)}" for fact in survey.facts),
        "",
        *_data(survey, wishes, size),
        *(_stylegan2(survey, size, batch) if wishes.networks == "stylegan2" else _dcgan(survey)),
        *_train(wishes, batch, budget),
    ]
    return "\n".join(parts) + "\n"


def _data(survey: Survey, wishes: Wishes, size: int) -> list[str]:
    smallest, median, _ = survey.short_sides
    enlarged = f"; the smallest image is {smallest} pixels" if smallest < size <= median else ""
    keys = dict(survey.keys)
    if wishes.channels is not None:
        keys["channels"] = wishes.channels
    return [
        "[data]",
        *_keys({"type": wishes.data, **keys}),
        f"image_size = {size}{_comment(f'pixels; the middle square of each image is used{enlarged}')}",
        f"mirror = {str(wishes.mirror).lower()}"
        f"{_comment('flip images left to right at random; false for writing, digits, and the like')}",
        "",
    ]


def _dcgan(survey: Survey) -> list[str]:
    labeled = bool(survey.label_counts)
    lines = [
        "[prior]",
        'type = "normal"',
        "dim = 64",
        "",
        "[nets]",
        'type = "dcgan"',
        "width = 32  # 64 = twice as wide: better, and slower",
        "spectral_norm = true",
        'd_norm = "none"',
        *(['conditioning = "conditional_bn"  # "none" = ignore the labels'] if labeled else []),
        "",
        "[loss]",
        'type = "hinge"',
        "",
    ]
    if survey.images < SMALL_DATASET:
        lines += [
            "[[callbacks]]",
            f'type = "diff_augment"  # few images ({survey.images:,}): without it the discriminator '
            "memorizes them",
            'policy = ["color", "translation", "cutout"]  # without "color" if colors are what labels mean',
            "",
        ]
    return [
        *lines,
        *_optimizer("generator", 2e-4, (0.0, 0.9)),
        *_optimizer("discriminator", 4e-4, (0.0, 0.9)),
    ]


def _stylegan2(survey: Survey, size: int, batch: int) -> list[str]:
    # The regularizers' weights and intervals of the paper's configuration "auto".
    weight = float(f"{0.0002 * size * size / batch:.2g}")
    group = max(number for number in (1, 2, 3, 4) if batch % number == 0)
    return [
        "[prior]",
        'type = "normal"',
        "dim = 512",
        "",
        "[nets]",
        'type = "stylegan2"',
        "channel_base = 16384  # 32768 = twice as wide",
        "mapping_layers = 2",
        *([f"stddev_group = {group}  # divides batch_size"] if group != 4 else []),
        "",
        "[loss]",
        'type = "bce"',
        "",
        "[[terms]]",
        'type = "r1"',
        f"weight = {weight}  # 0.0002 x image_size^2 / batch_size",
        "every = 16",
        "",
        "[[terms]]",
        'type = "path_length"',
        "weight = 2.0",
        "every = 4",
        "",
        "[[callbacks]]",
        'type = "ada"  # augments as much as the discriminator overfits',
        "transforms = {xflip = 1, xint = 1, scale = 1, aniso = 1, xfrac = 1, brightness = 1, contrast = 1, "
        "lumaflip = 1, hue = 1, saturation = 1}",
        "",
        *_optimizer("generator", 2.5e-3, (0.0, 0.99), 4),
        *_optimizer("discriminator", 2.5e-3, (0.0, 0.99), 16),
    ]


def _optimizer(side: str, lr: float, betas: Sequence[float], lazy: int = 0) -> list[str]:
    """`lazy`: the interval of the player's regularizer, for which the optimizer is corrected."""
    table: dict[str, Any] = {"type": "adam", "lr": lr, "betas": list(betas)} | (
        {"lazy": lazy} if lazy else {}
    )
    return [f"[{side}.optimizer]", *_keys(table), ""]


def _train(wishes: Wishes, batch: int, budget: str) -> list[str]:
    images = wishes.images
    every = max(batch, rounded(images / 100))
    seldom = max(batch, rounded(images / 20))
    return [
        "[train]",
        f"images = {images:_}{_comment(budget) if budget else ''}",
        f"batch_size = {batch}",
        *([f'device = "{wishes.device}"'] if wishes.device != "auto" else []),
        *([f"seed = {wishes.seed}"] if wishes.seed else []),
        "",
        "[ema]",
        f"halflife = {min(10_000, max(batch, rounded(images / 20))):_}  # samples come from an average "
        "of the generator's weights",
        "",
        "[logging]",
        f"every = {every:_}",
        f"grid_every = {seldom:_}",
        f"checkpoint_every = {seldom:_}",
        "",
        "[wandb]",
        'mode = "disabled"  # "offline" or "online" = also record on Weights & Biases',
    ]


def _keys(table: Mapping[str, Any]) -> list[str]:
    """`key = value` lines; arrays on one line each."""
    lines = []
    for key, value in table.items():
        if isinstance(value, list):
            members = (tomli_w.dumps({"v": member}).removeprefix("v = ").strip() for member in value)
            lines.append(f"{key} = [{', '.join(members)}]")
        else:
            lines.append(tomli_w.dumps({key: value}).strip())
    return lines


def _comment(text: str) -> str:
    return f"  # {text}"


def _one_line(text: object) -> str:
    """For a comment, which TOML ends at a line break, and in which it allows no control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))
