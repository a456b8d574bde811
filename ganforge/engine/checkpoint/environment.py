"""What a run's numbers depend on in addition to its settings, so that a resumed run can report whether it
continues exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch

from ganforge.api import Samples, leaves
from ganforge.config import Train
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.kernels.determinism import NOT_EXACT

LOOKED_AT = 256
"""Number of samples that are hashed, evenly spaced."""


def surroundings(runtime: Runtime, samples: Samples) -> dict[str, str]:
    """Device, processes, threads, torch and data, each in a few words."""
    found = {
        "device": device_name(runtime.device),
        "processes": str(runtime.world),
        "torch": str(torch.__version__),
        "data": data_fingerprint(samples),
    }
    if runtime.device.type == "cpu":
        # How a sum is split among threads determines its last bits.
        found["threads"] = str(torch.get_num_threads())
    else:
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        found["cuda"] = f"{torch.version.cuda}, cuDNN {cudnn}"
    return found


def inexact(train: Train, device: torch.device) -> list[str]:
    """Why a run with these settings on this device is not resumed bit for bit; empty if it is."""
    return [NOT_EXACT] if device.type == "cuda" and not train.deterministic else []


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What has changed, in words; empty if nothing is known of `then`."""
    keys = dict.fromkeys([*then, *now]) if then else ()
    return [
        f"{key} was {then.get(key, 'absent')} and is {now.get(key, 'absent')}"
        for key in keys
        if then.get(key) != now.get(key)
    ]


def device_name(device: torch.device) -> str:
    """Such as `cuda (NVIDIA H200)` or `cpu (AVX512)`: the instruction set determines which kernels run."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({torch.backends.cpu.get_cpu_capability()})"


def data_fingerprint(samples: Samples) -> str:
    """Such as `18009 samples, 3f9c21ab77d0`: the hash covers some of the samples, so that it costs
    nothing, and all labels."""
    total = len(samples)
    chosen = torch.linspace(0, total - 1, min(total, LOOKED_AT)).long()
    digest = hashlib.sha256()
    for tensor in (samples.images[chosen], *leaves(samples.labels)):
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return f"{total} samples, {digest.hexdigest()[:12]}"
