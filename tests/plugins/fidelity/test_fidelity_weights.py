"""`ganforge-fidelity`: where weights come from, what they are called, and which are refused."""

from __future__ import annotations

import hashlib
import os
import urllib.error
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import nn

from ganforge.api import Samples, UserError
from ganforge_fidelity import base, extractors, weights
from ganforge_fidelity.frechet import FrechetDistance
from ganforge_fidelity.kernel import KernelDistance
from ganforge_fidelity.precision_recall import PrecisionRecall
from support.tiny_fidelity import SPEC, Noise, needs_torch_fidelity, refusal
from support.tiny_fidelity import hub as hub
from support.tiny_fidelity import samples as samples

pytestmark = needs_torch_fidelity


def test_an_inception_number_has_its_own_name() -> None:
    names = {"samples": 10}
    assert FrechetDistance(**names).named("fid", "fd") == "fid"
    assert FrechetDistance(**names, extractor="dinov2-vit-b-14").named("fid", "fd") == "fd_dinov2_vit_b_14"


def untrained_inception() -> nn.Module:
    """torch-fidelity's Inception with the weights it was born with."""
    import torch_fidelity as fidelity

    cls = fidelity.FeatureExtractorInceptionV3
    torch.manual_seed(0)
    with (
        mock.patch("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", return_value={}),
        mock.patch.object(cls, "load_state_dict"),
    ):
        network: nn.Module = cls(extractors.INCEPTION, ["2048"])
    return network


def test_inception_with_given_weights(tmp_path: Path, samples: Samples) -> None:
    import torch_fidelity

    file = tmp_path / "mine.pth"
    network = untrained_inception()
    torch.save(network.state_dict(), file)
    # Not the Frechet distance: the eigenvalues of 2048 features take ten seconds.
    metric = KernelDistance(weights=file, samples=2, real=2, subsets=1, subset_size=2)
    few = Samples(samples.images[:2])
    assert metric.compute(Noise(), few).keys() == {"kid", "kid_subset_deviation"}
    (expected,) = network(few.images)
    assert torch.allclose(base.real_features(metric.open(SPEC), few, 2, 0), expected, atol=1e-5)
    assert metric.provenance(SPEC) == {
        "extractor": "inception-v3-compat",
        "layer": "2048",
        "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "resizer": {"interpolation": "bilinear, grid of TensorFlow 1", "antialias": False, "side": 299},
        "pixels": "8 bits",
        "torch_fidelity": torch_fidelity.__version__,
    }


def test_without_network_the_error_says_where_the_file_goes(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urlopen = mock.Mock(side_effect=urllib.error.URLError("Name or service not known"))
    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    assert refusal(FrechetDistance()) == (
        "the weights of extractor 'inception-v3-compat' could not be downloaded (Name or service not known); on a "
        "machine with a network connection, download\n"
        "  https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth\n"
        "and copy it to\n"
        f"  {hub}/checkpoints/weights-inception-2015-12-05-6726825d.pth\n"
        'or set its path in the run file: weights = "PATH"'
    )
    # One request, which does not wait for ever, and no second try.
    assert [each.kwargs for each in urlopen.call_args_list] == [{"timeout": weights.TIMEOUT_S}]
    assert list((hub / "checkpoints").iterdir()) == []
    assert f"{hub}/checkpoints/vgg16-397923af.pth" in refusal(PrecisionRecall())


@pytest.mark.parametrize("sound", [True, False])
def test_fetched_weights_have_the_hash_in_their_name(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sound: bool
) -> None:
    content = b"some weights"
    digits = hashlib.sha256(content).hexdigest()[:8] if sound else "00000000"
    source = tmp_path / f"vgg16-{digits}.pth"
    source.write_bytes(content)
    monkeypatch.setitem(weights.PUBLISHED, "vgg16", source.as_uri())
    file = hub / "checkpoints" / source.name
    if sound:
        assert weights.published_weights("vgg16") == file
        assert file.read_bytes() == content
        source.unlink()
        assert weights.published_weights("vgg16") == file
    else:
        with pytest.raises(UserError) as refused:
            weights.published_weights("vgg16")
        assert str(refused.value) == (
            f"{file}: damaged: its SHA-256 does not begin with 00000000; delete it and try again"
        )
    assert {path.name for path in file.parent.iterdir()} == {source.name}


class Evil:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.file),)


def test_weights_that_want_to_execute_are_refused(tmp_path: Path) -> None:
    file, mark = tmp_path / "evil.pth", tmp_path / "executed"
    torch.save({"fc.weight": Evil(mark)}, file)
    message = refusal(FrechetDistance(weights=file))
    assert message.startswith(f"{file}: refused: its pickle would execute 'posix.mkdir'")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "weights = FILE: cannot be read: No such file or directory"),
        (b"no weights", "FILE: not a PyTorch checkpoint of tensors"),
        ([1], "FILE: not a PyTorch checkpoint of named tensors"),
        ({"fc.weight": torch.zeros(1)}, "FILE: not the weights of extractor 'inception-v3-compat': Error(s) in loading"),
    ],
)  # fmt: skip
def test_other_weights_are_refused(tmp_path: Path, content: Any, expected: str) -> None:
    file = tmp_path / "w.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    assert refusal(FrechetDistance(weights=file)).replace(str(file), "FILE").startswith(expected)


def test_dinov2_comes_from_the_hub_folder(hub: Path, samples: Samples) -> None:
    metric = FrechetDistance(extractor="dinov2-vit-b-14", samples=4, real=4)
    message = refusal(metric)
    assert message.startswith("extractor 'dinov2-vit-b-14' could not be created (")
    assert message.endswith(
        "without a network connection it needs, copied from the torch hub folder of a machine where it ran:\n"
        f"  {hub}/facebookresearch_dinov2_main  (the repository facebookresearch/dinov2) and\n"
        f"  {hub}/checkpoints/dinov2_vitb14_pretrain.pth  (its weights)"
    )
    place = hub / "facebookresearch_dinov2_main"
    place.mkdir(parents=True)
    (place / "hubconf.py").write_text(
        "import torch\n"
        "def dinov2_vitb14():\n"
        "    return torch.nn.Sequential(torch.nn.AvgPool2d(112), torch.nn.Flatten(), torch.nn.Linear(12, 7))\n"
    )
    assert metric.compute(Noise(), samples).keys() == {"fd_dinov2_vit_b_14"}
    found = metric.provenance(SPEC)
    assert found["resizer"]["side"] == 224
    assert found["weights_sha256"] == weights.tensors_sha256(metric.open(SPEC).network)
    assert refusal(metric.model_copy(update={"weights": Path(__file__)})).endswith(
        "not a PyTorch checkpoint of tensors"
    )
    file = hub / "w.pth"
    torch.save({"a": torch.zeros(1)}, file)
    assert refusal(metric.model_copy(update={"weights": file})) == (
        "extractor 'dinov2-vit-b-14' takes no weights file; remove 'weights'"
    )
