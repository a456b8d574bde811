"""Where a run runs: device, precision and processes, through Accelerate.

The networks are not wrapped in DistributedDataParallel. A GAN's two players, unused heads,
double backward and several forwards to one backward each meet a trap of its reducer; one
all-reduce of the flat gradient before the optimiser step meets none, and is what StyleGAN3 and
R3GAN do. Nor are the optimisers prepared: Accelerate has one gradient scaler and one
accumulation counter for both players, so that one player's overflow would slow the other.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager

import torch

# Its functions have the default process group of the moment as a default argument. An optimiser
# imports it: after the group is made, it would keep the group alive until the interpreter dies.
import torch.distributed.nn.functional
from accelerate import Accelerator
from torch import Tensor, nn

from ganforge.api import UserError
from ganforge.config import Train


class Runtime:
    """Device, autocast, scalers and the collective operations of one run."""

    def __init__(self, train: Train) -> None:
        """Raises `UserError` where the machine cannot do what `train` asks for."""
        cuda = torch.cuda.is_available()
        if train.device == "cuda" and not cuda:
            raise UserError(
                "train.device is 'cuda' but torch finds no CUDA device here; use 'auto' or 'cpu', "
                "or check the driver with nvidia-smi"
            )
        on_cpu = train.device == "cpu" or not cuda
        if train.precision == "fp16" and on_cpu:
            raise UserError("train.precision 'fp16' needs a CUDA device; use 'bf16' or 'no' on the CPU")
        with warnings.catch_warnings():
            # Accelerate warns of every CPU feature it does not use.
            warnings.simplefilter("ignore")
            self.accelerator = Accelerator(mixed_precision=train.precision, cpu=on_cpu)
        self.precision = train.precision
        self.device: torch.device = self.accelerator.device
        self.rank: int = self.accelerator.process_index
        self.world: int = self.accelerator.num_processes
        if train.batch_size % (self.world * train.accumulate):
            raise UserError(
                f"train.batch_size = {train.batch_size} is the global batch and must divide evenly among "
                f"{self.world} processes x {train.accumulate} accumulation steps"
            )

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[None]:
        """The run's precision for a forward pass."""
        context: AbstractContextManager[None] = self.accelerator.autocast()
        return context

    def full_precision(self) -> AbstractContextManager[None]:
        """float32, also inside `autocast`."""
        return torch.autocast(self.device.type, enabled=False)

    def scaler(self) -> torch.amp.GradScaler:
        """A gradient scaler of a player's own; passes everything through unless fp16."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces each gradient by its mean over the processes, in one message."""
        if self.world == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        flat = self.accelerator.reduce(flat, reduction="mean")
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def close(self) -> None:
        """Leaves the process group. Without it an interpreter that ends is torn down under gloo's
        threads, and now and then aborts after all work was done."""
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process; all of them get the same answer."""
        if self.world == 1:
            return flag
        raised: Tensor = self.accelerator.reduce(
            torch.tensor(float(flag), device=self.device), reduction="sum"
        )
        return bool(raised.item() > 0)
