"""What several processes share, and how it is told, without starting any."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch._C._distributed_c10d import HashStore

from ganforge.api import Samples, Stream, UserError, rows
from ganforge.config.sections import Train
from ganforge.engine.data.batches import Batches
from ganforge.engine.distributed.log_reduction import Pool
from ganforge.engine.distributed.rendezvous import name_of_start
from ganforge.engine.distributed.runtime import Runtime, check_shares
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.distributed.stragglers import PATIENCE, Stragglers
from ganforge.engine.instruments.running_means import RunningMeans
from ganforge.engine.replica_check import checksum

CPU = torch.device("cpu")
SHARED_BY = 840
"""Divides by 1 to 8."""


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("world", range(1, 9))
def test_shares_are_disjoint_and_cover_an_epoch(world: int, accumulate: int) -> None:
    batch = SHARED_BY * accumulate
    samples = Samples(torch.zeros(2 * batch, 1, 1, 1, dtype=torch.uint8), torch.eye(2).repeat(batch, 1))
    ranks = [Batches(samples, batch, 5, CPU, rank, world, accumulate) for rank in range(world)]
    alone = Batches(samples, batch, 5, CPU, accumulate=accumulate)
    seen: list[int] = []
    for index in (0, 1):
        whole = alone.indices(index).chunk(accumulate)
        shares = [each.indices(index).chunk(accumulate) for each in ranks]
        for micro in range(accumulate):
            together = torch.cat([share[micro] for share in shares])
            assert torch.equal(together, whole[micro]), "a micro-batch is that of one process"
            seen += together.tolist()
    assert sorted(seen) == list(range(2 * batch))


def test_each_process_knows_the_conditions_of_all() -> None:
    samples = Samples(torch.zeros(16, 1, 1, 1, dtype=torch.uint8), torch.eye(16))
    alone = Batches(samples, 8, 5, CPU).at(1)
    for rank in range(4):
        batch = Batches(samples, 8, 5, CPU, rank, 4).at(1)
        assert batch.conds is not None
        assert batch.cond is not None
        assert alone.cond is not None
        assert torch.equal(batch.conds, alone.cond)
        assert torch.equal(batch.cond, alone.cond[2 * rank : 2 * rank + 2])


def test_mirroring_and_cropping_do_not_depend_on_the_number_of_processes() -> None:
    ramp = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4).expand(64, 1, 4, 4).contiguous()
    samples = Samples(ramp, None, mirror=True, random_crop=1)
    alone = Batches(samples, 32, 5, CPU).at(1).real
    shares = [Batches(samples, 32, 5, CPU, rank, 4).at(1).real for rank in range(4)]
    assert torch.equal(torch.cat(shares), alone)
    assert not torch.equal(alone, alone[:1].expand_as(alone))


def seeded(rank: int, world: int) -> Stream:
    stream = Stream.of(CPU, rank, world)
    stream.manual_seed(100 + rank)
    stream.shared.manual_seed(7)
    return stream


def test_rows_belong_to_samples_not_to_processes() -> None:
    def draw(n: int, rng: torch.Generator) -> Tensor:
        return torch.rand(n, 2, generator=rng)

    whole = rows(seeded(0, 1), 12, draw)
    assert torch.equal(whole, torch.rand(12, 2, generator=torch.Generator().manual_seed(7)))
    assert torch.equal(torch.cat([rows(seeded(rank, 3), 4, draw) for rank in range(3)]), whole)
    plain = rows(torch.Generator().manual_seed(7), 12, draw)
    assert torch.equal(plain, whole)


def test_what_is_drawn_beside_rows_differs_between_processes() -> None:
    first, second = (torch.rand(3, generator=seeded(rank, 2)) for rank in range(2))
    assert not torch.equal(first, second)


def test_the_batch_must_divide() -> None:
    check_shares(Train(batch_size=12, accumulate=2), 3)
    with pytest.raises(UserError) as caught:
        check_shares(Train(batch_size=12, accumulate=2), 4)
    assert str(caught.value) == (
        "train.batch_size = 12 is the global batch and must divide evenly among 4 processes x 2 accumulation "
        "steps"
    )


def one_bit(network: nn.Linear) -> None:
    network.weight.view(torch.int32)[1, 2] ^= 1


def exchanged(network: nn.Linear) -> None:
    network.weight[[0, 1]] = network.weight[[1, 0]]


def moved_between_parameters(network: nn.Linear) -> None:
    network.bias[0], network.weight[0, 0] = network.weight[0, 0].clone(), network.bias[0].clone()


@pytest.mark.parametrize("change", [one_bit, exchanged, moved_between_parameters])
@torch.no_grad()
def test_the_checksum_sees_bits_and_places(change: Callable[[nn.Linear], None]) -> None:
    network = nn.Linear(4, 3)
    before = checksum(list(network.parameters()))
    assert torch.equal(checksum(list(network.parameters())), before)
    change(network)
    assert not torch.equal(checksum(list(network.parameters())), before)


def test_the_checksum_is_that_of_the_formula() -> None:
    network = nn.Linear(2, 1)
    with torch.no_grad():
        network.weight.view(torch.int32).copy_(torch.tensor([[3, -5]]))
        network.bias.view(torch.int32).copy_(torch.tensor([2**31 - 1]))
    weight, bias = 3 * 1 - 5 * 3, (2**31 - 1) * 1
    assert int(checksum(list(network.parameters()))) == weight * 1_000_003 + bias


def test_a_slow_process_is_named_once_after_several_rows() -> None:
    slow, stragglers = [10.0, 11.0, 17.0], Stragglers()
    found = [stragglers.find(slow) for _ in range(PATIENCE + 2)]
    assert found == [[]] * (PATIENCE - 1) + [[2]] + [[]] * 2


def test_a_process_that_is_slow_now_and_then_is_not_named() -> None:
    stragglers = Stragglers()
    for _ in range(PATIENCE):
        assert stragglers.find([10.0, 40.0]) == []
        assert stragglers.find([10.0, 14.9]) == []


class TwoProcesses:
    """A runtime whose other process always sends the same."""

    world, device, hosts = 2, CPU, ("left", "right")

    def __init__(self, others: list[float]) -> None:
        self.others = others
        self.work_timer = SimpleNamespace(take=lambda: 20.0)
        self.messages = 0

    def gather(self, x: Tensor) -> Tensor:
        self.messages += 1
        return torch.stack([x, torch.tensor(self.others, dtype=x.dtype)])


def test_a_row_is_the_mean_of_the_processes_and_names_the_slow_one() -> None:
    said: list[str] = []
    runtime = TwoProcesses([35.0, 3.0, 1.0])
    pool = Pool(cast(Runtime, runtime), said.append)
    for _ in range(PATIENCE):
        assert pool.means({"loss/d": 1.0, "loss/g": 2.0}) == {"loss/d": 2.0, "loss/g": 1.5}
    assert runtime.messages == PATIENCE, "one for a row, however many values it has"
    assert said == [
        "warning: process 1 (right) is a straggler: 35.0 ms of work per iteration, "
        "20.0 ms in the median process; the others wait for it"
    ]


def test_a_merged_tally_goes_on_from_the_mean() -> None:
    tally = RunningMeans()
    for value in (1.0, 3.0):
        tally.add("loss", torch.tensor(value))
    tally.merge(lambda sums: sums / 2)
    tally.add("loss", torch.tensor(4.0))
    assert tally.take() == {"loss": (4.0 / 2 + 4.0) / 3}


def test_each_start_gets_a_name_of_its_own_in_one_store() -> None:
    store, patience = HashStore(), timedelta(seconds=60)
    names: list[str] = []
    for _ in range(2):
        with ThreadPoolExecutor(3) as pool:
            # The others come first, and find the name of the start before.
            others = [pool.submit(name_of_start, store, rank, 3, patience) for rank in (1, 2)]
            time.sleep(0.2)
            first = name_of_start(store, 0, 3, patience)
            assert [other.result() for other in others] == [first, first]
        names.append(first)
    assert names[0] != names[1]


def test_a_stop_elsewhere_leaves_room_for_the_first_ctrl_c() -> None:
    with StopRequest() as stop:
        stop.adopt(by_signal=True)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert stop.by_signal
