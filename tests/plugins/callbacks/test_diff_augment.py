"""The callback `diff_augment`: each change by loops over samples and pixels, draws, gradients."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ganforge.api import UserError
from ganforge_callbacks import diff_augment
from ganforge_callbacks.diff_augment import DiffAugment, cut_out, recolor, translate

pytestmark = pytest.mark.numeric

SHAPES = [(5, 3, 8, 8), (5, 1, 7, 12)]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=rng(), dtype=torch.float64) * 2 - 1


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1, 1)


BRIGHTNESS, SATURATION, CONTRAST = (
    (0.5, -0.5, 0.2, 0, 0.1),
    (0, 2, 0.7, 1, 1),
    (1.5, 0.5, 0.9, 1, 1.2),
)
DOWN, RIGHT = (0, 1, -1, 3, -8), (0, -2, 2, 0, 1)
TOP, LEFT = (0, -2, 3, 6, 1), (0, 5, -3, 2, 11)


@pytest.mark.parametrize("shape", SHAPES)
def test_color_is_brightness_then_saturation_then_contrast(shape: tuple[int, ...]) -> None:
    x = images(*shape)
    got = recolor(x, column(*BRIGHTNESS), column(*SATURATION), column(*CONTRAST))
    for image, result, b, s, c in zip(x, got, BRIGHTNESS, SATURATION, CONTRAST, strict=True):
        want = image + b
        want = (want - want.mean(0)) * s + want.mean(0)
        want = (want - want.mean()) * c + want.mean()
        torch.testing.assert_close(result, want)
    torch.testing.assert_close(got[3], x[3])


@pytest.mark.parametrize("shape", SHAPES)
def test_translation_moves_by_whole_pixels_and_fills_with_grey(shape: tuple[int, ...]) -> None:
    x = images(*shape)
    got = translate(x, torch.tensor(DOWN), torch.tensor(RIGHT))
    for image, result, down, right in zip(x, got, DOWN, RIGHT, strict=True):
        for i in range(shape[2]):
            for j in range(shape[3]):
                inside = 0 <= i - down < shape[2] and 0 <= j - right < shape[3]
                want = image[:, i - down, j - right] if inside else torch.zeros(shape[1]).double()
                assert torch.equal(result[:, i, j], want)
    assert torch.equal(got[0], x[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_cutout_blanks_a_rectangle_that_may_lie_outside_in_part(shape: tuple[int, ...]) -> None:
    x = images(*shape)
    got = cut_out(x, torch.tensor(TOP), torch.tensor(LEFT), 3, 4)
    for image, result, top, left in zip(x, got, TOP, LEFT, strict=True):
        want = image.clone()
        want[:, max(0, top) : top + 3, max(0, left) : max(0, left + 4)] = 0
        assert torch.equal(result, want)


def test_draws_cover_the_papers_ranges_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[Tensor]] = {}
    for name in ("recolor", "translate", "cut_out"):

        def spy(x: Tensor, *given: Tensor, name: str = name) -> Tensor:
            drawn[name] = list(given)
            return x

        monkeypatch.setattr(diff_augment, name, spy)
    DiffAugment().augment(images(4000, 1, 16, 25), rng())
    colors = [(float(v.min()), float(v.max())) for v in drawn["recolor"]]
    assert colors == [pytest.approx(ends, abs=0.01) for ends in [(-0.5, 0.5), (0, 2), (0.5, 1.5)]]
    shifts = [(int(v.min()), int(v.max())) for v in drawn["translate"]]
    # 1/8 of 16 and of 25, and 25 / 2 is rounded up: 13, so the centre is at most 24.
    assert shifts == [(-2, 2), (-3, 3)]
    top, left, height, width = drawn["cut_out"]
    assert (height, width) == (8, 13)
    assert [(int(v.min()), int(v.max())) for v in (top, left)] == [(0 - 4, 16 - 4), (0 - 6, 24 - 6)]


def test_identity_where_the_draws_ask_for_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(2, 3, 8, 8)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, 0.5).double())
    monkeypatch.setattr(diff_augment, "_integers", lambda _low, _high, x, _rng: torch.zeros(len(x)).long())
    torch.testing.assert_close(DiffAugment(policy=("color", "translation")).augment(x, rng()), x)


def test_each_change_is_off_when_not_in_the_policy() -> None:
    x = images(6, 3, 16, 16)
    assert torch.equal(DiffAugment(policy=()).augment(x, rng()), x)
    color, translation, cutout = (
        DiffAugment.model_validate({"policy": (name,)}).augment(x, rng())
        for name in ("color", "translation", "cutout")
    )
    assert (color - x).abs().amin(dim=(1, 2, 3)).max() > 0
    # A hole and nothing else; at least a quarter of it is inside.
    untouched = (cutout == x).all(1)
    assert (cutout[(~untouched)[:, None].expand_as(x)] == 0).all()
    assert (~untouched).sum(dim=(1, 2)).min() >= 4 * 4
    # Every value that is still there is one of the image's.
    for image, moved in zip(x, translation, strict=True):
        assert torch.isin(moved[moved != 0], image).all()
        assert (moved != 0).sum() >= 3 * 14 * 14


def test_the_order_is_that_of_the_policy() -> None:
    x = images(3, 3, 8, 8) + 2
    hole_first, hole_last = (
        DiffAugment.model_validate({"policy": policy}).augment(x, rng(1))
        for policy in (("cutout", "color"), ("color", "cutout"))
    )
    assert (hole_last == 0).any()
    assert not (hole_first == 0).any()


def test_the_stream_decides_and_the_global_one_is_left_alone() -> None:
    x, augment = images(4, 3, 16, 16), DiffAugment().augment
    before = torch.get_rng_state()
    once, again, other = augment(x, rng(1)), augment(x, rng(1)), augment(x, rng(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    stream = rng(1)
    augment(x, stream)
    assert not torch.equal(augment(x, stream), once)


def test_gradients_of_both_orders_are_exact() -> None:
    x = images(2, 3, 4, 4).requires_grad_()

    def augmented(x: Tensor) -> Tensor:
        return DiffAugment().augment(x, rng(3)).pow(3)

    assert torch.autograd.gradcheck(augmented, (x,))
    assert torch.autograd.gradgradcheck(augmented, (x,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_type_and_layout_are_kept(dtype: torch.dtype, channels: int) -> None:
    x = images(4, channels, 16, 16).to(dtype).to(memory_format=torch.channels_last)
    out = DiffAugment().augment(x, rng())
    assert (out.shape, out.dtype) == (x.shape, dtype)
    assert out.is_contiguous(memory_format=torch.channels_last)
    plain = DiffAugment().augment(x.contiguous(), rng())
    torch.testing.assert_close(out, plain)


def test_points_are_refused() -> None:
    with pytest.raises(UserError) as refusal:
        DiffAugment().augment(torch.zeros(4, 2), rng())
    assert str(refusal.value) == (
        "callback 'diff_augment': needs images, got points of 2 dimensions; remove it from [[callbacks]]"
    )


def test_an_unknown_change_is_refused() -> None:
    with pytest.raises(ValidationError, match="'color', 'translation' or 'cutout'"):
        DiffAugment.model_validate({"policy": ("colour",)})
