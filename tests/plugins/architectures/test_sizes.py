"""Images of any size base x 2^k, square or not, and of any number of channels."""

from __future__ import annotations

import pytest
import torch

from ganforge.api import DataSpec, LabelSpec, UserError
from ganforge_architectures.dcgan import DCGAN
from ganforge_architectures.r3gan import R3GAN
from ganforge_architectures.resnet import ResNet
from ganforge_architectures.shapes import Grid, image_grid

NETS = {
    "dcgan": DCGAN(width=2),
    "dcgan, wide": DCGAN(width=2, fc_width=3, conditioning="concat"),
    "resnet": ResNet(g_width=2, d_width=2, attention=0, conditioning="concat"),
    "resnet, projection": ResNet(g_width=8, d_width=8),
    "r3gan": R3GAN(width=32, group_width=1, blocks=1),
}
SHAPES = [
    (3, 16, 32),
    (1, 32, 16),
    (3, 20, 20),
    (4, 24, 48),
    (2, 28, 56),
    (6, 40, 40),
    (3, 48, 96),
    (3, 64, 112),
    (3, 96, 32),
]
LABELS = LabelSpec(kind="one_of_k", names=("a", "b", "c"))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("nets", NETS)
def test_images_come_out_as_large_as_they_go_in(nets: str, shape: tuple[int, ...]) -> None:
    g, d = NETS[nets].build(DataSpec(shape=shape, labels=LABELS), 5, {"code": 3})
    z, cond = torch.randn(2, 5), torch.eye(3)[:2]
    images = g(z, cond)
    assert images.shape == (2, *shape) and images.abs().max() <= 1
    verdict = d(images, cond)
    assert verdict.logits.shape == (2,) and verdict.heads["code"].shape == (2, 3)
    verdict.logits.sum().backward()
    unused = [name for name, weight in [*g.named_parameters(), *d.named_parameters()] if weight.grad is None]
    assert all("heads" in name for name in unused)


@pytest.mark.parametrize(
    ("size", "base", "halvings"),
    [
        ((16, 16), (4, 4), 2), ((28, 28), (7, 7), 2), ((32, 32), (4, 4), 3), ((48, 48), (6, 6), 3),
        ((256, 256), (4, 4), 6), ((512, 512), (4, 4), 7), ((1024, 1024), (4, 4), 8), ((20, 40), (5, 10), 2),
        ((40, 20), (10, 5), 2), ((96, 64), (6, 4), 4), ((64, 64 * 9), (4, 36), 4),
    ],
)  # fmt: skip
def test_grids(size: tuple[int, int], base: tuple[int, int], halvings: int) -> None:
    assert image_grid("x", DataSpec(shape=(3, *size))) == Grid(base, halvings)


def test_the_sizes_in_the_message_have_a_grid() -> None:
    for height, width in ((9, 9), (17, 90), (90, 17), (100, 60), (1080, 1920), (33, 35), (15, 16), (62, 63)):
        with pytest.raises(UserError) as caught:
            image_grid("x", DataSpec(shape=(3, height, width)))
        sizes = (
            str(caught.value)
            .split("resize the data to ")[1]
            .removesuffix(", or use nets 'mlp'")
            .split(" or ")
        )
        for size in sizes:
            other = tuple(int(side) for side in size.split("x"))
            assert image_grid("x", DataSpec(shape=(3, *other))).halvings >= 2
            assert (other[0] > other[1]) == (height > width) or other[0] == other[1]
