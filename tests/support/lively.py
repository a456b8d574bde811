"""A run folder whose samples differ visibly, without training: the weights of a short run, made larger."""

from __future__ import annotations

from pathlib import Path

import torch

from ganforge.engine.checkpoint import checkpoint
from support.command_line import EXAMPLE, TINY, call, sets


def lively_run(
    folder: Path, name: str = "mine", example: Path = EXAMPLE, overrides: tuple[str, ...] = TINY
) -> Path:
    """Trains two iterations and scales the moving average's weights to keep the size of what they get."""
    done = call(folder, "run", example, "--out", name, *sets(*overrides))
    assert done.code == 0, done.err
    run = folder / name
    tensors, state = checkpoint.load_newest(run / "checkpoints", print)
    for group in tensors.values():
        for weight in group.values():
            if weight.ndim > 1 and weight.is_floating_point():
                gain = weight.std() * weight[0].numel() ** 0.5
                weight.copy_(weight / gain.clamp(1e-6, 1) if torch.isfinite(gain) else weight)
    checkpoint.save(run / "checkpoints", tensors, state, keep=1)
    return run
