"""Images that are read batch by batch: the same run as from memory, and blocks that are read together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from ganforge.api import Context, Samples, Split, Stored, UserError, in_memory
from ganforge.components.registry import Registry
from ganforge.config import validate
from ganforge.engine.data.batches import Batches, Order
from ganforge.testing.squares import Squares
from ganforge.testing.subject import with_squares
from support.toys import run, toy_document, toy_loop, toy_registry, weights_of

CPU = torch.device("cpu")
BLOCKS = [3, 5, 2, 6, 4, 4, 7, 1]


class Kept(Stored):
    """A tensor that is read row by row."""

    def __init__(self, images: Tensor, lengths: Sequence[int] = ()) -> None:
        self.images, self.lengths = images, lengths
        self.shape = tuple(images.shape)

    @property
    def blocks(self) -> Sequence[int]:
        return self.lengths or super().blocks

    def read(self, rows: Tensor) -> Tensor:
        return self.images[rows]


class Distant(Squares):
    """Squares that are read batch by batch."""

    type: Literal["distant"] = "distant"  # type: ignore[assignment]

    def build(self, split: Split, context: Context) -> Samples:
        found = super().build(split, context)
        return Samples(Kept(in_memory(found.images)), found.labels, found.mirror)


def registry() -> Registry:
    return with_squares(toy_registry(), Distant)


def test_a_run_is_the_same_bit_for_bit_as_from_memory(tmp_path: Path) -> None:
    found = []
    for name in ("squares", "distant"):
        document = toy_document(data={"type": name, "mirror": True})
        loop, log = toy_loop(tmp_path / name, validate(document, registry(), file="toy.toml"))
        assert run(loop)
        found.append(weights_of(loop))
        said = "data: 48 images are read from 1 blocks while training runs"
        assert (said in log.lines) == (name == "distant")
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_an_epoch_of_blocks_has_each_sample_once_in_another_order_each_time() -> None:
    order = Order(sum(BLOCKS), 8, "epoch", BLOCKS, 3)
    epochs = [torch.cat([order.batch(5, 4 * epoch + i) for i in range(4)]).tolist() for epoch in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(32))] * 2
    assert epochs[0] != epochs[1]
    assert order.batch(5, 3).tolist() == Order(32, 8, "epoch", BLOCKS, 3).batch(5, 3).tolist()


def test_only_the_blocks_of_a_window_are_mixed() -> None:
    owner = torch.repeat_interleave(torch.arange(len(BLOCKS)), torch.tensor(BLOCKS))
    order = Order(32, 32, "epoch", BLOCKS, 3)
    owners = owner[order.batch(0, 0)].tolist()
    sizes = Counter(owners)
    place = 0
    for window in range(3):
        # A window ends where its blocks are complete.
        rest, seen = owners[place:], set[int]()
        for block in rest:
            if len(seen | {block}) > 3:
                break
            seen.add(block)
            place += 1
        assert place == sum(sizes[b] for b in set(owners[:place])), window
    assert place == 32
    whole = Order(32, 32, "epoch").batch(0, 0)
    assert torch.equal(Order(32, 32, "epoch", [32], 4).batch(0, 0), whole)


def test_what_does_not_fit_is_refused() -> None:
    images = Kept(torch.zeros(32, 3, 4, 4, dtype=torch.uint8), [5, 6])
    with pytest.raises(UserError) as caught:
        Batches(Samples(images), 4, 0, CPU)
    assert str(caught.value) == "the blocks of the data have 11 samples, expected 32"
    with pytest.raises(UserError) as caught:
        Batches(Samples(Kept(images.images)), 4, 0, CPU, placement="resident")
    assert str(caught.value) == (
        'train.placement = "resident" needs the images in memory, but this data set reads them batch by batch; '
        'use "auto" or "streamed"'
    )
    with pytest.raises(UserError) as caught:
        in_memory(images)
    assert str(caught.value) == (
        "this needs all 32 images in memory, but the data set reads them batch by batch; use a data set that "
        "decodes them once, such as 'image_folder'"
    )


def test_slices_and_indices_read_rows() -> None:
    images = Kept(torch.arange(12, dtype=torch.uint8).view(12, 1))
    assert images[2:5].flatten().tolist() == [2, 3, 4]
    assert images[torch.tensor([7, 7, 0])].flatten().tolist() == [7, 7, 0]
    assert len(images) == 12


def test_a_slice_is_of_as_many_rows_as_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set may have more samples than a list of their numbers has room for."""
    images = Kept(torch.arange(20).view(10, 2))
    sizes = []
    arange = torch.arange
    monkeypatch.setattr(torch, "arange", lambda *given: sizes.append(len(arange(*given))) or arange(*given))
    assert torch.equal(images[:3], torch.tensor([[0, 1], [2, 3], [4, 5]]))
    assert torch.equal(images[-2:], torch.tensor([[16, 17], [18, 19]]))
    assert images[20:].shape == (0, 2) and sizes == [3, 2, 0]
