"""What a scheduler's variables mean: Slurm, Kubeflow, plain ones; and real processes that join by them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.engine.distributed.launchers import first_host, place, tasks_of_nodes
from support.command_line import EXAMPLE, TINY, call, sets

PLAIN = {"NNODES": "8", "NODE_RANK": "3", "MASTER_ADDR": "node0"}
KUBEFLOW = {
    "PET_NNODES": "8",
    "PET_NPROC_PER_NODE": "1",
    "PET_NODE_RANK": "3",
    "PET_MASTER_ADDR": "ganforge-node-0-0.ganforge",
    "PET_MASTER_PORT": "29400",
}
# Task 11 of `srun --nodes 3 --ntasks 12`, with nodes that differ.
SLURM = {
    "SLURM_JOB_ID": "1234567",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "11",
    "SLURM_NTASKS": "12",
    "SLURM_LOCALID": "3",
    "SLURM_NODEID": "2",
    "SLURM_JOB_NUM_NODES": "3",
    "SLURM_NODELIST": "gpu[07-08,11]",
    "SLURM_TASKS_PER_NODE": "4(x3)",
}


def test_slurm_places_each_task() -> None:
    assert place(SLURM) == {
        "RANK": "11",
        "WORLD_SIZE": "12",
        "LOCAL_RANK": "3",
        "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": "gpu07",
        "MASTER_PORT": "19567",  # 1,234,567 = 82 * 15,000 + 4,567
    }


def test_a_step_on_some_of_the_nodes_meets_on_its_own_first_node() -> None:
    step = {"SLURM_STEP_NODELIST": "gpu[08,11]", "SLURM_STEP_TASKS_PER_NODE": "8,4", "SLURM_NODEID": "1"}
    found = place({**SLURM, **step})
    assert (found["MASTER_ADDR"], found["LOCAL_WORLD_SIZE"]) == ("gpu08", "4")


def test_what_the_user_says_of_the_master_holds() -> None:
    found = place({**SLURM, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "4000"})
    assert (found["MASTER_ADDR"], found["MASTER_PORT"]) == ("10.0.0.1", "4000")


@pytest.mark.parametrize(
    ("environment", "address", "port"),
    [
        (PLAIN, "node0", "29500"),
        ({**PLAIN, "WORLD_SIZE": "8", "MASTER_PORT": "4000"}, "node0", "4000"),
        ({"WORLD_SIZE": "8", "NODE_RANK": "3", "MASTER_ADDR": "node0"}, "node0", "29500"),
        (KUBEFLOW, "ganforge-node-0-0.ganforge", "29400"),
    ],
)
def test_a_node_is_a_process(environment: dict[str, str], address: str, port: str) -> None:
    assert place(environment) == {
        "RANK": "3",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": address,
        "MASTER_PORT": port,
    }


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WORLD_SIZE": "1", "MASTER_ADDR": "node0"},
        {**SLURM, **KUBEFLOW, **PLAIN, "RANK": "5"},  # a launcher has spoken
        {name: value for name, value in SLURM.items() if name != "SLURM_STEP_ID"},  # the batch script itself
        {**SLURM, "SLURM_NTASKS": "1"},
        {**KUBEFLOW, "PET_NNODES": "1", "PET_NODE_RANK": "0"},
        {**PLAIN, "NNODES": "1", "NODE_RANK": "0"},
    ],
    ids=["nothing", "world of one", "launched", "batch script", "one task", "one pod", "one node"],
)
def test_one_process_alone_is_left_alone(environment: dict[str, str]) -> None:
    assert place(environment) == {}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {**KUBEFLOW, "PET_NPROC_PER_NODE": "auto"},
            "PET_NPROC_PER_NODE=auto requests several processes per node, but 'ganforge' starts one; use "
            "'torchrun -m ganforge' instead of 'ganforge'",
        ),
        (
            {**PLAIN, "WORLD_SIZE": "64"},
            "NNODES=8 and WORLD_SIZE=64 requests several processes per node, but 'ganforge' starts one; "
            "use 'torchrun -m ganforge' instead of 'ganforge'",
        ),
        (
            {"NODE_RANK": "3", "MASTER_ADDR": "node0"},
            "NODE_RANK is set, but not NNODES, the number of nodes; set both, or neither",
        ),
        (
            {"NODE_RANK": "3", "NNODES": "8"},
            "this is one of 8 nodes, but MASTER_ADDR is not set; set it to the address of the node with NODE_RANK=0",
        ),
        (
            {"WORLD_SIZE": "8", "MASTER_ADDR": "node0"},
            "this is one of 8 nodes, but NODE_RANK is not set; it counts them from 0",
        ),
        ({**PLAIN, "NODE_RANK": "8"}, "expected a node rank from 0 to 7 for 8 nodes, got 8"),
        ({**PLAIN, "NNODES": "all"}, "NNODES: expected a whole number, got 'all'"),
    ],
)
def test_variables_that_do_not_fit_are_told(environment: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as told:
        place(environment)
    assert str(told.value) == message


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("a[03-05,9],b", "a03"),
        ("gpu[7,9-12]", "gpu7"),
        ("rack[1-2]n[004-008],x", "rack1n004"),
        ("gpu[1-4]-ib,c", "gpu1-ib"),
    ],
)
def test_the_first_of_slurms_nodes(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


@pytest.mark.parametrize(("tasks", "each"), [("4", [4]), ("2(x3),1", [2, 2, 2, 1]), ("1,2(x2)", [1, 2, 2])])
def test_slurms_tasks_of_each_node(tasks: str, each: list[int]) -> None:
    assert tasks_of_nodes(tasks) == each


def scheduled(kind: str, rank: int, port: str) -> dict[str, str]:
    """What a process of two finds around it."""
    if kind == "slurm":
        step = {
            "SLURM_PROCID": str(rank),
            "SLURM_NTASKS": "2",
            "SLURM_LOCALID": str(rank),
            "SLURM_NODEID": "0",
        }
        here = {"SLURM_TASKS_PER_NODE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return {**SLURM, **step, **here}
    if kind == "kubeflow":
        here = {"PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": port}
        return {**KUBEFLOW, **here, "PET_NNODES": "2", "PET_NODE_RANK": str(rank)}
    return {"NNODES": "2", "NODE_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


@pytest.mark.parametrize("command", [("run", EXAMPLE), ("resume", "run")], ids=["run", "resume"])
def test_the_command_line_joins(
    command: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PET_NNODES", "many")
    done = call(tmp_path, *command)
    assert (done.code, done.err) == (2, "PET_NNODES: expected a whole number, got 'many'\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "slurm", "kubeflow"])
def test_two_processes_join(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ganforge", "run", str(EXAMPLE), "--out", "run", *sets(*TINY)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "PET_"))}
    common = {**alone, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "XDG_CACHE_HOME": str(tmp_path)}
    processes = [
        subprocess.Popen(
            command, cwd=tmp_path, env={**common, **scheduled(kind, rank, port)}, stderr=subprocess.PIPE
        )
        for rank in (0, 1)
    ]
    told = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert json.loads((tmp_path / "run" / "run.json").read_text())["processes"] == 2
