"""`--processes`: the same command in several processes on this machine, started by torch elastic.

Like torchrun on one machine, without its rendezvous and restarts: on one machine there is nobody
to find, and a signal to this process must reach the run, not end it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Container, Mapping
from types import FrameType
from typing import TYPE_CHECKING

import click

from ganforge.engine.distributed.hangup import is_ignored, leave_lost_terminal

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing import PContext, ProcessFailure

STARTED = "GANFORGE_STARTED_BY_PROCESSES"
"""Set in the processes started here, which get the unchanged command line: this process's id."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
POLL_S = 0.1
SET_PDEATHSIG = 1
"""PR_SET_PDEATHSIG of Linux's <sys/prctl.h>."""

LOST = 4
"""Exit code of a process that lost contact with another."""

processes = click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    help="Train in N processes on this machine, one per GPU, or on the CPU; train.batch_size is the total "
    "over all of them. For several machines, or restarts, use torchrun, accelerate launch or srun "
    "instead, without this option:  torchrun --nproc-per-node 8 -m ganforge run ...",
    metavar="N",
)


def wanted(count: int) -> bool:
    """Whether this process should start `count` others instead of training. Raises `UserError` if
    another launcher started it."""
    from ganforge.api import UserError

    if STARTED in os.environ:
        end_with(int(os.environ[STARTED]))
        return False
    if count == 1:
        return False
    if "RANK" in os.environ:
        raise UserError(
            f"--processes {count}: this process was already started by another launcher (RANK is set); "
            "remove --processes"
        )
    return True


def end_with(launcher: int) -> None:
    """Stops this process cleanly, as by SIGTERM, once the process that started it has been killed. Only on
    Linux; elsewhere it continues training."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != launcher:  # killed before the line above
        sys.exit(1)


def launch(count: int) -> int:
    """Runs this command line in `count` processes; returns the exit code. Signals are forwarded."""
    from torch._C._distributed_c10d import TCPStore
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, start_processes

    # Created here rather than by process 0, so that the port is bound and known before anyone starts.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    # The signals that elastic itself handles: not those of a clean stop.
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGQUIT"
    post = _Post()
    context = start_processes(
        name="ganforge",
        entrypoint=sys.executable,
        args={rank: ("-m", "ganforge", *sys.argv[1:]) for rank in range(count)},
        envs={rank: _environment(rank, count, store.port) for rank in range(count)},
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
    )
    post.deliver_to(context)
    try:
        ended: set[int] = set()
        result = None
        while result is None:
            time.sleep(POLL_S)
            running = {rank: pid for rank, pid in context.pids().items() if rank not in ended}
            ended |= {rank for rank, pid in running.items() if _has_ended(pid)}
            # If one has failed, this terminates the others.
            result = context.wait(0)
    finally:
        context.close()
    return _report(result.failures, ended)


def _has_ended(pid: int) -> bool:
    """Whether that child has exited; it is left to be reaped."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _environment(rank: int, count: int, port: int) -> dict[str, str]:
    """The variables that Accelerate and torch read, as torchrun sets them."""
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    return {
        STARTED: str(os.getpid()),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
    }


class _Post:
    """Forwards signals, including those that arrive before the processes exist.

    The processes are in sessions of their own, so that Ctrl-C does not reach them twice.
    """

    def __init__(self) -> None:
        self._context: PContext | None = None
        self._early: list[int] = []
        for number in SIGNALS:
            # Under `nohup`, the processes started here inherit that SIGHUP is ignored.
            if number != signal.SIGHUP or not is_ignored():
                signal.signal(number, self._pass_on)

    def deliver_to(self, context: PContext) -> None:
        self._context = context
        for number in self._early:
            self._pass_on(number, None)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            leave_lost_terminal()
        if self._context is None:
            self._early.append(number)
            return
        for pid in self._context.pids().values():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def _report(failures: Mapping[int, ProcessFailure], ended: Container[int]) -> int:
    """The exit code of the first failure; reports a process that died without a message of its own.

    `ended`: ranks that had exited before the others were terminated.
    """
    if not failures:
        return 0
    # A process that lost contact with another is not the cause if the cause is known.
    first = min(failures.values(), key=lambda each: (each.local_rank not in ended, each.exitcode == LOST))
    culprits = [first] if first.exitcode < 0 else []
    if first.exitcode == LOST:
        culprits = [failure for failure in failures.values() if failure.exitcode == -signal.SIGKILL]
    for failure in culprits:
        hung = failure.exitcode == -signal.SIGKILL and failure.local_rank not in ended
        how = "hung, and was killed" if hung else f"was killed by {failure.signal_name()}"
        click.echo(
            f"process {failure.local_rank} of the run (pid {failure.pid}) {how}; the others were terminated; "
            "'ganforge resume' continues from the newest checkpoint",
            err=True,
        )
    return first.exitcode if first.exitcode > 0 else 1
