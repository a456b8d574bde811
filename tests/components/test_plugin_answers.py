"""A plugin that gives what it must not: the message says what, whose, and what was due."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import Context, DataSpec, LabelSpec, Samples, Split, Verdict
from ganforge.components.calls import open_data
from ganforge.components.faults import ComponentFault
from ganforge.components.registry import Registry
from ganforge.config import validate
from support.contexts import context
from support.faulty_plugin import OF, behaves, fault
from support.faulty_plugin import registry as registry
from support.faulty_plugin import well_behaved as well_behaved
from support.toys import Squares, toy_document, toy_loop

WRONG: list[tuple[str, str, Callable[[Any], Any], str]] = [
    ("loss", "d_loss", lambda value: None, "loss 'bad' {of}: d_loss returned None; expected a scalar tensor of floats"),
    ("loss", "d_loss", lambda value: 1.0, "loss 'bad' {of}: d_loss returned a float; expected a scalar tensor of floats"),
    ("loss", "d_loss", lambda value: value.expand(8), "loss 'bad' {of}: d_loss returned a tensor of float32, shape (8,); expected a scalar tensor of floats"),
    ("loss", "g_loss", lambda value: value.long(), "loss 'bad' {of}: g_loss returned a tensor of int64, shape (); expected a scalar tensor of floats"),
    ("loss", "d_loss", lambda value: value.detach(), "loss 'bad' {of}: d_loss returned a tensor off the graph (requires_grad is False), from which the discriminator cannot learn"),
    ("loss", "g_loss", lambda value: value.detach(), "loss 'bad' {of}: g_loss returned a tensor off the graph (requires_grad is False), from which the generator cannot learn"),
    ("loss", "estimates", lambda value: None, "loss 'bad' {of}: estimates returned None; expected a dict of scalar tensors"),
    ("loss", "estimates", lambda value: {"x": 1.0}, "loss 'bad' {of}: estimates ('x') returned a float; expected a scalar tensor of floats"),
    ("terms", "call", lambda value: value.expand(8, 1), "term 'bad' {of}: its call returned a tensor of float32, shape (8, 1); expected a scalar tensor of floats"),
    ("terms", "call", lambda value: value.detach(), "term 'bad' {of}: its call returned a tensor off the graph (requires_grad is False), from which the discriminator cannot learn"),
    ("terms", "heads", lambda value: {"h": 1.5}, "term 'bad' {of}: heads returned {{'h': 1.5}}; expected a dict of names and widths"),
    ("prior", "z_dim", lambda value: 0, "prior 'bad' {of}: z_dim returned 0; expected a whole number from 1"),
    ("prior", "sample", lambda value: value.z, "prior 'bad' {of}: sample returned a tensor of float32, shape (48, 8); expected a Draw"),
    ("prior", "sample", lambda value: value._replace(z=value.z[:, :7]), "prior 'bad' {of}: sample returned latents a tensor of float32, shape (48, 7); expected floats of shape (48, 8)"),
    ("nets", "build", lambda value: None, "architecture 'bad' {of}: build returned None; expected Networks of two modules"),
    ("nets", "generator", lambda value: value[..., :15], "architecture 'bad' {of}: the generator returned a tensor of float32, shape (8, 3, 16, 15); expected floats of shape (8, 3, 16, 16)"),
    ("nets", "discriminator", lambda value: value.logits, "architecture 'bad' {of}: the discriminator returned a tensor of float32, shape (8,); expected a Verdict"),
    ("nets", "discriminator", lambda value: Verdict(value.logits[:7]), "architecture 'bad' {of}: the discriminator returned logits as a tensor of float32, shape (7,); expected floats of shape (8,), or (8, ...) for patches"),
    ("callbacks", "augment", lambda value: value[:4], "callback 'bad' {of}: augment returned a tensor of float32, shape (4, 3, 16, 16); expected floats of shape (8, 3, 16, 16)"),
    ("metrics", "compute", lambda value: 3.0, "metric 'bad' {of}: compute returned a float; expected a dict of numbers"),
    ("metrics", "compute", lambda value: {"x": torch.zeros(())}, "metric 'bad' {of}: compute returned a tensor of float32, shape () for 'x'; expected a number"),
    ("optimizer", "build", lambda value: "adam", "optimizer 'bad' {of}: build returned a str; expected a torch.optim.Optimizer"),
    ("data", "spec", lambda value: None, "data set 'bad' {of}: spec returned None; expected a DataSpec"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "where", "spoil", "expected"), WRONG)
def test_what_is_wrong(
    tmp_path: Path,
    registry: Registry,
    kind: str,
    where: str,
    spoil: Callable[[Any], Any],
    expected: str,
) -> None:
    behaves(lambda what, value: spoil(value) if what == where else value)
    assert fault(tmp_path, registry, kind) == expected.format(of=OF)


def test_images_as_floats_outside_of_minus_1_to_1(tmp_path: Path) -> None:
    class Floats(Squares):
        def build(self, split: Split, context: Context) -> Samples:
            return Samples(super().build(split, context).images.float() / self.count, None)

    class Latents(Floats):
        def picture(self, samples: torch.Tensor) -> torch.Tensor:
            return samples

    for count, message in ((1, "0 to 59"), (40, "0 to 1.475")):
        with pytest.raises(ComponentFault) as caught:
            data = Floats(count=count, labels="none")
            open_data(data, "train", data.spec(), context(tmp_path))
        assert f"build returned images as floats from {message}" in str(caught.value)
        assert str(caught.value).endswith(
            "; expected [-1, 1], or uint8 from 0 to 255 (for other values, such as latents of a decoder, define picture)"
        )
    for data in (Floats(count=59, labels="none"), Latents(count=1, labels="none")):
        open_data(data, "train", data.spec(), context(tmp_path))


def test_a_generator_off_the_graph(tmp_path: Path, registry: Registry) -> None:
    def how(what: str, value: Any) -> Any:
        return value.detach() if what == "generator" else value

    behaves(how)
    assert fault(tmp_path, registry, "nets") == (
        f"architecture 'bad' {OF}: the generator returned a tensor off the graph (requires_grad is False), from "
        "which it cannot learn"
    )


def test_a_head_that_is_missing(tmp_path: Path, registry: Registry) -> None:
    document = toy_document(nets={"type": "bad"}, terms=[{"type": "auxiliary_classifier"}])
    config = validate(document, registry, file="toy.toml")
    loop, _ = toy_loop(tmp_path, config)
    with pytest.raises(ComponentFault) as caught:
        loop._iterate(measure=False)
    assert str(caught.value) == (
        f"architecture 'bad' {OF}: the discriminator's head 'labels' returned None; expected floats of shape (8, 3)"
    )


DATA: list[tuple[Callable[[Samples], Any], str]] = [
    (lambda given: None, "build returned None; expected Samples"),
    (lambda given: Samples(given.images.double(), given.labels), "build returned images as a tensor of float64, shape (48, 3, 16, 16); expected a tensor of uint8 or float32"),
    (lambda given: Samples(given.images[:, :1], given.labels), "declared samples of shape (3, 16, 16), but build returned (1, 16, 16)"),
    (lambda given: Samples(given.images), "declared 3 labels per sample, but build returned none"),
    (lambda given: Samples(given.images, given.labels[:, :2]), "declared 3 labels per sample, but build returned labels of shape (48, 2)"),  # type: ignore[index]
    (lambda given: Samples(given.images, given.labels[:40]), "build returned 48 samples, but 40 rows of labels"),  # type: ignore[index]
    (lambda given: Samples(given.images / 0.0, given.labels), "build returned non-finite samples"),
    (lambda given: Samples(given.images, given.labels[:0], paired=False), "build returned no labels for an unpaired data set; expected 1 or more"),  # type: ignore[index]
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "expected"), DATA)
def test_data_that_are_not_as_promised(
    tmp_path: Path, registry: Registry, spoil: Callable[[Samples], Any], expected: str
) -> None:
    behaves(lambda what, value: spoil(value) if what == "build" else value)
    data = registry.find("data", "bad")()
    with pytest.raises(ComponentFault) as caught:
        open_data(data, "train", data.spec(), context(tmp_path))  # type: ignore[arg-type, attr-defined]
    assert str(caught.value) == f"data set 'bad' {OF}: {expected}"


def image_data(size: tuple[int, int, int]) -> DataSpec:
    return DataSpec(shape=(3, 16, 16), labels=LabelSpec(kind="image", size=size))


def test_labels_that_are_images_and_not_as_promised(tmp_path: Path, registry: Registry) -> None:
    data = registry.find("data", "bad")()
    images = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    cases = [
        (None, "declared labels of shape (1, 8, 8) per sample, but build returned none"),
        (
            images,
            "declared labels of shape (1, 8, 8) per sample, but build returned labels of shape (4, 3, 16, 16)",
        ),
        (
            images[:, :1, :8, :8].float(),
            "build returned images as labels as a tensor of float32, shape (4, 1, 8, 8); expected a tensor of uint8",
        ),
        (images[:3, :1, :8, :8], "build returned 4 samples, but 3 rows of labels"),
    ]
    for labels, expected in cases:
        behaves(lambda what, value, labels=labels: Samples(images, labels) if what == "build" else value)
        with pytest.raises(ComponentFault) as caught:
            open_data(data, "train", image_data((1, 8, 8)), context(tmp_path))  # type: ignore[arg-type]
        assert str(caught.value) == f"data set 'bad' {OF}: {expected}"


def test_labels_that_are_a_collection_of_their_own_have_a_length_of_their_own(
    tmp_path: Path, registry: Registry
) -> None:
    data = registry.find("data", "bad")()
    images = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    behaves(lambda what, value: Samples(images, images[:3], paired=False) if what == "build" else value)
    opened = open_data(data, "train", image_data((3, 16, 16)), context(tmp_path))  # type: ignore[arg-type]
    assert opened.labels is not None
    assert (len(opened), len(opened.labels)) == (4, 3)
