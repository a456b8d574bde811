"""Data sets made of other data sets: images with conditions of their own making, and two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch

from ganforge.api import Context, Dataset, DataSpec, LabelSpec, Samples, Split, UserError
from ganforge.components.calls import open_data
from ganforge_datasets.conditions_of import edges, grey, hole, low, outline
from ganforge_datasets.derived import AT_ONCE, Derived
from ganforge_datasets.pairs import Pairs
from ganforge_datasets.toy2d import Toy2D
from support.contexts import context, refused
from support.pictures import data as images
from support.pictures import folder, png


class Noise(Dataset):
    """Labelled images; the test split has other ones."""

    type: Literal["noise"] = "noise"
    count: int = 7
    size: tuple[int, int] = (8, 12)
    mirror: bool = True

    def spec(self) -> DataSpec:
        return DataSpec(shape=(3, *self.size), labels=LabelSpec(kind="one_of_k", names=("a", "b")))

    def build(self, split: Split, context: Context) -> Samples:
        rng = torch.Generator().manual_seed(self.count + (split == "test"))
        pixels = torch.randint(0, 256, (self.count, 3, *self.size), generator=rng, dtype=torch.uint8)
        labels = torch.eye(2, dtype=torch.uint8).repeat(self.count, 1)[: self.count]
        return Samples(pixels, labels, self.mirror, torch.arange(self.count) // 2, 3)


def opened(dataset: Dataset, folder: Path, split: Split = "train") -> Samples:
    return open_data(dataset, split, dataset.spec(), context(folder))


def inner(split: Split = "train", **fields: int) -> torch.Tensor:
    return Noise(**fields).build(split, None).images  # type: ignore[arg-type]


MADE = [
    ("grey", (1, 8, 12), grey),
    ("edges", (1, 8, 12), edges),
    ("outline", (1, 8, 12), outline),
    ("low", (3, 2, 3), lambda x: low(x, 4)),
    ("hole", (3, 8, 12), hole),
    ("same", (3, 8, 12), lambda x: x),
]


@pytest.mark.parametrize(("condition", "size", "make"), MADE, ids=[name for name, _, _ in MADE])
@pytest.mark.parametrize("split", ["train", "test"])
def test_conditions_are_made_of_the_images(
    condition: str, size: tuple[int, ...], make: object, split: Split, tmp_path: Path
) -> None:
    data = Derived(of=Noise(), condition=condition)  # type: ignore[arg-type]
    assert data.spec() == DataSpec(shape=(3, 8, 12), labels=LabelSpec(kind="image", size=size))
    samples = opened(data, tmp_path, split)
    assert torch.equal(samples.images, inner(split))
    assert samples.labels is not None
    assert torch.equal(samples.labels, make(inner(split)))  # type: ignore[operator]
    assert samples.groups is not None
    assert (samples.mirror, samples.random_crop, samples.paired) == (True, 3, True)
    assert samples.groups.tolist() == [0, 0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("condition", ["left", "right"])
def test_a_picture_of_two_halves(condition: Literal["left", "right"], tmp_path: Path) -> None:
    data = Derived(of=Noise(), condition=condition)
    samples = opened(data, tmp_path)
    assert data.spec().shape == data.spec().labels.size == (3, 8, 6)
    halves = {"left": inner()[..., :6], "right": inner()[..., 6:]}
    assert samples.labels is not None
    assert torch.equal(samples.labels, halves.pop(condition))
    assert torch.equal(samples.images, *halves.values())


def test_unpaired_conditions_are_made_of_other_images(tmp_path: Path) -> None:
    samples = opened(Derived(of=Noise(), condition="grey", paired=False), tmp_path)
    assert torch.equal(samples.images, inner()[:4])
    assert samples.labels is not None
    assert torch.equal(samples.labels, grey(inner()[4:]))
    assert not samples.paired
    assert samples.groups is not None
    assert len(samples.groups) == 4


def test_more_images_than_are_taken_at_a_time(tmp_path: Path) -> None:
    many = AT_ONCE + 3
    samples = opened(Derived(of=Noise(count=many), condition="grey"), tmp_path)
    assert samples.labels is not None
    assert torch.equal(samples.labels, grey(inner(count=many)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"condition": "low", "factor": 3}, "factor = 3 does not divide images of 8x12; use another factor"),
        ({"condition": "left", "of": Noise(size=(8, 11))}, "images of 8x11 cannot be cut into two halves; use an even width"),
        ({"condition": "grey", "of": Toy2D()}, "makes conditions of images, and data 'toy2d' has samples of shape (2,); name another data set in [data.of]"),
    ],
)  # fmt: skip
def test_conditions_that_cannot_be_made(fields: dict[str, object], message: str) -> None:
    data = Derived(**{"of": Noise(), **fields})  # type: ignore[arg-type]
    with pytest.raises(UserError) as refusal:
        data.spec()
    assert str(refusal.value) == f"data 'derived': {message}"


def test_one_image_has_no_two_halves(tmp_path: Path) -> None:
    data = Derived(of=Noise(count=1), condition="grey", paired=False)
    assert refused(data, tmp_path) == "data 'derived': paired = false needs 2 images, got 1"


def test_two_data_sets_side_by_side(tmp_path: Path) -> None:
    data = Pairs(of=Noise(), condition=Noise(size=(2, 3), mirror=False))
    assert data.spec() == DataSpec(shape=(3, 8, 12), labels=LabelSpec(kind="image", size=(3, 2, 3)))
    samples = opened(data, tmp_path)
    assert torch.equal(samples.images, inner())
    assert samples.labels is not None
    assert torch.equal(samples.labels, inner(size=(2, 3)))  # type: ignore[arg-type]
    assert (samples.mirror, samples.random_crop, samples.paired) == (True, 3, True)


def test_as_many_conditions_as_samples_unless_they_are_not_paired(tmp_path: Path) -> None:
    both = {"of": Noise(), "condition": Noise(count=5)}
    assert refused(Pairs(**both), tmp_path) == (  # type: ignore[arg-type]
        "data 'pairs': got 7 samples and 5 conditions; expected as many of both, or data.paired = false"
    )
    samples = opened(Pairs(**both, paired=False), tmp_path)  # type: ignore[arg-type]
    assert samples.labels is not None
    assert (len(samples), len(samples.labels), samples.paired) == (7, 5, False)


def test_points_are_no_pairs() -> None:
    for of, condition, table in ((Toy2D(), Noise(), "of"), (Noise(), Toy2D(), "condition")):
        with pytest.raises(UserError) as refusal:
            Pairs(of=of, condition=condition).spec()
        assert str(refusal.value) == (
            "data 'pairs': expected images, and data 'toy2d' has samples of shape (2,); name another data set "
            f"in [data.{table}]"
        )


def test_images_of_two_folders_have_the_same_names(tmp_path: Path) -> None:
    names = ["x/1.png", "x/2.png", "y.png"]
    ours = folder(tmp_path / "ours", {name: png(10 * i) for i, name in enumerate(names)})
    theirs = folder(tmp_path / "theirs", {name: png(100 + 10 * i) for i, name in enumerate(names)})
    samples = opened(Pairs(of=images(ours), condition=images(theirs)), tmp_path)
    assert samples.labels is not None
    assert (samples.images[:, 0, 0, 0] + 100).tolist() == samples.labels[:, 0, 0, 0].tolist()
    (theirs / "y.png").rename(theirs / "z.png")
    pair = Pairs(of=images(ours), condition=images(theirs))
    assert refused(pair, tmp_path) == (
        f"{ours / 'y.png'} has no condition of the same name in {theirs}; add it, or say data.paired = false"
    )
    assert refused(Pairs(of=pair.condition, condition=pair.of), tmp_path).startswith(str(theirs / "z.png"))
    (ours / "y.png").unlink()
    assert refused(pair, tmp_path) == (
        f"{theirs / 'z.png'} has no sample of the same name in {ours}; remove it, or say data.paired = false"
    )
    unpaired = Pairs(of=pair.of, condition=pair.condition, paired=False)
    assert len(opened(unpaired, tmp_path)) == 2
