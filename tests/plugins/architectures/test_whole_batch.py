"""Layers that draw for each sample, or look at several: as in one process, however many share the batch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganforge.api import WholeBatch
from ganforge_architectures import StyleGAN2
from ganforge_architectures.minibatch_stddev import MinibatchStddev
from ganforge_architectures.style_discriminator import GroupStddev
from support.networks import spec
from support.shares import in_shares
from support.styled import double, normal

pytestmark = pytest.mark.numeric


def shares_of(network: nn.Module, world: int, *inputs: Tensor) -> Tensor:
    """The results of all processes, in their order."""

    def work(mine: nn.Module, rank: int) -> Tensor:
        result: Tensor = mine(*(x.chunk(world)[rank] for x in inputs))
        return result.detach()

    return torch.cat(in_shares(network, world, work))


def test_rows_of_one_process_are_of_torchs_own_generator() -> None:
    batch = WholeBatch()
    torch.manual_seed(3)
    expected = torch.randn(5, 2)
    torch.manual_seed(3)
    assert torch.equal(batch.rows(5, lambda n, rng: torch.randn(n, 2, generator=rng)), expected)
    assert batch.state_dict() == {}
    x = normal(3, 2)
    assert batch.gather(x) is x and batch.mean(x) is x and torch.equal(batch.mine(x), x)


@pytest.mark.parametrize("world", [2, 4])
def test_rows_of_several_processes_are_those_of_one(world: int) -> None:
    def draw(batch: Any, rank: int) -> Tensor:
        # A process's own numbers in between change nothing.
        torch.rand(rank + 1)
        first = batch.rows(8 // world, lambda n, rng: torch.randn(n, 3, generator=rng))
        second = batch.rows(8 // world, lambda n, rng: torch.rand(n, 3, generator=rng))
        return torch.cat([first, second], 1)

    alone = torch.Generator().manual_seed(0)
    expected = torch.cat([torch.randn(8, 3, generator=alone), torch.rand(8, 3, generator=alone)], 1)
    assert torch.equal(torch.cat(in_shares(WholeBatch(), world, draw)), expected)


def test_a_copy_is_of_one_process() -> None:
    def work(batch: Any, rank: int) -> tuple[int, int]:
        copied = copy.deepcopy(nn.Sequential(batch))[0]
        return copied.rank, copied.world

    assert in_shares(WholeBatch(), 2, work) == [(0, 1), (0, 1)]


@pytest.mark.parametrize("world", [2, 4])
def test_style_generators_that_share_a_batch_make_the_images_of_one(world: int) -> None:
    nets = StyleGAN2(channel_base=64, channel_max=8, w_dim=6, mapping_layers=2, mapping_rate=1.0, mixing=0.7)
    g: Any = double(nets.build(spec(16), 5, {}).generator)
    with torch.no_grad():
        for block in g.synthesis.blocks:
            for conv in (getattr(block, name) for name in ("conv0", "conv1") if hasattr(block, name)):
                conv.noise_strength.fill_(0.5)
    z = normal(8, 5)

    def work(mine: Any, rank: int) -> tuple[Tensor, Tensor]:
        images = mine(z.chunk(world)[rank], None).detach()
        return images, mine.w_mean

    images, means = zip(*in_shares(g, world, work), strict=True)
    torch.manual_seed(0)
    torch.testing.assert_close(torch.cat(images), g(z, None).detach())
    for mean in means:
        torch.testing.assert_close(mean, g.w_mean, rtol=1e-9, atol=0.0)
    # What one process would do with its own samples alone is something else.
    torch.manual_seed(0)
    assert not torch.allclose(g(z[: 8 // world], None)[-1].detach(), images[0][-1])


@pytest.mark.parametrize(("group", "world", "used"), [(4, 2, 4), (4, 4, 4), (8, 2, 8), (3, 2, 2), (16, 4, 8)])
def test_groups_are_those_of_the_whole_batch(group: int, world: int, used: int) -> None:
    x = normal(8, 2, 4, 4)
    found = shares_of(GroupStddev(group), world, x)
    spread = x.reshape(8 // used, used, 2, 4, 4).std(1, correction=0).mean((1, 2, 3))
    torch.testing.assert_close(found[:, 2, 0, 0], spread.repeat_interleave(used), rtol=1e-6, atol=1e-6)


def test_samples_are_judged_without_the_other_processes() -> None:
    x = normal(4, 2, 4, 4)
    for layer in (GroupStddev(8).eval(), MinibatchStddev().eval()):
        # Were rank 1 waited for, this would not return.
        (found,) = [
            each for each in in_shares(layer, 2, lambda m, r: m(x) if r == 0 else None) if each is not None
        ]
        torch.testing.assert_close(found, layer(x))


def test_the_minibatch_deviation_is_that_of_the_whole_batch() -> None:
    x = normal(8, 2, 4, 4)
    found = shares_of(MinibatchStddev(), 4, x)
    torch.testing.assert_close(found, MinibatchStddev()(x))
    assert found[0, 2, 0, 0].item() == pytest.approx(float(x.std(0, correction=0).mean()), rel=1e-6)
