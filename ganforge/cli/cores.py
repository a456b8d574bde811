"""How many threads a run on the CPU uses, and how they wait; decided before torch is loaded.

OpenMP starts one thread per core, and threads that finish early spin until the last one is done. If another
process occupies one of the cores, the thread that shares it is a straggler at every barrier: a small network
on 2 cores trains at 0.29 of its speed next to one busy process (docs/speed.md). With one thread fewer there
is no straggler, and where no core is idle, threads that stop spinning at least leave it to others.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import NamedTuple

THREADS = "GANFORGE_THREADS"
"""Environment variable: threads of a run on the CPU; read by the engine where OMP_NUM_THREADS is not set."""
USERS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", THREADS)
"""If the user has set one of these, it is left alone."""
LAUNCHED = "RANK"
"""Set by multi-process launchers, which divide the cores among their processes."""
SAMPLE_S = 0.15
SHORT_SPIN = "1000"
"""Iterations of libgomp's spin loop: some microseconds instead of some milliseconds."""
STAT = Path("/proc/stat")
QUOTA = Path("/sys/fs/cgroup/cpu.max")


class Choice(NamedTuple):
    threads: int | None
    """None: torch's default, one per core."""
    short_spin: bool


def choose(cores: int, free: float) -> Choice:
    """For a process that may use `cores`, of which `free` are idle on average."""
    if free > cores - 0.5:
        return Choice(None, short_spin=False)
    if free >= 0.5:
        return Choice(max(1, round(free)), short_spin=False)
    # With one thread per core this process gets the largest share of the time that others leave.
    return Choice(None, short_spin=True)


def prepare(environment: MutableMapping[str, str] = os.environ) -> str | None:
    """Sets the environment for torch, which is imported next, and returns a message for the user. Does
    nothing if torch is already loaded, or if the user or a launcher has set any of the variables."""
    if "torch" in sys.modules or LAUNCHED in environment or any(name in environment for name in USERS):
        return None
    ours = cores_of_this_process()
    cores, allowed = len(ours), _quota()
    if allowed is not None and allowed < cores:
        # Otherwise torch starts one thread per core of the host, and the kernel throttles all of them.
        environment[THREADS] = str(max(1, int(allowed)))
        return None
    free = free_cores() if ours else None
    if free is None:
        return None
    variables, line = variables_for(cores, free)
    environment.update(variables)
    return line


def variables_for(cores: int, free: float) -> tuple[dict[str, str], str | None]:
    """What to add to the environment, and a message for the user."""
    threads, short_spin = choose(cores, free)
    if short_spin:
        line = f"all {cores} cores are busy with other work; this run shares them"
        return {"GOMP_SPINCOUNT": SHORT_SPIN}, line
    if threads is None:
        return {}, None
    plural = "" if threads == 1 else "s"
    line = (
        f"{cores - free:.1f} of {cores} cores are busy with other work: using {threads} thread{plural} "
        "(set OMP_NUM_THREADS to change this)"
    )
    return {THREADS: str(threads)}, line


def free_cores(seconds: float = SAMPLE_S) -> float | None:
    """Number of cores usable by this process that are idle, averaged over that time; None where the
    system does not report it."""
    ours = cores_of_this_process()
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    if not before or not set(ours) <= before.keys() & after.keys():
        return None
    free = 0.0
    for core in ours:
        idle, total = (now - then for now, then in zip(after[core], before[core], strict=True))
        free += idle / total if total else 0.0
    return free


def cores_of_this_process() -> list[int]:
    """Empty where the system does not report it."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _ticks() -> Mapping[int, tuple[int, int]]:
    """Core -> (idle, all) clock ticks so far."""
    try:
        lines = STAT.read_text().splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, *numbers = line.split()
        if name.startswith("cpu") and name != "cpu":
            # user nice system idle iowait irq softirq steal; guest time is included in the first two.
            ticks = [int(number) for number in numbers[:8]]
            found[int(name[3:])] = (ticks[3] + ticks[4], sum(ticks))
    return found


def _quota() -> float | None:
    """CPU limit of this process's control group, such as `docker run --cpus=2`; None = no limit."""
    try:
        quota, period = QUOTA.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None
