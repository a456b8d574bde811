"""Deterministic kernels on a GPU.

They are not the default: cuDNN chooses kernels by timing them, and some kernels add in whatever order
their threads arrive. https://docs.pytorch.org/docs/stable/notes/randomness.html

Global state of the process, as in torch.
"""

from __future__ import annotations

import os

import torch
import torch.utils.deterministic as fill

WORKSPACE = ":4096:8"
"""cuBLAS uses several streams, and with them several orders, unless its workspaces are fixed."""
NOT_EXACT = (
    "train.deterministic is false: on a GPU, kernels are chosen by timing, and some sum in no fixed order"
)
"""Why a run on a GPU is not resumed bit for bit."""


def choose_kernels(deterministic: bool, device: torch.device) -> None:
    """On a GPU, use only deterministic kernels, or else the fastest ones. Call it before the first matrix
    product; on a CPU, all of torch's kernels are deterministic already."""
    if device.type != "cuda":
        return
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", WORKSPACE)
        # Guards against reads of uninitialized memory: no result of ours depends on such.
        fill.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        # A backward pass on a GPU has a thread of its own, and a double backward is ordered by counters of
        # both threads. Gradients that meet would be added in an order that depends on how much each thread
        # has done, and so on whether the process was resumed.
        torch.autograd.set_multithreading_enabled(False)
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = not deterministic
