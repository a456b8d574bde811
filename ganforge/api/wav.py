"""Writes waves as audio files, for data sets whose samples are audio."""

from __future__ import annotations

import wave
from pathlib import Path

import torch
from torch import Tensor

BYTES = 2
"""16 bits a value."""


def write_wav(sample: Tensor, stem: Path, rate: int) -> Path:
    """Writes `sample`, [C, L] or [L] in [-1, 1], as `stem.wav`, and returns that path; for `Dataset.write`.

    16-bit PCM at `rate` samples per second; values outside [-1, 1] are clipped. Raises `OSError` as writing
    a file does.
    """
    channels = sample.reshape(-1, sample.shape[-1])  # [C, L]
    values = (channels.detach().cpu().float().clamp(-1, 1) * 32767).round().to(torch.int16)
    # The name is completed, not changed: a stem may contain dots.
    path = stem.with_name(f"{stem.name}.wav")
    with path.open("wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(len(values))
        file.setsampwidth(BYTES)
        file.setframerate(rate)
        # Little-endian on every machine; the channels of a moment lie next to each other.
        file.writeframes(values.T.contiguous().numpy().astype("<i2").tobytes())
    return path
