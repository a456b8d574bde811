"""The preflight: does the configuration fit together, how large is it, how long will it take.

An average iteration is counted on fake tensors, and timed by the measured rates of this device. No data is
opened.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import torch
from torch import nn

from ganforge.api import DataSpec
from ganforge.config import RunConfig, Train, located
from ganforge.engine.distributed.runtime import check_shares
from ganforge.engine.instruments.memory import gpu_name, resident_memory
from ganforge.engine.kernels.malloc import keep_freed_memory
from ganforge.engine.kernels.matmul_precision import exact_products, round_products
from ganforge.outputs.drawing import how_shown
from ganforge.outputs.provenance import cpu_model
from ganforge.profiling.rates import Rates, launch, measure
from ganforge.profiling.rehearsal import DTYPES, Iteration, NeedsNumbers, rehearse
from ganforge.profiling.roofline import Times, times
from ganforge.training.advice import advice_on, in_lines
from ganforge.training.build import plan


@dataclass(frozen=True)
class Cost:
    """Cost of an average iteration on this device."""

    iteration: Iteration
    rates: Rates
    times: Times
    seconds: float
    """Time from the device's and the host's together."""


@dataclass(frozen=True)
class Preflight:
    """What is known of a run before it starts."""

    spec: DataSpec
    g_parameters: int
    d_parameters: int
    device: str
    """The device that the figures are for, in words."""
    images: int
    """Images of the whole run."""
    images_per_iteration: int
    cost: Cost | None
    """None if an iteration cannot be counted."""
    advice: tuple[str, ...]
    """What the components advise against, one line each."""
    notes: tuple[str, ...]
    """What the figures leave out, one line each."""
    sample_bytes: int
    """Bytes of one sample as data sets store it: uint8 pixels, float32 points. Without its labels."""
    process_bytes: int
    """What the process holds before the run's first tensor: Python and torch. 0 if unknown, and on a GPU,
    whose memory that is not."""

    @property
    def seconds_per_image(self) -> float | None:
        return None if self.cost is None else self.cost.seconds / self.images_per_iteration

    @property
    def peak_bytes(self) -> int | None:
        """Peak device memory of the run, without the data."""
        return None if self.cost is None else self.process_bytes + self.cost.iteration.peak


def preflight(config: RunConfig) -> Preflight:
    """Checks a run file; raises `UserError` with the reason, and the line of the file, if it cannot run."""
    with located(config):
        return _preflight(config)


def _preflight(config: RunConfig) -> Preflight:
    agreed, train = plan(config), config.train
    check_shares(train, 1)
    # What cannot work at all is refused here, before torch finds it in its own words.
    advice = tuple(in_lines(advice_on(agreed), config))
    device, notes = _device(train)
    if device.type == "cpu":
        keep_freed_memory()
        # A training step triggers torch's lazy imports.
        launch(device)
    process = resident_memory() if device.type == "cpu" else 0
    # On the meta device they have no content, and are initialized at once.
    networks = agreed.networks("meta")
    parameters = [_count(network) for network in networks]
    cost = None
    shown = how_shown(agreed.spec.shape)
    if shown is not None:
        notes.append(shown)
    try:
        iteration = rehearse(agreed, networks, device)
    except NeedsNumbers as reason:
        notes.append(f"neither time nor memory can be estimated: {reason}")
    else:
        notes += [f"without {reason}" for reason in iteration.left_out]
        cost = _cost(iteration, train, device)
    return Preflight(
        spec=agreed.spec,
        g_parameters=parameters[0],
        d_parameters=parameters[1],
        device=_words(device),
        images=train.images,
        images_per_iteration=train.batch_size * train.d_updates,
        cost=cost,
        advice=advice,
        notes=tuple(notes),
        sample_bytes=math.prod(agreed.spec.shape) * (1 if agreed.spec.is_image else 4),
        process_bytes=process,
    )


def _cost(iteration: Iteration, train: Train, device: torch.device) -> Cost:
    # Restores the process's state.
    with exact_products():
        round_products(train.float32 == "fast")
        rates = measure(device, DTYPES[train.precision])
        spent = times(iteration.operations, iteration.calls, rates, device)
    return Cost(iteration, rates, spent, spent.seconds(device, train.cuda_graphs == "auto"))


def _device(train: Train) -> tuple[torch.device, list[str]]:
    """The device that the run would use, and notes about it."""
    if train.device == "cpu":
        return torch.device("cpu"), []
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))), []
    wished = ["train.device is 'cuda', but there is no GPU here: the figures are for the CPU"]
    return torch.device("cpu"), wished if train.device == "cuda" else []


def _words(device: torch.device) -> str:
    if device.type == "cuda":
        return str(gpu_name(device))
    threads = torch.get_num_threads()
    return f"{cpu_model()}, {threads} thread{'s' if threads > 1 else ''}"


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
