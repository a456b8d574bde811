"""Batches: which samples, in which order, and as what, each against a formula written another way."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ganforge.api import Samples, UserError
from ganforge.engine.data.batches import Batches

CPU = torch.device("cpu")


def numbered(count: int) -> Samples:
    """Images that carry their own number in their pixels."""
    images = torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1).expand(count, 1, 2, 2)
    return Samples(images.contiguous(), torch.eye(count, dtype=torch.uint8))


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
        f"data.random_crop = {crop} needs images larger than that, but the samples have the shape {shape}; "
        "lower it, or set it to 0"
    )


def test_points_are_used_as_they_are() -> None:
    points = torch.randn(5, 2)
    batch = Batches(Samples(points), 5, 0, CPU).at(0)
    assert sorted(batch.real[:, 0].tolist()) == sorted(points[:, 0].tolist())


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(UserError, match="the data set is empty"):
        Batches(Samples(torch.zeros(0, 1, 2, 2, dtype=torch.uint8)), 4, 0, CPU)
