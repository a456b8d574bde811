"""Trains a judge on a run file's real data, and measures it on held-out images."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Context, DataSpec, Samples, UserError, in_memory
from ganforge.api.judge.judge import Judge
from ganforge.api.judge.network import JudgeNetwork, OwnArchitecture, build_network
from ganforge.api.judge.score import score
from ganforge.components.calls import open_data, spec_of
from ganforge.config import RunConfig
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.random import generator_for, stream_seed
from ganforge.outputs.progress import Progress
from ganforge.training.build import load_samples

BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.02
WARMUP = 0.2
"""Share of the training over which the learning rate warms up; it then decays to 0 along a cosine."""
SHIFT = 1 / 16
"""Largest random shift of an image, as a share of its side."""
HELD_OUT = 0.1
MIN_IMAGES = 20
ROW_S = 10.0
"""Seconds between two progress lines."""


@dataclass(frozen=True)
class JudgeTraining:
    """How to train a judge."""

    epochs: int = 12
    max_minutes: float | None = None
    """Time limit; the learning rate is 0 by then; None = no limit."""
    architecture: OwnArchitecture = "small_resnet"
    width: int = 24
    """Channels of the network's first stage."""
    seed: int = 0


@dataclass(frozen=True)
class Split:
    """What a judge is trained on, and what it is measured on."""

    samples: Samples
    rows: Tensor
    """int64: indices of the training samples."""
    test: Samples
    how: str


def train_judge(config: RunConfig, settings: JudgeTraining, context: Context) -> Judge:
    """A judge of `config.data`, measured on held-out real images.

    Raises `UserError` for data on which no judge can be trained.
    """
    spec = spec_of(config.data)
    if not spec.is_image or spec.labels.kind not in ("one_of_k", "many_of_k"):
        has = f"labels of kind '{spec.labels.kind}'" if spec.is_image else f"samples of shape {spec.shape}"
        raise UserError(f"a judge needs images with named labels; data '{config.data.type}' has {has}")
    # Always float32, whatever the run's precision: a judge's outputs are compared with other judges'.
    device = Runtime(config.train.model_copy(update={"float32": "default"})).device
    split = split_data(config, spec, context, settings.seed)
    context.say(
        f"judge: training on {len(split.rows):,} images, testing on {len(split.test):,} ({split.how})"
    )
    started = time.monotonic()
    network, images_seen = _fit(split, spec, settings, device)
    trained_on = {
        "data": json.loads(config.data.model_dump_json(exclude_none=True)),
        "images": len(split.rows),
        "test_images": len(split.test),
        "split": split.how,
        "images_seen": images_seen,
        "seed": settings.seed,
        "seconds": round(time.monotonic() - started),
        "device": str(device),
    }
    network = network.cpu()
    judge = Judge.of(
        network, spec, architecture=settings.architecture, width=settings.width, trained_on=trained_on
    )
    card = judge.card.model_copy(update={"accuracy": measure(judge, split.test)})
    return Judge(network, card)


def measure(judge: Judge, real: Samples) -> dict[str, float]:
    """Accuracy, exact match and the recall of each label on labelled real images."""
    assert real.labels is not None
    logits = torch.cat(
        [judge.logits(part.float() / 127.5 - 1) for part in torch.split(in_memory(real.images), BATCH)]
    )
    result = score(logits, real.labels.float(), judge.card.data.labels.names)
    recall = {f"recall/{name}": share for name, share in result.recall.items()}
    return {"accuracy": result.accuracy, "exact_match": result.exact_match, **recall}


def split_data(config: RunConfig, spec: DataSpec, context: Context, seed: int) -> Split:
    """Whole groups are held out if the samples have groups; otherwise the data's own test split is
    used if there is one; otherwise single samples are held out."""
    samples = load_samples(config, spec, context)
    if len(samples) < MIN_IMAGES:
        raise UserError(
            f"a judge needs at least {MIN_IMAGES} images; data '{config.data.type}' has {len(samples)}"
        )
    everything = torch.arange(len(samples))
    if samples.groups is None:
        try:
            test = open_data(config.data, "test", spec, context)
            return Split(samples, everything, test, "its split 'test'")
        except UserError as error:
            context.say(f"data: no split 'test' ({error})")
    grouped = samples.groups is not None
    of = everything if samples.groups is None else samples.groups
    groups, member_of = torch.unique(of, return_inverse=True)
    if len(groups) < 2:
        raise UserError(f"a judge needs at least 2 groups of images; data '{config.data.type}' has 1")
    order = torch.randperm(len(groups), generator=generator_for(seed, "judge", "held out"))
    held_out = torch.zeros(len(groups), dtype=torch.bool)
    held_out[order[: math.ceil(HELD_OUT * len(groups))]] = True
    tested = held_out[member_of]
    assert samples.labels is not None
    how = f"{int(held_out.sum()):,} of {len(groups):,} {'groups' if grouped else 'images'}, seed {seed}"
    return Split(samples, everything[~tested], Samples(samples.images[tested], samples.labels[tested]), how)


def refuse_existing(folder: Path) -> None:
    """Raises `UserError` if a judge cannot be written to `folder`, before any work is done."""
    if folder.exists() and not Judge.half_saved(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} already exists; choose another with --out")
    nearest = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(
            f"cannot write the judge to {folder}: {nearest} is not writable; choose another with --out"
        )


def learning_rate(progress: float) -> float:
    """One-cycle schedule at `progress` (0 to 1): linear warm-up, then cosine decay."""
    if progress < WARMUP:
        return LEARNING_RATE * (0.05 + 0.95 * progress / WARMUP)
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARMUP) / (1 - WARMUP))))


def _fit(
    split: Split, spec: DataSpec, settings: JudgeTraining, device: torch.device
) -> tuple[JudgeNetwork, int]:
    """The trained network and the number of images shown to it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(settings.seed, "judge", "weights"))
        network = build_network(settings.architecture, spec.shape[0], spec.labels.width, settings.width)
    network.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    loss_of = F.cross_entropy if spec.labels.kind == "one_of_k" else F.binary_cross_entropy_with_logits
    images, labels = in_memory(split.samples.images).to(device), split.samples.labels
    assert labels is not None
    total = settings.epochs * len(split.rows)
    started, told, seen, seen_then = time.monotonic(), time.monotonic(), 0, 0
    limit = math.inf if settings.max_minutes is None else 60 * settings.max_minutes
    shown = Progress(total, deadline=started + limit)
    for rows, rng in _batches(split.rows, settings):
        now = time.monotonic()
        progress = max(seen / total, (now - started) / limit)
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(progress)
        batch = _augmented(images, rows.to(device), rng, split.samples.mirror)
        loss = loss_of(network(batch), labels[rows].to(device).float())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        seen += len(rows)
        if now - told > ROW_S:
            rate = (seen - seen_then) / (now - told)
            shown.update(seen, {"images_per_second": rate, "loss/judge": loss.item()})
            told, seen_then = now, seen
    shown.close()
    return network.eval(), seen


def _batches(rows: Tensor, settings: JudgeTraining) -> Iterator[tuple[Tensor, torch.Generator]]:
    """Batches of `rows`, reshuffled each epoch, each with a generator for its random numbers."""
    for epoch in range(settings.epochs):
        rng = generator_for(settings.seed, "judge", epoch)
        order = rows[torch.randperm(len(rows), generator=rng)]
        for batch in torch.split(order, BATCH):
            # Batch normalization needs full batches: drop the incomplete one at the end of an epoch.
            if len(batch) == min(BATCH, len(rows)):
                yield batch, rng


def _augmented(images: Tensor, rows: Tensor, rng: torch.Generator, mirror: bool) -> Tensor:
    """`images[rows]` [N, C, H, W] in [-1, 1], each shifted randomly (border replicated), and flipped
    left to right at random if the data allow it."""
    n, (height, width) = len(rows), images.shape[2:]
    ys, xs = _shifted(n, height, rng), _shifted(n, width, rng)
    if mirror:
        flip = torch.rand(n, 1, generator=rng) < 0.5
        xs = torch.where(flip, width - 1 - xs, xs)
    ys, xs = ys.to(images.device), xs.to(images.device)
    picked = images[rows[:, None, None], :, ys[:, :, None], xs[:, None, :]]
    return picked.permute(0, 3, 1, 2).float() / 127.5 - 1


def _shifted(n: int, side: int, rng: torch.Generator) -> Tensor:
    """The source pixel [n, side] of each position along one side."""
    most = round(SHIFT * side)
    offsets = torch.randint(-most, most + 1, (n, 1), generator=rng)
    return (torch.arange(side) + offsets).clamp(0, side - 1)
