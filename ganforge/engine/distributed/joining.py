"""How a process joins the others of its run, and how it reports that they are gone."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import timedelta

import torch
from accelerate import Accelerator, InitProcessGroupKwargs

from ganforge.api import UserError

LOST = 4
"""Exit code of a process that lost contact with another."""
MAX_TIMEOUTS = 3
"""The store and the backend may wait for `train.timeout_s` each."""


class LostProcess(BaseException):
    """Another process of the run has exited or does not respond. Not a fault of a component, nor for a
    component to catch; the launcher may restart the processes."""


@contextlib.contextmanager
def reported_by(rank: int | str, world: int | str) -> Iterator[None]:
    """Turns a broken connection into a one-line error."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.distributed.DistNetworkError) and "EADDRINUSE" in str(error):
            raise _port_taken() from error
        reason = str(error).strip().splitlines()[-1]
        raise LostProcess(
            f"process {rank} of {world} exits: another process has exited or does not respond ({reason}). "
            "See that process's output, or its launcher's, for the cause; 'ganforge resume' continues from "
            "the newest checkpoint"
        ) from error


def _port_taken() -> UserError:
    address, port = (os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
    return UserError(
        f"process 0 cannot listen on port {port} of {address}, which another program uses; set MASTER_PORT "
        "to a free port in all processes of the run"
    )


@contextlib.contextmanager
def joining(patience: timedelta) -> Iterator[None]:
    """Inside, this process joins the others, if it has any. A port that is taken is a `UserError`.

    It ends after `MAX_TIMEOUTS` times `patience`, since torch waits without a limit for the answer of a
    program that listens on the port and is none of the run's processes.
    """
    rank, world = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if world == "1":
        yield
        return
    limit = MAX_TIMEOUTS * patience.total_seconds()
    watch = threading.Timer(limit, _give_up, (rank, limit))
    watch.daemon = True
    watch.start()
    try:
        with reported_by(rank, world):
            yield
    finally:
        watch.cancel()


def _give_up(rank: str, limit: float) -> None:
    address, port = (os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
    sys.stderr.write(
        f"process {rank}: could not join the run within {limit:g} s; check that process 0 is running, and "
        f"that no other program listens on port {port} of {address}\n"
    )
    sys.stderr.flush()
    os._exit(LOST)


def accelerator_of(precision: str, on_cpu: bool, patience: timedelta) -> Accelerator:
    """Raises `UserError` if this process already has one with another precision or device."""
    try:
        with warnings.catch_warnings():
            # Accelerate warns about every CPU feature it does not use.
            warnings.simplefilter("ignore")
            return Accelerator(
                mixed_precision=precision,
                cpu=on_cpu,
                kwargs_handlers=[InitProcessGroupKwargs(timeout=patience)],
            )
    except ValueError as error:
        if "already been initialized" not in str(error):
            raise
        raise UserError(
            "this process already has an Accelerator with another precision or device, and Accelerate allows "
            f"only one (train.precision is '{precision}'); close that run first (Runtime.close), or start "
            "this one in a process of its own"
        ) from error


def refuse_too_many_for_gpus() -> None:
    wanted, there = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if wanted > there:
        raise UserError(
            f"{wanted} processes on this machine need as many CUDA devices, but torch finds {there}; start "
            "fewer processes, or set train.device to 'cpu'"
        )
