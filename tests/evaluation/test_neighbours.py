"""`neighbours`: the search against all pairs, what it sums up, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

import ganforge.evaluation.neighbours as module
from ganforge.api import Context, Samples
from ganforge.api.judge.features import FeatureSpace
from ganforge.evaluation.neighbours import Neighbours, listed, nearest, summary
from ganforge_datasets.iclevr import ICLEVR
from support.command_line import EXAMPLE, TINY, call, complaint, contents, sets
from support.evaluated import place as place
from support.judges import blank_judge
from support.two_sets import SPEC, uint8_images

QUIET = Context(Path(), lambda line: None, lambda items, total, what: iter(items))


def rows_of(images: Tensor) -> list[list[float]]:
    return (images.double() / 127.5 - 1).flatten(1).tolist()


def by_pairs(
    queries: Tensor, own: list[int], samples: Samples, k: int
) -> list[list[tuple[float, int, bool]]]:
    """(distance, row, mirrored) of the nearest, from all pairs."""
    groups = list(range(len(samples))) if samples.groups is None else samples.groups.tolist()
    found = []
    for query, number in zip(rows_of(queries), own, strict=True):
        pairs = []
        for flip in (False, True) if samples.mirror else (False,):
            for row, point in enumerate(rows_of(samples.images.flip(3) if flip else samples.images)):
                if number < 0 or groups[number] != groups[row]:
                    pairs.append((math.dist(query, point), row, flip))
        found.append(sorted(pairs)[:k])
    return found


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_the_neighbours_are_those_of_all_pairs(
    mirror: bool, grouped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)
    groups = torch.arange(30) // 3 if grouped else None
    data = Samples(uint8_images(30, side=4), None, mirror, groups)
    space = FeatureSpace(SPEC)
    own = torch.tensor([-1, -1, -1, 0, 13, 29])
    queries = torch.cat([uint8_images(3, seed=1, side=4), data.images[own[3:]]])
    # The first query is a training image and the second a flipped one, which no number says.
    queries[0], queries[1] = data.images[9], data.images[10].flip(2)
    found = nearest(space(queries.float() / 127.5 - 1), own, data, space, 4, QUIET)
    expected = by_pairs(queries, own.tolist(), data, 4)
    assert found.rows.tolist() == [[row for _, row, _ in each] for each in expected]
    assert found.mirrored.tolist() == [[flip for _, _, flip in each] for each in expected]
    for distances, each in zip(found.distances.tolist(), expected, strict=True):
        assert distances == pytest.approx([distance for distance, _, _ in each], rel=1e-5)
    assert found.distances[0, 0] == 0
    assert (found.distances[1, 0] == 0) == mirror


def test_the_distance_of_a_near_copy_is_exact() -> None:
    """One level of one pixel in a bright image, which the product of matrices cannot tell from none."""
    data = Samples(255 - uint8_images(20, most=6, side=32))
    copies = data.images.clone()
    copies[:, 0, 0, 0] -= 1
    space = FeatureSpace(SPEC)
    own = torch.full((20,), -1)
    found = nearest(space(copies.float() / 127.5 - 1), own, data, space, 1, QUIET)
    assert found.rows[:, 0].tolist() == list(range(20))
    assert found.distances[:, 0].tolist() == pytest.approx([1 / 127.5] * 20, rel=1e-4)


def test_neighbours_that_do_not_exist_are_infinitely_far() -> None:
    data = Samples(uint8_images(4, side=4), None, False, torch.tensor([0, 0, 0, 1]))
    space = FeatureSpace(SPEC)
    own = torch.tensor([0])
    found = nearest(space(data.images[:1].float() / 127.5 - 1), own, data, space, 2, QUIET)
    assert found.rows[0, 0] == 3 and found.distances[0].isfinite().tolist() == [True, False]
    assert [near["row"] for near in listed(found, [0])[0]["neighbours"]] == [3]


def test_the_summary_of_points_on_a_line() -> None:
    distances = torch.tensor([[1.0], [3.0], [2.0], [10.0], [20.0], [4.0]])
    found = Neighbours(distances, torch.zeros(6, 1).long(), torch.zeros(6, 1).bool())
    queries = torch.tensor([[0.0], [1.0], [3.0], [0.0], [2.0], [6.0]])
    assert summary(found, queries, 3) == {
        "sample_to_nearest_median": 2.0,
        "sample_to_nearest_least": 1.0,
        "real_to_nearest_median": 10.0,
        "real_to_nearest_least": 4.0,
        "memorisation_ratio": pytest.approx(0.2),
        "between_samples_mean": pytest.approx((1 + 3 + 2) / 3),
        "between_real_mean": pytest.approx((2 + 6 + 4) / 3),
        "diversity_ratio": pytest.approx(0.5),
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run and a judge that fits its data."""
    folder = tmp_path_factory.mktemp("neighbours")
    assert call(folder, "run", EXAMPLE, "--out", "mine", *sets(*TINY)).code == 0
    blank_judge(ICLEVR(image_size=16).spec()).save(folder / "judge")
    blank_judge(ICLEVR(image_size=32).spec()).save(folder / "large")
    return folder


def test_the_command_writes_a_picture_and_its_figures(place: Path) -> None:
    before = contents(place)
    done = call(place, "neighbours", "mine", "--n", 3, "--k", 2, "--count", 6, "--out", "new/n.png")
    assert (done.code, complaint(done)) == (0, "")
    first, *lines, last = done.out.splitlines()
    assert first == (
        "generator after 64 images; 6 samples and as many real images, compared with 12; distances in pixels, averaged "
        "down to at most 32 pixels a side"
    )
    assert len(lines) == 5
    assert last == "wrote new/n.png and new/n.json"
    record = json.loads((place / "new" / "n.json").read_text())
    assert (record["space"], record["judge"], record["count"]) == ("pixel", None, 6)
    assert [len(each["neighbours"]) for each in record["samples"]] == [2] * 6
    assert lines[2].split()[3] == f"{record['summary']['memorisation_ratio']:.4g}"
    with Image.open(place / "new" / "n.png") as image:
        assert image.width > 800
    after = contents(place)
    assert {name for name in after if name not in before} == {"new", "new/n.png", "new/n.json"}
    assert all(after[name] == before[name] for name in before)
    picture = (place / "new" / "n.png").read_bytes()
    assert call(place, "neighbours", "mine", "--n", 3, "--k", 2, "--count", 6, "--out", "new/n.png").code == 0
    assert (place / "new" / "n.png").read_bytes() == picture
    assert json.loads((place / "new" / "n.json").read_text()) == record


def test_in_a_judges_features(place: Path) -> None:
    done = call(place, "neighbours", "mine", "--n", 2, "--count", 4, "--judge", "judge")
    assert (done.code, complaint(done)) == (0, "")
    record = json.loads((place / "neighbours.json").read_text())
    card = json.loads((place / "judge" / "judge.json").read_text())
    assert (record["space"], record["resizer"]) == ("judge", None)
    assert record["judge"]["sha256"] == card["sha256"]
    assert "distances in a judge's features" in done.out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--count", 13], "13 images requested, but the data has 12 images; pass --count 12 or less"),
        (
            ["--count", 12, "--k", 12],
            "12 neighbours of each requested, but the data has 12 images; pass --k 11 or less",
        ),
        (["--n", 5, "--count", 4], "--n 5 exceeds --count 4; raise --count"),
        (
            ["--judge", "large"],
            "the judge takes images of 3x32x32, got 3x16x16; train a judge on such data with "
            "'ganforge judge train'",
        ),
        (
            ["--judge", "mine"],
            "mine is not a judge: it has no judge.json; pass the folder that 'ganforge judge train' wrote",
        ),
    ],
)
def test_mistakes_are_refused_and_nothing_is_written(
    place: Path, options: list[str | int], expected: str
) -> None:
    before = contents(place)
    done = call(place, "neighbours", "mine", *options)
    assert (done.code, done.out, complaint(done)) == (2, "", f"{expected}\n")
    assert contents(place) == before


def test_the_picture_is_a_png(place: Path) -> None:
    done = call(place, "neighbours", "mine", "--out", "n.pdf")
    assert done.code == 2
    assert done.err.endswith("--out n.pdf: expected a name that ends in .png\n")
