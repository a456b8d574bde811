"""The tape that stands for a CUDA graph: a recording leaves no trace, and a replay does what was recorded."""

from __future__ import annotations

import torch

from ganforge.testing.tape import Tape


def test_a_recording_leaves_no_trace_in_a_tensor_that_two_views_change() -> None:
    x = torch.zeros(4)
    tape = Tape()
    with tape.recording():
        x[:1].add_(1)
        x.add_(1)
        x[:2].mul_(3)
    assert x.tolist() == [0, 0, 0, 0]
    tape.replay()
    assert x.tolist() == [6, 3, 1, 1]
