"""Where a run executes: device, precision and processes, through Accelerate.

The networks are not wrapped in DistributedDataParallel. A GAN's two players, unused heads, double
backward and several forwards per backward each hit a limitation of its reducer; one all-reduce of the
flat gradient before the optimizer step hits none, and is what StyleGAN3 and R3GAN do. Nor are the
optimizers prepared: Accelerate has one gradient scaler and one accumulation counter for both players,
so that one player's overflow would slow down the other.
"""

from __future__ import annotations

import contextlib
import platform
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta

import torch

# Its functions have the current default process group as a default argument. An optimizer imports it:
# imported after the group is created, it would keep the group alive until the interpreter exits.
import torch.distributed.nn.functional
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from ganforge.api import UserError
from ganforge.config import Train
from ganforge.engine.distributed.collectives import Mean, Whole
from ganforge.engine.distributed.joining import (
    accelerator_of,
    joining,
    refuse_too_many_for_gpus,
    reported_by,
)
from ganforge.engine.distributed.rendezvous import meet
from ganforge.engine.distributed.stop_request import Interrupted, StopRequest
from ganforge.engine.distributed.stragglers import WorkTimer
from ganforge.engine.kernels.determinism import choose_kernels
from ganforge.engine.kernels.malloc import keep_freed_memory
from ganforge.engine.kernels.matmul_precision import round_products
from ganforge.engine.kernels.threads import use_threads

HOST_BYTES = 64


class Runtime:
    """Device, autocast, gradient scalers and collective operations of one run."""

    def __init__(self, train: Train) -> None:
        """Raises `UserError` if the machine does not support what `train` requests."""
        cuda = torch.cuda.is_available()
        if train.device == "cuda" and not cuda:
            raise UserError(
                "train.device is 'cuda' but torch finds no CUDA device here; use 'auto' or 'cpu', "
                "or check the driver with nvidia-smi"
            )
        on_cpu = train.device == "cpu" or not cuda
        if train.precision == "fp16" and on_cpu:
            raise UserError("train.precision 'fp16' needs a CUDA device; use 'bf16' or 'no' on the CPU")
        if on_cpu:
            keep_freed_memory()
            use_threads()
        else:
            refuse_too_many_for_gpus()
        patience = timedelta(seconds=train.timeout_s)
        with joining(patience):
            meet("gloo" if on_cpu else "nccl", patience)
            self._owns_accelerate = not AcceleratorState._shared_state
            self.accelerator = accelerator_of(train.precision, on_cpu, patience)
        choose_kernels(train.deterministic, self.accelerator.device)
        round_products(train.float32 == "fast")
        self.precision = train.precision
        self.device: torch.device = self.accelerator.device
        self.rank: int = self.accelerator.process_index
        self.world: int = self.accelerator.num_processes
        check_shares(train, self.world)
        if train.sync_batchnorm and on_cpu and self.world > 1:
            raise UserError(
                "train.sync_batchnorm needs CUDA devices (torch.nn.SyncBatchNorm has no CPU kernel); set "
                "it to false, or use a per-sample norm, such as nets.d_norm = 'layer'"
            )
        self.hosts: list[str] = self._hosts()
        """Rank -> hostname."""
        self.work_timer = WorkTimer(self.device)
        self.stop = StopRequest()
        """The run's stop request; it is all-reduced with the gradients."""
        self._heard: Tensor | None = None
        self._told: Tensor | None = None
        self._cutting = False

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[None]:
        """The run's precision for a forward pass."""
        if self.precision == "no":
            return contextlib.nullcontext()
        context: AbstractContextManager[None] = self.accelerator.autocast()
        return context

    def full_precision(self) -> AbstractContextManager[None]:
        """float32, also inside `autocast`."""
        return torch.autocast(self.device.type, enabled=False)

    def scaler(self) -> torch.amp.GradScaler:
        """A player's own gradient scaler; a no-op unless fp16."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """All-reduces the gradients to their mean over the processes, in one message that also carries
        the processes' stop requests."""
        if self.world == 1:
            return
        self.work_timer.stop()
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([*(gradient.flatten() for gradient in gradients), self._wish(gradients[0])])
        with self._together():
            torch.distributed.all_reduce(flat)
        flat.div_(self.world)
        sizes = [gradient.numel() for gradient in gradients]
        *means, told = torch.split(flat, [*sizes, 2])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))
        self._heard = told.clone()
        self.work_timer.start()

    def asked_to_stop(self) -> bool:
        """Whether any process requested a stop in this iteration, as carried by the gradients; the same in
        all processes. On a GPU, in the previous iteration: reading the flag synchronizes the device."""
        if self.world == 1:
            return bool(self.stop)
        if self.device.type == "cuda":
            told, self._told = self._told, self._heard
        else:
            told = self._heard
        return told is not None and self._adopt(told)

    def cut_short(self) -> AbstractContextManager[None]:
        """See `StopRequest.cut_short`. With several processes only at `raise_if_stopped`, in all of them."""
        return self.stop.cut_short() if self.world == 1 else self._interruptible()

    def raise_if_stopped(self) -> None:
        """Inside `cut_short`, raises `Interrupted` in all processes if one has received a signal."""
        if self._cutting and self.any(self.stop.by_signal):
            self.stop.adopt(by_signal=True)
            raise Interrupted

    def mean(self, x: Tensor) -> Tensor:
        """The mean over the processes, differentiable any number of times."""
        if self.world == 1:
            return x
        with self._together():
            mean: Tensor = Mean.apply(x)
        return mean

    def gather(self, x: Tensor) -> Tensor:
        """`x` of every process, [world, *x.shape]; the same shape in all of them."""
        x = x.contiguous().to(self.device)
        everyone = [torch.empty_like(x) for _ in range(self.world)]
        with self._together():
            torch.distributed.all_gather(everyone, x)
        return torch.stack(everyone)

    def whole(self, x: Tensor) -> Tensor:
        """x [N, ...] of every process, [world N, ...], differentiable any number of times."""
        if self.world == 1:
            return x
        with self._together():
            whole: Tensor = Whole.apply(x, self.rank, self.world)
        return whole

    def broadcast(self, x: Tensor) -> None:
        """Overwrites `x` by the main process's."""
        if self.world > 1:
            with self._together():
                torch.distributed.broadcast(x, src=0)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; the same answer in all of them."""
        if self.world == 1:
            return flag
        return bool(self.gather(torch.tensor(float(flag))).max().item() > 0)

    def close(self, together: bool = False) -> None:
        """Destroys the process group. Otherwise the exiting interpreter is torn down under gloo's
        threads, and occasionally aborts after all work was done.

        With `together` no process leaves before all are here. A launcher terminates the others as soon
        as one has exited with a code other than 0; its signal then arrives after the work is done, and
        changes neither the last lines nor the exit code.
        """
        if self._owns_accelerate:
            # Accelerate keeps one state per process; the next run may use another precision.
            AcceleratorState._reset_state(reset_partial_state=True)
        if not torch.distributed.is_initialized():
            return
        if together and self.world > 1:
            self.any(False)
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
        torch.distributed.destroy_process_group()

    def _wish(self, like: Tensor) -> Tensor:
        """[2]: stop requested, and because of a signal."""
        return like.new_tensor([float(bool(self.stop)), float(self.stop.by_signal)])

    def _adopt(self, told: Tensor) -> bool:
        """Whether to stop, given all processes' `told` [2]; `stop` is updated as well."""
        asked, by_signal = told.tolist()
        if asked > 0:
            self.stop.adopt(by_signal > 0)
        return bool(asked > 0)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        self._cutting = True
        try:
            self.raise_if_stopped()
            yield
        finally:
            self._cutting = False

    def _hosts(self) -> list[str]:
        if self.world == 1:
            return [platform.node()]
        name = platform.node().encode()[:HOST_BYTES].ljust(HOST_BYTES, b"\0")
        rows = self.gather(torch.tensor(list(name), dtype=torch.uint8)).tolist()
        return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in rows]

    def _together(self) -> AbstractContextManager[None]:
        return reported_by(self.rank, self.world)


def check_shares(train: Train, world: int) -> None:
    """Raises `UserError` if the batch is not divisible."""
    if train.batch_size % (world * train.accumulate):
        raise UserError(
            f"train.batch_size = {train.batch_size} is the global batch and must divide evenly among "
            f"{world} processes x {train.accumulate} accumulation steps"
        )
