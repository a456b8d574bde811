"""The metric `stacked_mnist`: modes of a thousand, and the divergence over them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ganforge_metrics.stacked_mnist as module
from ganforge.api import DataSpec, LabelSpec, Samples, UserError
from ganforge.api.judge.judge import Judge
from ganforge.api.judge.network import JudgeNetwork
from ganforge_metrics.stacked_mnist import StackedMNIST, divergence, figures, frequencies, read_digits
from support.judges import blank_judge
from support.two_sets import Given

NAMES = tuple("0123456789")
KEYS = ("stacked_mnist_modes", "stacked_mnist_kl", "stacked_mnist_kl_uniform")


def judge_spec(side: int = 28, names: tuple[str, ...] = NAMES) -> DataSpec:
    return DataSpec(shape=(1, side, side), labels=LabelSpec(kind="one_of_k", names=names))


def column_judge(side: int = 28) -> Judge:
    """A judge by hand: the digit is the brightest of the ten columns in the middle of the image."""
    body = nn.Sequential(nn.Flatten())
    network = JudgeNetwork(body, side * side, 10)
    weight = torch.zeros(10, side, side)
    for digit in range(10):
        weight[digit, :, side // 2 - 5 + digit] = 1
    network.load_state_dict({"head.weight": weight.flatten(1), "head.bias": torch.zeros(10)})
    return Judge.of(network, judge_spec(side), architecture="small_resnet", width=1)


def drawn(digits: Tensor, side: int = 28) -> Tensor:
    """Images uint8 [N, C, S, S] that show `digits` [N, C] to such a judge."""
    images = torch.zeros(*digits.shape, side, side, dtype=torch.uint8)
    for n, row in enumerate(digits.tolist()):
        for channel, digit in enumerate(row):
            images[n, channel, :, side // 2 - 5 + digit] = 255
    return images


def counted(n: int, seed: int = 0) -> Tensor:
    return torch.randint(10, (n, 3), generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path) -> Judge:
        return column_judge()

    monkeypatch.setattr(module, "load_judge", load)


@pytest.mark.parametrize("images", [28, 32])
@pytest.mark.parametrize("judge", [28, 32])
def test_digits_are_read_at_the_judges_size(images: int, judge: int) -> None:
    digits = torch.arange(10)[:, None]
    shown = drawn(digits, images).float() / 127.5 - 1
    assert torch.equal(read_digits(column_judge(judge), shown), digits[:, 0])


def test_the_border_is_black(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    judge = column_judge(32)

    def logits(images: Tensor) -> Tensor:
        seen.append(images)
        return torch.zeros(1, 10)

    monkeypatch.setattr(judge, "logits", logits)
    read_digits(judge, torch.full((1, 1, 28, 28), 0.5))
    assert seen[0].shape == (1, 1, 32, 32)
    assert (seen[0][0, 0, 2:30, 2:30] == 0.5).all() and seen[0].sum() == 0.5 * 784 - (1024 - 784)


def test_all_modes_once_are_a_thousand_without_divergence() -> None:
    every = torch.cartesian_prod(*[torch.arange(10)] * 3)
    assert figures(every, frequencies(every)) == dict(
        zip(KEYS, (1000.0, pytest.approx(0), pytest.approx(0)), strict=True)
    )


def test_closed_forms() -> None:
    every = torch.cartesian_prod(*[torch.arange(10)] * 3)
    uniform = torch.full((1000,), 1e-3).double()
    one = figures(every[:1].expand(50, -1), uniform)
    assert one == dict(
        zip(KEYS, (1.0, pytest.approx(math.log(1000)), pytest.approx(math.log(1000))), strict=True)
    )
    half = figures(every[:500], uniform)
    assert half == dict(
        zip(KEYS, (500.0, pytest.approx(math.log(2)), pytest.approx(math.log(2))), strict=True)
    )
    # Of modes p and 1 - p against q and 1 - q.
    found = divergence(torch.tensor([3, 1]), torch.tensor([0.5, 0.5]).double())
    assert found == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert divergence(torch.tensor([3, 1]), torch.tensor([1.0, 0.0]).double()) == math.inf
    assert math.isnan(divergence(torch.tensor([0, 0]), torch.tensor([0.5, 0.5]).double()))


def test_frequencies_are_products_of_the_channels() -> None:
    digits = torch.tensor([[1, 2, 3], [1, 2, 4], [1, 5, 3], [0, 2, 3]])
    expected = frequencies(digits).reshape(10, 10, 10)
    assert expected.sum() == pytest.approx(1)
    assert expected[1, 2, 3] == pytest.approx((3 / 4) ** 3)
    assert expected[0, 5, 4] == pytest.approx((1 / 4) ** 3)
    assert expected[7, 2, 3] == 0


@pytest.mark.usefixtures("by_hand")
def test_the_metric_of_a_generator(tmp_path: Path) -> None:
    # Data without the digit 9 in red; a generator with three modes, one of them half of the time.
    real = counted(2000)
    real[:, 0] %= 9
    shown = torch.tensor([[1, 2, 3], [4, 5, 6], [1, 2, 3], [0, 0, 0]])
    metric = StackedMNIST(judge=tmp_path, samples=4, real=2000)
    fakes = Given(drawn(shown), DataSpec(shape=(3, 28, 28)))
    found = metric.compute(fakes, Samples(drawn(real)))
    share = [[(real[:, c] == digit).float().mean().item() for digit in range(10)] for c in range(3)]
    expected = {
        mode: math.prod(share[c][mode[c]] for c in range(3)) for mode in ((1, 2, 3), (4, 5, 6), (0, 0, 0))
    }
    kl = 0.5 * math.log(0.5 / expected[1, 2, 3]) + sum(
        0.25 * math.log(0.25 / expected[mode]) for mode in ((4, 5, 6), (0, 0, 0))
    )
    uniform = 0.5 * math.log(500) + 0.5 * math.log(250)
    assert found == dict(zip(KEYS, (3.0, pytest.approx(kl), pytest.approx(uniform)), strict=True))
    assert metric.compute(fakes, Samples(drawn(real))) == found
    assert fakes.asked == [(4, 0), (4, 0)]


@pytest.mark.usefixtures("by_hand")
def test_samples_that_are_not_finite_are_in_no_mode(tmp_path: Path) -> None:
    images = drawn(torch.tensor([[1, 2, 3], [4, 5, 6]])).float() / 127.5 - 1
    images[1, 2, 0, 0] = math.nan
    spec, data = DataSpec(shape=(3, 28, 28)), Samples(drawn(counted(100)))
    metric = StackedMNIST(judge=tmp_path, samples=2, real=100)
    assert metric.compute(Given(images, spec), data)["stacked_mnist_modes"] == 1
    lost = metric.compute(Given(images * math.nan, spec), data)
    assert lost["stacked_mnist_modes"] == 0 and math.isnan(lost["stacked_mnist_kl"])


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    data = Samples(torch.zeros(20, 3, 28, 28, dtype=torch.uint8))

    def refusal(made_for: DataSpec, shape: tuple[int, ...] = (3, 28, 28), **fields: Any) -> str:
        blank_judge(made_for).save(tmp_path)
        with pytest.raises(UserError) as error:
            StackedMNIST(judge=tmp_path, **fields).compute(Given(data.images, DataSpec(shape=shape)), data)
        return str(error.value)

    for shape in ((3, 64, 64), (1, 28, 28), (2,), (3, 28, 32)):
        assert refusal(judge_spec(), shape) == (
            "metric 'stacked_mnist' needs stacked digits, as from data 'stacked_mnist', got samples of "
            f"shape {shape}"
        )
    advice = "train one with data 'mnist'"
    needs = "metric 'stacked_mnist' needs a judge of ten digits of 1x28x28 or 1x32x32, got one of"
    assert refusal(judge_spec(16)) == f"{needs} 10 labels of 1x16x16; {advice}"
    assert refusal(judge_spec(names=("a", "b"))) == f"{needs} 2 labels of 1x28x28; {advice}"
    assert refusal(judge_spec(), real=21) == (
        "metric 'stacked_mnist' needs 21 real samples, but the data has 20; set real = 20 or less"
    )
