"""`evaluate --real`: metrics of one half of the real images against the other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganforge.api import Samples, UserError
from ganforge.evaluation.real_baseline import RealSampler, halves
from support.command_line import call, complaint, contents
from support.evaluated import METRICS
from support.evaluated import finished as finished
from support.evaluated import place as place
from support.two_sets import SPEC, uint8_images

FJD = '[[metrics]]\ntype = "sliced_wasserstein"\nsamples = 6\n'


def test_halves_share_no_group() -> None:
    groups = torch.arange(40) // 4
    images = torch.arange(40, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2)
    labels = torch.arange(40)[:, None]
    first, second = halves(Samples(images, labels, True, groups))
    assert len(first) == len(second) == 20
    assert first.mirror and second.mirror
    assert first.groups is not None and second.groups is not None
    assert not set(first.groups.tolist()) & set(second.groups.tolist())
    for half in (first, second):
        assert half.labels is not None
        assert torch.equal(half.labels[:, 0], half.images[:, 0, 0, 0].long())
    everything = torch.cat([first.images, second.images])[:, 0, 0, 0]
    assert everything.sort().values.tolist() == list(range(40))
    assert [len(half) for half in halves(Samples(uint8_images(9)))] == [4, 5]


def test_real_samples_are_different_ones_in_the_generators_range() -> None:
    data = Samples(uint8_images(20))
    sampler = RealSampler(data, SPEC)
    found = sampler.sample(20, 1)
    assert sorted(found.flatten(1).sum(1).tolist()) == pytest.approx(
        sorted((data.images.float() / 127.5 - 1).flatten(1).sum(1).tolist())
    )
    assert torch.equal(sampler.sample(5, 1), sampler.sample(5, 1))
    assert not torch.equal(sampler.sample(5, 1), sampler.sample(5, 2))
    with pytest.raises(UserError) as error:
        sampler.sample(21, 0)
    assert str(error.value) == (
        "21 samples requested, but the half of the real images used in their place has 20; "
        "set samples = 20 or less"
    )


def test_the_command_shows_the_figures_and_writes_nothing(place: Path) -> None:
    (place / "f.toml").write_text(FJD)
    before = contents(place)
    done = call(place, "evaluate", "mine", "--metrics", "f.toml", "--real")
    assert (done.code, complaint(done)) == (0, "")
    first, second, third = done.out.splitlines()
    assert (first, second) == ("real images instead of the generator's", "sliced_wasserstein")
    assert 0 < float(third.split()[1]) < 0.2
    assert contents(place) == before


def test_conditions_and_too_many_samples_are_refused(place: Path) -> None:
    (place / "f.toml").write_text(METRICS)
    done = call(place, "evaluate", "mine", "--metrics", "f.toml", "--real")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(
        "real images cannot be generated for a given condition; for metrics of conditions the judge's own "
        "accuracy is the upper bound: see its judge.json\n"
    )
    (place / "f.toml").write_text(FJD.replace("6", "7"))
    done = call(place, "evaluate", "mine", "--metrics", "f.toml", "--real")
    assert (
        complaint(done)
        == "metric 'sliced_wasserstein' needs 7 samples, but the data has 6; set samples = 6 or less\n"
    )
