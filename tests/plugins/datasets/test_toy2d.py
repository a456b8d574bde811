"""`toy2d`, against closed forms of its mixtures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ganforge_datasets.toy2d import Toy2D
from support.contexts import opened

COUNT = 50_000
Mixture = Literal["ring8", "grid25"]


def points(tmp_path: Path, shape: str, count: int = COUNT, seed: int = 0) -> Tensor:
    samples = opened(Toy2D(shape=shape, count=count, seed=seed), tmp_path)  # type: ignore[arg-type]
    assert samples.labels is None
    assert samples.images.dtype == torch.float32 and samples.images.shape == (count, 2)
    return samples.images.double()


def test_the_ring_has_eight_arcs_at_its_radius(tmp_path: Path) -> None:
    x, y = points(tmp_path, "ring8").T
    radius, angle = torch.hypot(x, y), torch.atan2(y, x)
    # Radius 2, std 0.02, divided by 1.414; across and along the circle alike.
    assert radius.mean() == pytest.approx(2 / math.sqrt(2), abs=5e-4)
    assert radius.std() == pytest.approx(0.02 / math.sqrt(2), rel=0.02)
    eighth = angle / (math.tau / 8)
    off = (eighth - eighth.round()) * (math.tau / 8)
    assert (off * radius).std() == pytest.approx(0.02 / math.sqrt(2), rel=0.02)
    counts = eighth.round().long().remainder(8).bincount(minlength=8)
    assert (counts - COUNT / 8).abs().max() < 5 * math.sqrt(COUNT / 8)


def test_the_grid_has_twenty_five_squares(tmp_path: Path) -> None:
    steps = points(tmp_path, "grid25") * (math.sqrt(8) / 2)
    near = steps.round()
    assert near.abs().max() == 2
    assert ((steps - near) * 2).std() == pytest.approx(0.05, rel=0.02)
    counts = ((near[:, 0] + 2) * 5 + near[:, 1] + 2).long().bincount(minlength=25)
    assert len(counts) == 25
    assert (counts - COUNT / 25).abs().max() < 5 * math.sqrt(COUNT / 25)


@pytest.mark.parametrize("shape", ["ring8", "grid25"])
def test_coordinates_have_mean_0_and_standard_deviation_1(tmp_path: Path, shape: str) -> None:
    drawn = points(tmp_path, shape)
    assert drawn.mean(0).tolist() == pytest.approx([0, 0], abs=0.02)
    assert drawn.std(0).tolist() == pytest.approx([1, 1], abs=0.02)


def test_the_roll_grows_with_its_angle(tmp_path: Path) -> None:
    x, y = (points(tmp_path, "swiss_roll") * 7.5).T
    radius = torch.hypot(x, y)
    assert radius.min() > 1.5 * math.pi - 1.5 and radius.max() < 4.5 * math.pi + 1.5
    # Without noise the radius is the angle, which runs from 1.5 pi to 4.5 pi.
    angle = torch.atan2(y, x)
    turns = ((radius - angle) / math.tau).round()
    off = radius - (angle + turns * math.tau)
    assert off.mean() == pytest.approx(0, abs=0.01)
    assert off.std() == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize(("shape", "count"), [("ring8", 8), ("grid25", 25)])
def test_labels_are_the_gaussians(tmp_path: Path, shape: Mixture, count: int) -> None:
    samples = opened(Toy2D(shape=shape, count=5000, labelled=True), tmp_path)
    assert samples.labels is not None and samples.labels.shape == (5000, count)
    assert samples.labels.dtype == torch.uint8 and samples.labels.sum(1).eq(1).all()
    mode = samples.labels.argmax(1)
    for label in range(count):
        mine = samples.images[mode == label]
        assert (mine - mine.mean(0)).abs().max() < 0.1
    assert torch.equal(samples.images, opened(Toy2D(shape=shape, count=5000), tmp_path).images)


def test_the_first_gaussian_of_the_ring_is_at_the_right(tmp_path: Path) -> None:
    samples = opened(Toy2D(labelled=True, count=1000), tmp_path)
    assert samples.labels is not None
    centres = [samples.images[samples.labels[:, k] == 1].mean(0).tolist() for k in (0, 2)]
    assert centres[0] == pytest.approx([math.sqrt(2), 0], abs=0.01)
    assert centres[1] == pytest.approx([0, math.sqrt(2)], abs=0.01)


def test_a_roll_has_no_labels() -> None:
    with pytest.raises(ValidationError, match="a swiss_roll has no Gaussians to label; use ring8 or grid25"):
        Toy2D(shape="swiss_roll", labelled=True)


def test_the_seed_and_the_split_decide_the_points(tmp_path: Path) -> None:
    assert torch.equal(points(tmp_path, "ring8", 10, 3), points(tmp_path, "ring8", 10, 3))
    assert not torch.equal(points(tmp_path, "ring8", 10, 3), points(tmp_path, "ring8", 10, 4))
    test = opened(Toy2D(count=10, seed=3), tmp_path, "test").images
    assert not torch.equal(points(tmp_path, "ring8", 10, 3), test.double())
