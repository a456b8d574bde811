"""Streams, batches, schedule, moving average, tally: each against a formula written another way."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.api import Samples, UserError
from ganforge.config import Ema, LearningRate
from ganforge.engine.data.batches import Batches
from ganforge.engine.instruments.frozen_buffers import kept_buffers
from ganforge.engine.instruments.running_means import Tally
from ganforge.engine.random import generator_for, stream_seed
from ganforge.engine.sampling.ema import MovingAverage
from ganforge.engine.update.schedule import lr_factor, set_learning_rate

CPU = torch.device("cpu")


def numbered(count: int) -> Samples:
    """Images that carry their own number in their pixels."""
    images = torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1).expand(count, 1, 2, 2)
    return Samples(images.contiguous(), torch.eye(count, dtype=torch.uint8))


def numbers(images: Tensor) -> list[int]:
    return [round(float(value)) for value in (images[:, 0, 0, 0] + 1) * 127.5]


def test_streams_differ_by_purpose_and_repeat() -> None:
    seeds = {
        stream_seed(seed, *purpose) for seed in (0, 1) for purpose in (("a", 1), ("a", 2), ("b", 1), ("a1",))
    }
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    draws = [torch.rand(3, generator=generator_for(5, "x")) for _ in range(2)]
    assert torch.equal(*draws)


@pytest.mark.parametrize(("count", "batch"), [(10, 4), (7, 7), (5, 16), (12, 3)])
def test_every_epoch_shows_each_sample_once(count: int, batch: int) -> None:
    batches = Batches(numbered(count), batch, 0, CPU)
    epochs = 3 * batch
    seen = [int(i) for index in range(count * epochs // batch) for i in batches.indices(index)]
    for start in range(0, len(seen), count):
        assert sorted(seen[start : start + count]) == list(range(count))
    assert seen[:count] != seen[count : 2 * count] or count < 3


def test_a_batch_is_the_same_whenever_it_is_asked_for() -> None:
    straight, jumping = (Batches(numbered(11), 4, 3, CPU) for _ in range(2))
    forward = [straight.at(index) for index in range(9)]
    for index in (8, 2, 5, 0):
        assert torch.equal(jumping.at(index).real, forward[index].real)


def test_processes_share_a_batch_without_overlap() -> None:
    whole = Batches(numbered(20), 8, 0, CPU)
    parts = [Batches(numbered(20), 8, 0, CPU, rank, 4) for rank in range(4)]
    for index in range(5):
        together = torch.cat([part.indices(index) for part in parts])
        assert torch.equal(together, whole.indices(index))


def test_images_come_as_minus_one_to_one_with_their_labels() -> None:
    samples = Samples(torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1), torch.eye(3))
    batch = Batches(samples, 3, 0, CPU).at(0)
    assert batch.cond is not None
    order = batch.cond.argmax(1)
    expected = torch.tensor([-1.0, -0.6, 1.0])[order]
    torch.testing.assert_close(batch.real.flatten(), expected)


def test_mirroring_flips_about_half_of_the_images() -> None:
    ramp = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4).expand(400, 1, 1, 4).contiguous()
    batch = Batches(Samples(ramp, None, mirror=True), 400, 0, CPU).at(0)
    flipped = (batch.real[:, 0, 0, 0] > batch.real[:, 0, 0, 3]).float().mean()
    assert 0.4 < flipped < 0.6


def test_a_random_crop_moves_an_image_within_its_mirrored_surroundings() -> None:
    image = torch.randint(0, 256, (3, 6, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    samples = Samples(image.expand(300, 3, 6, 7).contiguous(), None, mirror=True, random_crop=2)
    real = Batches(samples, 300, 0, CPU).at(0).real
    padded = F.pad(image[None].float(), (2, 2, 2, 2), mode="reflect")[0] / 127.5 - 1
    possible = [
        view
        for down in range(5)
        for right in range(5)
        for crop in [padded[:, down : down + 6, right : right + 7]]
        for view in (crop, crop.flip(-1))
    ]
    seen = [0] * len(possible)
    for each in real:
        (found,) = [i for i, view in enumerate(possible) if torch.allclose(each, view, atol=1e-6)]
        seen[found] += 1
    # 6 of each of the 50 are expected.
    assert min(seen) > 0
    assert max(seen) < 20


@pytest.mark.parametrize(("shape", "crop"), [((3, 6, 5), 5), ((2,), 1), ((3, 6, 5), -1)])
def test_a_random_crop_that_does_not_fit_is_refused(shape: tuple[int, ...], crop: int) -> None:
    samples = Samples(torch.zeros(4, *shape, dtype=torch.uint8), None, random_crop=crop)
    with pytest.raises(UserError) as caught:
        Batches(samples, 4, 0, CPU)
    assert str(caught.value) == (
        f"the data set asks for random_crop = {crop}, and its samples have the shape {shape}: it is for "
        "images larger than that"
    )


def test_points_are_used_as_they_are() -> None:
    points = torch.randn(5, 2)
    batch = Batches(Samples(points), 5, 0, CPU).at(0)
    assert sorted(batch.real[:, 0].tolist()) == sorted(points[:, 0].tolist())


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(UserError, match="the data set is empty: there is nothing to learn from"):
        Batches(Samples(torch.zeros(0, 1, 2, 2, dtype=torch.uint8)), 4, 0, CPU)


@pytest.mark.parametrize(
    ("settings", "seen", "expected"),
    [
        ({}, 0, 1.0),
        ({"warmup_images": 200}, 50, 0.25),
        ({"warmup_images": 200}, 400, 1.0),
        ({"decay": "linear"}, 250, 0.75),
        ({"decay": "linear", "decay_from": 500}, 400, 1.0),
        ({"decay": "linear", "decay_from": 500, "floor": 0.1}, 1000, 0.1),
        ({"decay": "cosine"}, 500, 0.5),
        ({"decay": "cosine"}, 250, (1 + math.sqrt(0.5)) / 2),
        ({"decay": "linear", "warmup_images": 100}, 50, 0.5 * 0.95),
    ],
)
def test_the_learning_rate_follows_the_images(
    settings: dict[str, object], seen: int, expected: float
) -> None:
    schedule = LearningRate.model_validate(settings)
    assert lr_factor(schedule, seen, 1000) == pytest.approx(expected)


def test_the_factor_applies_to_the_first_rate_not_to_the_last() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2)
    for factor in (0.5, 0.5, 1.0):
        set_learning_rate(optimizer, factor)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2)


def test_an_average_with_a_half_life_halves_the_distance_in_that_many_images() -> None:
    network = nn.Linear(1, 1)
    average = MovingAverage(network, Ema(halflife=1000, rampup=0.0))
    with torch.no_grad():
        network.weight += 8.0
    start = average.network.weight.clone()
    for seen in range(100, 1001, 100):
        average.update(network, 100, seen)
    torch.testing.assert_close(average.network.weight, start + 4.0)


def test_a_young_average_follows_faster() -> None:
    average = MovingAverage(nn.Linear(1, 1), Ema(halflife=10_000, rampup=0.05))
    # 0.05 * 2000 images = a half-life of 100.
    assert average.decay(100, 2_000) == pytest.approx(0.5)
    assert average.decay(100, 10_000_000) == pytest.approx(0.5**0.01)
    assert average.decay(100, 0) == 0.0


def test_statistics_are_averaged_and_other_buffers_copied() -> None:
    network = nn.Sequential(nn.BatchNorm1d(2))
    average = MovingAverage(network, Ema(halflife=100, rampup=0.0))
    norm, mean = network[0], average.network.get_submodule("0")
    assert isinstance(norm, nn.BatchNorm1d) and isinstance(mean, nn.BatchNorm1d)
    norm.running_mean.fill_(4.0)
    norm.num_batches_tracked.fill_(9)
    average.update(network, 100, 100)
    assert mean.running_mean.tolist() == [2.0, 2.0]
    assert mean.num_batches_tracked.item() == 9
    assert not any(parameter.requires_grad for parameter in average.network.parameters())


def test_a_tally_gives_means_and_starts_afresh() -> None:
    tally = Tally()
    for value in (1.0, 2.0, 6.0):
        tally.add("a", torch.tensor(value, requires_grad=True))
    tally.add("b", torch.tensor(5.0))
    other = Tally()
    other.restore(tally.state())
    assert tally.take() == other.take() == {"a": 3.0, "b": 5.0}
    assert tally.take() == {}


def test_a_look_leaves_the_buffers_as_they_were() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)))
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with kept_buffers([network]):
        network(torch.randn(8, 3))
        assert any(not torch.equal(before[name], buffer) for name, buffer in network.named_buffers())
    for name, buffer in network.named_buffers():
        assert torch.equal(before[name], buffer), name
