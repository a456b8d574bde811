"""Rank and world size from the scheduler's environment: Slurm, Kubeflow, or plain variables.

Accelerate and torch read RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT,
which torchrun and `accelerate launch` set. A scheduler that starts one `ganforge` per process provides
the same under names of its own, which are translated here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping

from ganforge.api import UserError

PORT = "29500"
"""Where rank 0 listens, unless MASTER_PORT is set; torchrun's default, too."""


def join(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sets what Accelerate needs in order to join the other processes; call it before torch.distributed
    is used. Raises `UserError` if the variables are inconsistent."""
    environment.update(place(environment))


def place(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to `environment`; nothing if one process runs alone, or a launcher has set it.

    Raises `UserError` for variables that contradict each other, or that request several processes
    per node: starting those is the job of a launcher.
    """
    if "RANK" in environment:
        return {}
    if "PET_NNODES" in environment:
        return _kubeflow(environment)
    if "SLURM_STEP_ID" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1:
        return _slurm(environment)
    if {"NODE_RANK", "NNODES", "WORLD_SIZE"} & environment.keys():
        return _plain(environment)
    return {}


def _slurm(environment: Mapping[str, str]) -> dict[str, str]:
    """One task is one process (`srun ganforge run ...`). The batch script itself is not a task: only a
    step has an id."""
    here = tasks_of_nodes(environment.get("SLURM_STEP_TASKS_PER_NODE") or environment["SLURM_TASKS_PER_NODE"])
    # Two jobs may share a node, and so must not share a port; below the kernel's ephemeral ports.
    port = 15_000 + int(environment["SLURM_JOB_ID"]) % 15_000
    hosts = environment.get("SLURM_STEP_NODELIST") or environment["SLURM_NODELIST"]
    return {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": environment["SLURM_NTASKS"],
        "LOCAL_RANK": environment["SLURM_LOCALID"],
        "LOCAL_WORLD_SIZE": str(here[int(environment["SLURM_NODEID"])]),
        "MASTER_ADDR": environment.get("MASTER_ADDR", first_host(hosts)),
        "MASTER_PORT": environment.get("MASTER_PORT", str(port)),
    }


def _kubeflow(environment: Mapping[str, str]) -> dict[str, str]:
    """One pod is one process: torchrun's variables, where ganforge is started without it."""
    nodes, each = _number(environment, "PET_NNODES"), environment.get("PET_NPROC_PER_NODE", "1")
    if each != "1":
        raise _wants_launcher(f"PET_NPROC_PER_NODE={each}")
    if nodes == 1:
        return {}
    return _one_each(
        nodes,
        _number(environment, "PET_NODE_RANK"),
        environment["PET_MASTER_ADDR"],
        environment.get("PET_MASTER_PORT", PORT),
    )


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    """One node is one process: NODE_RANK of NNODES, or of WORLD_SIZE."""
    given = [name for name in ("NNODES", "WORLD_SIZE") if name in environment]
    if not given:
        raise UserError("NODE_RANK is set, but not NNODES, the number of nodes; set both, or neither")
    nodes, world = _number(environment, given[0]), _number(environment, given[-1])
    if nodes != world:
        raise _wants_launcher(f"NNODES={nodes} and WORLD_SIZE={world}")
    if nodes == 1:
        return {}
    # Without it each process would train alone, and all would write one run folder.
    if "NODE_RANK" not in environment:
        raise UserError(f"this is one of {nodes} nodes, but NODE_RANK is not set; it counts them from 0")
    if not environment.get("MASTER_ADDR"):
        raise UserError(
            f"this is one of {nodes} nodes, but MASTER_ADDR is not set; set it to the address of the node "
            "with NODE_RANK=0"
        )
    return _one_each(
        nodes,
        _number(environment, "NODE_RANK"),
        environment["MASTER_ADDR"],
        environment.get("MASTER_PORT", PORT),
    )


def _one_each(nodes: int, rank: int, address: str, port: str) -> dict[str, str]:
    if not 0 <= rank < nodes:
        raise UserError(f"expected a node rank from 0 to {nodes - 1} for {nodes} nodes, got {rank}")
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(nodes),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": address,
        "MASTER_PORT": port,
    }


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name]
    if not text.isdecimal():
        raise UserError(f"{name}: expected a whole number, got {text!r}")
    return int(text)


def _wants_launcher(what: str) -> UserError:
    return UserError(
        f"{what} requests several processes per node, but 'ganforge' starts one; use "
        "'torchrun -m ganforge' instead of 'ganforge'"
    )


def first_host(nodes: str) -> str:
    """The first host of Slurm's node list: `a[03-05,9],b` -> `a03`."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])+", nodes)
    if first is None:
        raise UserError(f"cannot parse Slurm's node list {nodes!r}")
    return re.sub(r"\[(\d+)[^\]]*\]", r"\1", first[0])


def tasks_of_nodes(tasks: str) -> list[int]:
    """Tasks per node, from Slurm's short form: `2(x3),1` -> [2, 2, 2, 1]."""
    found: list[int] = []
    for part in tasks.split(","):
        count, _, times = part.rstrip(")").partition("(x")
        found += [int(count)] * int(times or 1)
    return found
