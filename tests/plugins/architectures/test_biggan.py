"""BigGAN: the published sizes, both networks by hand, the chunks of the latent."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized

from ganforge.api import DataSpec, Networks, UserError
from ganforge_architectures import BigGAN
from ganforge_architectures.attention import SelfAttention
from support.networks import conv, count, spec


def counts(nets: BigGAN, side: int, classes: int, z_dim: int) -> tuple[int, int]:
    """Without spectral normalization, which adds no parameters and is slow to build."""
    with torch.device("meta"):
        plain = nets.model_copy(update={"spectral_norm": False})
        generator, discriminator = plain.build(spec(side, classes), z_dim, {})
    return count(generator), count(discriminator)


def attention(c: int) -> int:
    return 2 * (c * (c // 8)) + 2 * (c * (c // 2)) + 1


def expected(
    ch: int,
    g: list[int],
    d: list[int],
    same: int,
    classes: int,
    z_dim: int,
    attended: tuple[int, int] | None,
) -> tuple[int, int]:
    """The tables of the paper's appendix B, layer by layer; `same` blocks of the discriminator
    keep the resolution, and `attended` are the widths with attention, the generator's first."""
    chunk = z_dim // len(g)
    guide = chunk + (128 if classes else 0)
    of_g = 128 * classes + (z_dim - chunk * (len(g) - 1) + 1) * 16 * ch * g[0]
    for a, b in pairwise(ch * m for m in g):
        of_g += 2 * guide * a + 2 * guide * b + conv(a, b, 3) + conv(b, b, 3) + conv(a, b, 1)
    of_g += 2 * ch * g[-1] + conv(ch * g[-1], 3, 3)
    of_d = 0
    widths = [3, *(ch * m for m in d)]
    for i, (a, b) in enumerate(pairwise(widths)):
        of_d += conv(a, b, 3) + conv(b, b, 3)
        if a != b or i < len(d) - same:
            of_d += conv(a, b, 1)
    of_d += ch * d[-1] + 1 + classes * ch * d[-1]
    if attended:
        of_g, of_d = of_g + attention(ch * attended[0]), of_d + attention(ch * attended[1])
    return of_g, of_d


TABLES: dict[int, tuple[list[int], list[int], int, tuple[int, int] | None]] = {
    32: ([4, 4, 4, 4], [4, 4, 4, 4], 2, None),
    64: ([16, 16, 8, 4, 2], [1, 2, 4, 8, 16], 1, (4, 1)),
    128: ([16, 16, 8, 4, 2, 1], [1, 2, 4, 8, 16, 16], 1, (2, 1)),
}


@pytest.mark.parametrize("side", TABLES)
@pytest.mark.parametrize("classes", [0, 10])
def test_parameter_counts_follow_the_tables(side: int, classes: int) -> None:
    g, d, same, attended = TABLES[side]
    want = expected(8, g, d, same, classes, 64, attended)
    assert counts(BigGAN(channels=8), side, classes, 64) == want


def test_parameter_counts_for_imagenet_are_the_published_ones() -> None:
    # google/compare_gan, resnet_biggan_test.py: "whether resnet_biggan matches the original".
    assert counts(BigGAN(channels=96), 128, 1000, 120) == (70_433_988, 87_982_370)


@pytest.mark.parametrize(("side", "usual"), [(28, 0), (32, 0), (64, 32), (128, 64)])
def test_attention_sits_where_the_paper_has_it(side: int, usual: int) -> None:
    def sides(nets: BigGAN) -> list[list[int]]:
        seen: list[list[int]] = []
        for network, x in zip(
            nets.build(spec(side), 6, {}), (torch.randn(2, 6), torch.rand(2, 3, side, side)), strict=True
        ):
            seen.append([])
            for block in network.modules():
                if isinstance(block, SelfAttention):
                    block.register_forward_hook(lambda _m, _x, out, at=seen[-1]: at.append(out.shape[-1]))
            with torch.no_grad():
                network(x, None)
        return seen

    narrow = {"channels": 1, "init": "normal", "spectral_norm": False}
    assert sides(BigGAN.model_validate(narrow)) == ([[usual], [usual]] if usual else [[], []])
    assert sides(BigGAN.model_validate({**narrow, "attention": 0})) == [[], []]


def networks(classes: int, **fields: object) -> Networks:
    """Narrow, in float64, with attention that is not the identity."""
    torch.manual_seed(0)
    nets = BigGAN.model_validate({"channels": 2, "shared_dim": 5, "attention": 8, **fields})
    both = nets.build(spec(32, classes), 11, {})
    for network in both:
        network.double().eval()
        for block in network.modules():
            if isinstance(block, SelfAttention):
                nn.init.constant_(block.gain, 0.7)
    return both


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("spectral", [False, True])
def test_generator_computes_what_the_authors_code_computes(classes: int, spectral: bool) -> None:
    g, _ = networks(classes, spectral_norm=spectral)
    z, y = torch.randn(2, 11).double(), torch.eye(3).double()[[2, 0]]

    def norm(layer: nn.Module, x: Tensor, guide: Tensor) -> Tensor:
        gain, bias = 1 + guide @ layer.gain.weight.T, guide @ layer.bias.weight.T
        return x / (1 + 1e-5) ** 0.5 * gain[:, :, None, None] + bias[:, :, None, None]

    def up(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    # 11 numbers for 4 places: 2 a block, and 2 + 3 for the first layer.
    guides = [z[:, 5:7], z[:, 7:9], z[:, 9:11]]
    if classes:
        guides = [torch.cat([part, y @ g.embed.weight.T], 1) for part in guides]
    h = (z[:, :5] @ g.seed.weight.T + g.seed.bias).reshape(2, 8, 4, 4)
    for i, (block, guide) in enumerate(zip(g.blocks, guides, strict=True)):
        c1, c2, sc = block.conv1, block.conv2, block.shortcut
        r = F.conv2d(up(F.relu(norm(block.norm1, h, guide))), c1.weight, c1.bias, padding=1)
        r = F.conv2d(F.relu(norm(block.norm2, r, guide)), c2.weight, c2.bias, padding=1)
        h = F.conv2d(up(h), sc.weight, sc.bias) + r
        if i == 0:
            h = g.attention(h)
    h = F.relu(h / (1 + 1e-5) ** 0.5)
    want = torch.tanh(F.conv2d(h, g.out.weight, g.out.bias, padding=1))
    torch.testing.assert_close(g(z, y if classes else None), want)


@pytest.mark.parametrize("spectral", [False, True])
def test_discriminator_computes_what_the_authors_code_computes(spectral: bool) -> None:
    _, d = networks(3, spectral_norm=spectral)
    x, classes = torch.rand(2, 3, 32, 32).double(), [2, 0]

    def conv2d(layer: nn.Conv2d, h: Tensor) -> Tensor:
        return F.conv2d(h, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)

    def halve(h: Tensor) -> Tensor:
        return (h[:, :, ::2, ::2] + h[:, :, 1::2, ::2] + h[:, :, ::2, 1::2] + h[:, :, 1::2, 1::2]) / 4

    first, second, looks, third, fourth, _ = d.trunk
    h = halve(conv2d(first.conv2, F.relu(conv2d(first.conv1, x)))) + conv2d(first.shortcut, halve(x))
    r = halve(conv2d(second.conv2, F.relu(conv2d(second.conv1, F.relu(h)))))
    h = looks(r + halve(conv2d(second.shortcut, h)))
    for block in (third, fourth):
        h = h + conv2d(block.conv2, F.relu(conv2d(block.conv1, F.relu(h))))
    features = F.relu(h).sum((2, 3))
    verdict = d(x, torch.eye(3).double()[classes])
    torch.testing.assert_close(verdict.features, features)
    rows = d.logit.weight[0] + d.projection.embed.weight.T[classes]
    torch.testing.assert_close(verdict.logits, (features * rows).sum(1) + d.logit.bias)


@pytest.mark.parametrize(("z_dim", "chunks"), [(11, [5, 2, 2, 2]), (8, [2, 2, 2, 2]), (3, [3, 0, 0, 0])])
@pytest.mark.parametrize("classes", [0, 3])
def test_each_chunk_of_the_latent_goes_to_its_place(z_dim: int, chunks: list[int], classes: int) -> None:
    torch.manual_seed(1)
    g, _ = BigGAN(channels=2, shared_dim=5).build(spec(32, classes), z_dim, {})
    g.eval()
    seen: list[Tensor] = []
    for place in (g.seed, *g.blocks):
        place.register_forward_hook(lambda _m, _x, out: seen.append(out))
    cond = torch.eye(3)[:1] if classes else None
    ends = torch.tensor([0, *chunks]).cumsum(0).tolist()
    z = torch.randn(1, z_dim)
    with torch.no_grad():
        g(z, cond)
        for place, (start, end) in enumerate(pairwise(ends)):
            if start == end:
                continue
            other = z.clone()
            other[:, start:end] += 1
            g(other, cond)
            moved = [bool((a - b).abs().max() > 1e-6) for a, b in zip(seen[:4], seen[-4:], strict=True)]
            assert moved == [later >= place for later in range(4)]


def test_first_weights_are_orthogonal_or_normal() -> None:
    def matrices(init: str) -> list[Tensor]:
        torch.manual_seed(2)
        nets = BigGAN.model_validate({"channels": 8, "init": init, "spectral_norm": False})
        both = nets.build(spec(32, 10), 64, {})
        return [p.detach().flatten(1) for network in both for p in network.parameters() if p.ndim > 1]

    for weight in matrices("orthogonal"):
        small = weight if weight.shape[0] <= weight.shape[1] else weight.T
        torch.testing.assert_close(small @ small.T, torch.eye(len(small)), atol=1e-5, rtol=0)
    stds = [float(weight.std()) for weight in matrices("normal") if weight.numel() > 1000]
    assert stds == pytest.approx([0.02] * len(stds), rel=0.1)


def test_spectral_normalisation_spares_the_shared_embedding_and_the_heads() -> None:
    data = spec(32, 3)
    for on in (True, False):
        nets = BigGAN(channels=2, attention=8, spectral_norm=on)
        plain = {
            name
            for network in nets.build(data, 8, {"q": 2})
            for name, layer in network.named_modules()
            if isinstance(layer, nn.Conv2d | nn.Linear) and not is_parametrized(layer)
        }
        assert (plain == {"embed", "heads.layers.0"}) == on


@pytest.mark.parametrize(
    ("shape", "fields", "message"),
    [
        ((3, 48, 48), {}, "image size 48x48 is not one of 28, 32, 64, 128; resize the data to 32x32 or 64x64, or "
                          "use nets 'mlp'"),
        ((7,), {}, "needs images, got points of 7 dimensions; use nets 'mlp'"),
        ((3, 64, 64), {"attention": 64}, "attention = 64 is not the side of a feature map of both networks for 64x64 "
                                         "images; use 8, 16, 32, or 0 for off"),
    ],
)  # fmt: skip
def test_refusals(shape: tuple[int, ...], fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as refusal:
        BigGAN.model_validate(fields).build(DataSpec(shape=shape), 100, {})
    assert str(refusal.value) == f"nets 'biggan': {message}"
