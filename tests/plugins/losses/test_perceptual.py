"""The perceptual term: which activations it compares, and the files it takes them from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from ganforge.api import DataSpec, LabelSpec, Term, UserError, Verdict
from ganforge.api.judge.judge import Judge
from ganforge.api.judge.network import build_network
from support.plays import N, make, play

SPEC = DataSpec(shape=(3, 16, 16))


def vgg(path: Path, **extra: Tensor) -> Path:
    """Two convolutions, a pooling, one convolution."""
    torch.manual_seed(0)
    tensors = {"classifier.0.weight": torch.randn(4, 4), **extra}
    for number, (a, b) in {0: (3, 4), 2: (4, 4), 5: (4, 6)}.items():
        tensors[f"features.{number}.weight"] = torch.randn(b, a, 3, 3) / 6
        tensors[f"features.{number}.bias"] = torch.randn(b)
    save_file(tensors, path)
    return path


def ready(path: Path, spec: DataSpec = SPEC) -> Term:
    """As a run has it: prepared, and its network frozen."""
    term = make("perceptual", features=path).copied()
    term.prepare(spec, {"": spec.shape})
    term._network.eval().requires_grad_(False)  # type: ignore[attr-defined]
    return term


def images(seed: int, channels: int = 3) -> Tensor:
    return torch.rand(N, channels, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def value(term: Term, real: Tensor, fake: Tensor) -> Tensor:
    return term(play(lambda x, c: Verdict(x[:, 0, 0, 0]), real, fake, "g"))


def test_vgg_is_compared_before_each_pooling_and_at_the_end(tmp_path: Path) -> None:
    path = vgg(tmp_path / "vgg.safetensors")
    term = ready(path)
    layers = {name: tensor for name, tensor in term._network.state_dict().items() if "stages" in name}  # type: ignore[attr-defined]
    assert len(layers) == 8  # and the mean and the deviation of colors

    from safetensors.torch import load_file

    weights = load_file(path)

    def conv(x: Tensor, number: int) -> Tensor:
        return F.relu(
            F.conv2d(x, weights[f"features.{number}.weight"], weights[f"features.{number}.bias"], padding=1)
        )

    def features(x: Tensor) -> list[Tensor]:
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        x = ((x + 1) / 2 - mean[:, None, None]) / std[:, None, None]
        first = conv(conv(x, 0), 2)
        return [first, conv(F.max_pool2d(first, 2), 5)]

    pairs = list(zip(features(images(1)), features(images(2)), strict=True))
    expected = sum(((f - g) ** 2).mean() for f, g in pairs) / 2
    torch.testing.assert_close(value(term, images(1), images(2)), expected)


def test_grey_images_are_shown_to_vgg_as_colors(tmp_path: Path) -> None:
    path = vgg(tmp_path / "vgg.safetensors")
    grey = ready(path, DataSpec(shape=(1, 16, 16)))
    real, fake = images(1, 1), images(2, 1)
    rgb = value(ready(path), real.expand(-1, 3, -1, -1), fake.expand(-1, 3, -1, -1))
    torch.testing.assert_close(value(grey, real, fake), rgb)


@pytest.mark.parametrize(("architecture", "stages"), [("small_resnet", 4), ("resnet18", 4)])
def test_a_judge_is_compared_after_each_stage(architecture: str, stages: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(architecture, 3, 2, 4)  # type: ignore[arg-type]
    data = DataSpec(shape=(3, 16, 16), labels=LabelSpec(kind="one_of_k", names=("a", "b")))
    judge = Judge.of(network, data, architecture=architecture, width=4 * (architecture != "resnet18"))  # type: ignore[arg-type]
    judge.save(tmp_path / "judge")
    term = ready(tmp_path / "judge")
    seen: list[Tensor] = []
    for stage in term._network.stages:  # type: ignore[attr-defined]
        stage.register_forward_hook(lambda module, inputs, output: seen.append(output))
    real, fake = images(1), images(2)
    found = value(term, real, fake)
    assert len(seen) == 2 * stages
    # The last is what the judge itself averages over pixels.
    torch.testing.assert_close(seen[stages - 1].mean((2, 3)), judge.features(real))
    expected = (
        sum((f - g).square().mean() for f, g in zip(seen[:stages], seen[stages:], strict=True)) / stages
    )
    torch.testing.assert_close(found, expected)


def test_the_fake_learns_and_the_network_does_not(tmp_path: Path) -> None:
    term = ready(vgg(tmp_path / "vgg.safetensors"))
    fake = images(2).requires_grad_(True)
    value(term, images(1), fake).backward()
    assert fake.grad is not None and fake.grad.any()
    assert all(parameter.grad is None for parameter in term._network.parameters())  # type: ignore[attr-defined]
    assert value(term, images(1), images(1)) == 0


REFUSED: list[tuple[str, dict[str, Tensor], DataSpec, str]] = [
    ("vgg.safetensors", {}, DataSpec(shape=(2,)), "term 'perceptual' needs images, got samples of shape (2,); remove the term"),
    ("vgg.safetensors", {}, DataSpec(shape=(4, 16, 16)), "term 'perceptual': VGG takes images of 1 or 3 channels, got 4; name a judge's folder"),
    ("vgg.safetensors", {"features.7.weight": torch.zeros(6, 5, 3, 3), "features.7.bias": torch.zeros(6)}, SPEC,
     "{path}: features.7.weight: expected a 3x3 convolution of 6 channels, got shape [6, 5, 3, 3]"),
    ("vgg.safetensors", {"features.7.weight": torch.zeros(6, 6, 3, 3)}, SPEC,
     "{path}: expected VGG's weights as torchvision names them (features.0.weight, features.0.bias, features.2.weight, ...), "
     "got classifier.0.weight, features.0.bias, features.0.weight, features.2.bias"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "extra", "spec", "message"), REFUSED, ids=[r[3][:50] for r in REFUSED])
def test_what_cannot_serve(
    name: str, extra: dict[str, Tensor], spec: DataSpec, message: str, tmp_path: Path
) -> None:
    path = vgg(tmp_path / name, **extra)
    with pytest.raises(UserError) as refusal:
        ready(path, spec)
    assert str(refusal.value) == message.format(path=path)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"x" * 40)
    for name in ("broken.safetensors", "missing.safetensors"):
        with pytest.raises(UserError) as refusal:
            ready(tmp_path / name)
        assert str(refusal.value).startswith(
            f"{tmp_path / name}: expected a safetensors file with VGG's weights: "
        )
    with pytest.raises(UserError) as refusal:
        ready(tmp_path / "folder")
    assert str(refusal.value).startswith(f"{tmp_path / 'folder'} is not a judge: it has no judge.json")
