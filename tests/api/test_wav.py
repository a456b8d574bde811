"""Audio files: what is written is what a reader finds."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import pytest
import torch

from ganforge.api import write_wav


def test_a_wave_of_two_channels_comes_back(tmp_path: Path) -> None:
    sample = torch.tensor([[0.0, 0.5, -1.0, 2.0], [1.0, -0.5, 0.25, -3.0]])
    path = write_wav(sample, tmp_path / "a.b", rate=16_000)
    assert path == tmp_path / "a.b.wav"
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 16_000)
        values = struct.unpack("<8h", file.readframes(4))
    assert values == (0, 32767, 16384, -16384, -32767, 8192, 32767, -32767)


def test_one_channel_may_have_no_dimension_for_it(tmp_path: Path) -> None:
    with wave.open(str(write_wav(torch.linspace(-1, 1, 5), tmp_path / "x", rate=8))) as file:
        assert (file.getnchannels(), file.getnframes()) == (1, 5)
        assert struct.unpack("<5h", file.readframes(5)) == (-32767, -16384, 0, 16384, 32767)


def test_an_unwritable_place_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        write_wav(torch.zeros(1, 2), tmp_path / "none" / "x", rate=8)
