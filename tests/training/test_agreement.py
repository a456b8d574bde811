"""Processes with different settings: found before anything depends on them, and reported by key."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
import torch

from ganforge.api import UserError
from ganforge.config import RunConfig
from ganforge.config.load import validate
from ganforge.engine.distributed.runtime import Runtime
from ganforge.training.agreement import MAX_SHOWN, differing, refuse_differences
from support.toys import toy_config, toy_document, toy_registry


class Together:
    """One of several processes, which are threads here."""

    def __init__(self, rank: int, everyone: list[torch.Tensor], barrier: threading.Barrier) -> None:
        self.rank, self.everyone, self.barrier = rank, everyone, barrier
        self.world = len(everyone)
        self.hosts = [f"node{rank}" for rank in range(self.world)]

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        self.barrier.wait(10)
        self.everyone[self.rank] = x
        self.barrier.wait(10)
        return torch.stack(self.everyone)


def outcomes(*configs: RunConfig) -> list[str]:
    """The message in each process; empty where there is none."""
    everyone = [torch.empty(0) for _ in configs]
    barrier = threading.Barrier(len(configs))

    def one(rank: int) -> str:
        try:
            refuse_differences(configs[rank], cast(Runtime, Together(rank, everyone, barrier)))
        except UserError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(len(configs)) as pool:
        return list(pool.map(one, range(len(configs))))


def message(other: int, *lines: str) -> str:
    listed = "".join(f"  {line}\n" for line in lines)
    return (
        f"the processes of this run have different settings; process 0 (node0) and process {other} "
        f"(node{other}):\n{listed}start all of them with the same run file and the same --set"
    )


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"train": {"seed": 2}}, ["train.seed: 0 and 2"]),
        ({"train": {"images": 320}}, ["train.images: 64 and 320"]),
        ({"nets": {"type": "dcgan", "width": 16}}, ["nets.width: 8 and 16"]),
        ({"terms": [{"type": "r2", "weight": 2.0}]}, None),
        ({"logging": {"every": 5}}, None),
    ],
)
def test_a_difference_is_named_in_every_process(changes: dict[str, Any], lines: list[str] | None) -> None:
    train = {"images": 64, **changes.get("train", {})}
    ours = toy_config(train={"images": 64}, nets={"type": "dcgan", "width": 8})
    theirs = toy_config(**{"nets": {"type": "dcgan", "width": 8}, **changes, "train": train})
    found = outcomes(ours, ours, theirs)
    assert found[0] == found[1] == found[2] != ""
    if lines is not None:
        assert found[0] == message(2, *lines)
    else:
        key = next(iter(changes))
        assert all(line.startswith(f"  {key}.") for line in found[0].splitlines()[1:-1])


def test_equal_settings_and_single_processes_pass() -> None:
    assert outcomes(toy_config(), toy_config()) == ["", ""]
    assert outcomes(toy_config()) == [""]


def test_every_machine_may_have_the_data_elsewhere() -> None:
    def config(root: str, size: int) -> RunConfig:
        data = {"type": "iclevr", "image_size": size, "root": root}
        return validate(toy_document(data=data), toy_registry(), file="x")

    assert outcomes(config("/a", 16), config("/b", 16)) == ["", ""]
    assert outcomes(config("/a", 16), config("/b", 32))[0] == message(1, "data.image_size: 16 and 32")


def test_long_lists_are_cut() -> None:
    first = {f"k{index}": "1" for index in range(MAX_SHOWN + 2)}
    lines = differing(first, {}).splitlines()
    assert lines[0] == "  k0: 1 and (absent)"
    assert (len(lines), lines[-1]) == (MAX_SHOWN + 1, "  ... and 2 more")
