"""`ganforge-fidelity`: its numbers against independent formulas, its names, its provenance, its weights."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from test_cli_main import EXAMPLE, ROOT, TINY, call, sets
from test_third_party_plugin import Environment
from torch import Tensor, nn

from ganforge import evaluation, registry
from ganforge.api import Context, DataSpec, Draw, Metric, Samples, UserError
from ganforge.registry import Plugin, Registry
from support.toys import _Given

fidelity = pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")

import ganforge_fidelity
from ganforge_fidelity import base, extractors, weights
from ganforge_fidelity.frechet import FrechetDistance
from ganforge_fidelity.inception_score import InceptionScore
from ganforge_fidelity.kernel import KernelDistance
from ganforge_fidelity.precision_recall import PrecisionRecall

SPEC = DataSpec(shape=(3, 8, 8))
TINY_NAME = "tiny-test"


class TinyExtractor(fidelity.FeatureExtractorBase):  # type: ignore[misc, name-defined]
    """Six features and five logits: fixed projections of the pixels; counts the images it saw."""

    saw = 0

    def __init__(self, name: str, layers: list[str], **rest: object) -> None:
        super().__init__(name, layers)
        drawn = torch.Generator().manual_seed(3)
        self.body = nn.Linear(3 * 64, 11, bias=False)
        with torch.no_grad():
            self.body.weight.copy_(torch.randn(11, 3 * 64, generator=drawn) / 50)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        assert images.dtype == torch.uint8
        type(self).saw += len(images)
        found = self.body(images.float().flatten(1) / 25)
        parts = {"flat": found[:, :6], "logits": found[:, 6:]}
        return tuple(parts[layer] for layer in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("flat", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "flat"


fidelity.register_feature_extractor(TINY_NAME, TinyExtractor)


class Noise:
    """A generator of noise, brighter than the data."""

    spec = SPEC

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        return self.draw(n, seed, cond)[0]

    def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
        rng = torch.Generator().manual_seed(seed)
        images = (torch.randn(n, *self.spec.shape, generator=rng) * 0.5 + 0.1).clamp(-1, 1)
        return images, Draw(torch.zeros(n, 1), None, {})


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty hub folder and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    unreachable = urllib.error.URLError("no route to host")
    monkeypatch.setattr("torch.hub.urlopen", mock.Mock(side_effect=unreachable))
    extractors._open.cache_clear()
    base._real.clear()
    yield tmp_path / "torch" / "hub"
    extractors._open.cache_clear()


@pytest.fixture
def data() -> Samples:
    rng = torch.Generator().manual_seed(5)
    return Samples(torch.randint(0, 200, (60, 3, 8, 8), generator=rng, dtype=torch.uint8))


def features(images: Tensor, layer: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """In float64, for formulas written anew."""
    (found,) = TinyExtractor(TINY_NAME, [layer])(images)
    return found.detach().numpy().astype(np.float64)


def bytes_of(n: int, seed: int) -> Tensor:
    return ((Noise().sample(n, seed) * 127.5) + 127.5).round().to(torch.uint8)


def test_the_frechet_distance(data: Samples) -> None:
    metric = FrechetDistance(extractor=TINY_NAME, samples=50, seed=2)
    a, b = features(bytes_of(50, 2), "flat"), features(data.images, "flat")
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(cov_a)
    root = vectors * np.sqrt(values) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root)).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    assert metric.compute(Noise(), data) == {"fd_tiny_test": pytest.approx(expected, rel=1e-4)}


def test_the_kernel_distance(data: Samples) -> None:
    metric = KernelDistance(extractor=TINY_NAME, samples=40, real=30, subsets=3, subset_size=20, seed=4)
    chosen = torch.randperm(60, generator=torch.Generator().manual_seed(4))[:30].sort().values
    a, b = features(bytes_of(40, 4), "flat"), features(data.images[chosen], "flat")
    rng, found = np.random.RandomState(4), []
    for _ in range(3):
        x, y = a[rng.choice(40, 20, replace=False)], b[rng.choice(30, 20, replace=False)]
        within = sum(
            (u[i] @ u[j] / 6 + 1) ** 3 / (20 * 19)
            for u in (x, y)
            for i in range(20)
            for j in range(20)
            if i != j
        )
        across = sum((p @ q / 6 + 1) ** 3 / 400 for p in x for q in y)
        found.append(within - 2 * across)
    assert metric.compute(Noise(), data) == {
        "kd_tiny_test": pytest.approx(np.mean(found), rel=1e-3),
        "kd_tiny_test_subset_deviation": pytest.approx(np.std(found), rel=1e-3),
    }


def test_the_classifier_score(data: Samples) -> None:
    metric = InceptionScore(extractor=TINY_NAME, samples=40, splits=4, seed=6)
    logits = features(bytes_of(40, 6), "logits")[np.random.RandomState(6).permutation(40)]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = []
    for part in shares.reshape(4, 10, 5):
        entropy = -(part * np.log(part)).sum(1).mean()
        marginal = part.mean(0)
        scores.append(np.exp(-(marginal * np.log(marginal)).sum() - entropy))
    assert metric.compute(Noise(), data) == {
        "classifier_score_tiny_test": pytest.approx(np.mean(scores), rel=1e-5),
        "classifier_score_tiny_test_split_deviation": pytest.approx(np.std(scores), rel=1e-4),
    }


def test_precision_and_recall(data: Samples) -> None:
    # The generated images are the data, moved a little, and 20 that are far from them.
    class Close(Noise):
        def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
            images, draw = super().draw(n, seed, cond)
            near = data.images[:40].float() / 127.5 - 1
            near += 0.2 * torch.randn(near.shape, generator=torch.Generator().manual_seed(1))
            return torch.cat([near, images[40:]]).clamp(-1, 1), draw

    fake = ((Close().sample(60, 0) * 127.5) + 127.5).round().to(torch.uint8)
    a, b = features(fake, "flat"), features(data.images, "flat")

    def covered(points: Any, by: Any) -> float:
        radius = [sorted(float(np.linalg.norm(p - q)) for q in by)[3] for p in by]
        inside = [any(np.linalg.norm(p - q) <= r for q, r in zip(by, radius, strict=True)) for p in points]
        return sum(inside) / len(inside)

    found = PrecisionRecall(extractor=TINY_NAME, samples=60, neighbours=3).compute(Close(), data)
    assert found == {
        "precision_tiny_test": pytest.approx(covered(a, b), abs=1e-6),
        "recall_tiny_test": pytest.approx(covered(b, a), abs=1e-6),
    }
    assert found["precision_tiny_test"] != found["recall_tiny_test"]


def test_grey_images_and_many_chunks(data: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = Noise()
    grey.spec = DataSpec(shape=(1, 8, 8))
    monkeypatch.setattr(base, "CHUNK", 16)
    metric = FrechetDistance(extractor=TINY_NAME, samples=40, seed=1)
    extractor = metric.open(grey.spec)
    parts = [grey.sample(n, 3 + place) for place, n in enumerate((16, 16, 8))]
    expected = features(base.to_bytes(torch.cat(parts)).repeat(1, 3, 1, 1), "flat")
    assert np.allclose(metric.generated(extractor, grey).numpy(), expected, atol=1e-4)


def test_nothing_global_is_moved(data: Samples) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy()
    KernelDistance(extractor=TINY_NAME, samples=40, subset_size=20, subsets=1).compute(Noise(), data)
    assert torch.equal(torch.rand(3), expected)
    assert (np.random.get_state()[1] == before).all()


def test_real_images_are_looked_at_once(data: Samples) -> None:
    metric = FrechetDistance(extractor=TINY_NAME, samples=50)
    TinyExtractor.saw = 0
    first = metric.compute(Noise(), data)
    assert TinyExtractor.saw == 110
    again = [metric.model_copy(update={"seed": seed}).compute(Noise(), data) for seed in (0, 1)]
    assert TinyExtractor.saw == 210
    assert (again[0] == first, again[1] == first) == (True, False)
    # Other images are not taken for these.
    other = metric.compute(Noise(), Samples(data.images.clone() // 2))
    assert TinyExtractor.saw == 320
    assert other != first
    # Nor is another choice of them.
    some = metric.model_copy(update={"real": 30, "seed": 1})
    some.model_copy(update={"seed": 0}).compute(Noise(), data)
    kept = some.compute(Noise(), data)
    base._real.clear()
    assert some.compute(Noise(), data) == kept


def test_it_uses_the_api_and_nothing_else_of_ganforge() -> None:
    files = list((ROOT / "plugins" / "ganforge-fidelity" / "ganforge_fidelity").glob("*.py"))
    found = {
        name for file in files for name in re.findall(r"(?:from|import) (ganforge[.\w]*)", file.read_text())
    }
    assert {name for name in found if not name.startswith("ganforge_fidelity")} == {"ganforge.api"}


def test_an_inception_number_has_its_own_name() -> None:
    names = {"samples": 10}
    assert FrechetDistance(**names).named("fid", "fd") == "fid"
    assert FrechetDistance(**names, extractor="dinov2-vit-b-14").named("fid", "fd") == "fd_dinov2_vit_b_14"


def untrained_inception() -> nn.Module:
    """torch-fidelity's Inception with the weights it was born with."""
    cls = fidelity.FeatureExtractorInceptionV3
    torch.manual_seed(0)
    with (
        mock.patch("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", return_value={}),
        mock.patch.object(cls, "load_state_dict"),
    ):
        network: nn.Module = cls(extractors.INCEPTION, ["2048"])
    return network


def test_inception_with_given_weights(tmp_path: Path, data: Samples) -> None:
    file = tmp_path / "mine.pth"
    network = untrained_inception()
    torch.save(network.state_dict(), file)
    # Not the Frechet distance: the eigenvalues of 2048 features take ten seconds.
    metric = KernelDistance(weights=file, samples=2, real=2, subsets=1, subset_size=2)
    few = Samples(data.images[:2])
    assert metric.compute(Noise(), few).keys() == {"kid", "kid_subset_deviation"}
    (expected,) = network(few.images)
    assert torch.allclose(base.real_features(metric.open(SPEC), few, 2, 0), expected, atol=1e-5)
    assert metric.provenance(SPEC) == {
        "extractor": "inception-v3-compat",
        "layer": "2048",
        "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "resizer": {"interpolation": "bilinear, grid of TensorFlow 1", "antialias": False, "side": 299},
        "pixels": "8 bits",
        "torch_fidelity": fidelity.__version__,
    }


def refusal(metric: Metric, data: Samples | None = None, spec: DataSpec = SPEC) -> str:
    sampler = Noise()
    sampler.spec = spec
    with pytest.raises(UserError) as refused:
        metric.compute(sampler, data or Samples(torch.zeros(60, 3, 8, 8, dtype=torch.uint8)))
    return str(refused.value)


def test_without_network_the_error_says_where_the_file_goes(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urlopen = mock.Mock(side_effect=urllib.error.URLError("Name or service not known"))
    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    assert refusal(FrechetDistance()) == (
        "the weights of extractor 'inception-v3-compat' could not be fetched (Name or service not known); on a "
        "machine with network, get\n"
        "  https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth\n"
        "and put it here as\n"
        f"  {hub}/checkpoints/weights-inception-2015-12-05-6726825d.pth\n"
        'or name another place in the run file: weights = "PATH"'
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
    assert message.startswith(f"{file}: refused: the pickle in it wants to execute 'posix.mkdir'")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "weights = FILE: cannot be read: No such file or directory"),
        (b"no weights", "FILE: not a PyTorch checkpoint of tensors"),
        ([1], "FILE: not a PyTorch checkpoint of tensors by name"),
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


def test_dinov2_comes_from_the_hub_folder(hub: Path, data: Samples) -> None:
    metric = FrechetDistance(extractor="dinov2-vit-b-14", samples=4, real=4)
    message = refusal(metric)
    assert message.startswith("extractor 'dinov2-vit-b-14' could not be made (")
    assert message.endswith(
        "without network it needs, copied from the torch hub folder of a machine where it ran:\n"
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
    assert metric.compute(Noise(), data).keys() == {"fd_dinov2_vit_b_14"}
    found = metric.provenance(SPEC)
    assert found["resizer"]["side"] == 224
    assert found["weights_sha256"] == weights.tensors_sha256(metric.open(SPEC).network)
    assert refusal(metric.model_copy(update={"weights": Path(__file__)})).endswith(
        "not a PyTorch checkpoint of tensors"
    )
    file = hub / "w.pth"
    torch.save({"a": torch.zeros(1)}, file)
    assert refusal(metric.model_copy(update={"weights": file})) == (
        "extractor 'dinov2-vit-b-14' takes no weights file; leave 'weights' out"
    )


TINY_FID = FrechetDistance(extractor=TINY_NAME, samples=50)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (
            TINY_FID.model_copy(update={"real": 61}),
            "metric 'fidelity_fid' compares with 61 real images, but the data has 60; set real = 60 or less",
        ),
        (
            KernelDistance(extractor=TINY_NAME, samples=50),
            "metric 'fidelity_kid' draws subsets of 1,000 images, but samples is 50; set subset_size = 50 or less",
        ),
        (
            PrecisionRecall(extractor=TINY_NAME, samples=9, real=3),
            "metric 'fidelity_precision_recall' looks for 3 neighbours, but real is 3; set neighbours = 2 or less",
        ),
        (
            InceptionScore(extractor=TINY_NAME, samples=9),
            "metric 'fidelity_inception_score' splits 9 samples into 10 parts; set splits = 9 or less",
        ),
        (
            InceptionScore(extractor="dinov2-vit-s-14"),
            "metric 'fidelity_inception_score' needs an extractor that tells classes apart, which 'dinov2-vit-s-14' "
            'does not; use extractor = "inception-v3-compat"',
        ),
    ],
)
def test_what_does_not_fit_is_refused(metric: Metric, expected: str) -> None:
    assert refusal(metric) == expected


def test_other_extractors_and_data_are_refused() -> None:
    assert refusal(FrechetDistance(extractor="tiny-tst")).startswith(
        "torch-fidelity has no extractor 'tiny-tst'; did you mean 'tiny-test'? (known: clip-rn101, "
    )
    points = "metric 'fidelity_fid' looks at images of 1 or 3 channels; the data are of shape 2"
    assert refusal(TINY_FID, spec=DataSpec(shape=(2,))) == points


def with_plugin() -> Registry:
    """The installed components and those of this plugin."""
    installed = registry.discover()
    others = [plugin for plugin in installed.plugins if plugin.distribution != "ganforge-fidelity"]
    modules: list[Any] = [(plugin, _Given(installed, plugin)) for plugin in others]
    return Registry.from_modules(
        [*modules, (Plugin("fidelity", "ganforge-fidelity", "0.1.0"), ganforge_fidelity)]
    )


def test_an_evaluation_records_the_extractor(tmp_path: Path) -> None:
    assert call(tmp_path, "run", EXAMPLE, "--out", "mine", *sets(*TINY)).code == 0
    (tmp_path / "m.toml").write_text(
        f'[[metrics]]\ntype = "fidelity_fid"\nextractor = "{TINY_NAME}"\nsamples = 20\n'
    )
    with mock.patch.object(TinyExtractor, "forward", _pooled(TinyExtractor.forward)):
        record = evaluation.evaluate(
            tmp_path / "mine",
            with_plugin(),
            evaluation.Evaluation(tmp_path / "m.toml", seeds=2),
            Context(tmp_path / ".cache", lambda line: None, lambda items, total, what: iter(items)),
        )
    (row,) = record["metrics"]
    assert row["values"].keys() == {"fd_tiny_test", "fd_tiny_test_std"}
    assert row["plugin"] == {"distribution": "ganforge-fidelity", "version": "0.1.0"}
    assert row["uses"]["resizer"] == {"interpolation": "the extractor's own"}
    assert row["depends_on"]["uses"] == row["uses"]
    assert (row["depends_on"]["generated"], row["depends_on"]["real"]["samples"]) == (20, 12)
    assert row["seeds"] == [0, 1]
    assert json.loads((tmp_path / "mine" / "evaluations.jsonl").read_text()) == record


def _pooled(forward: Any) -> Callable[..., tuple[Tensor, ...]]:
    """For images of 16x16 where the extractor knows 8x8."""
    return lambda self, images: forward(self, images[:, :, ::2, ::2].contiguous())


@pytest.mark.slow
def test_it_installs_beside_ganforge_and_is_found(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    pytest.importorskip("pip")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    here = Environment(tmp_path / "env" / "bin" / "python", tmp_path)
    own = here.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    shared = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(shared)]
    Path(own, "shared.pth").write_text("".join(lines))
    here.run(
        "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", str(ROOT / "plugins" / "ganforge-fidelity"),
    )  # fmt: skip
    assert Path(own, "ganforge_fidelity", "py.typed").is_file()
    listed, shown, evaluated = here.ganforge(
        ["plugins"],
        ["plugins", "show", "metrics", "fidelity_kid"],
        [
            "run",
            str(EXAMPLE),
            *sets(*TINY),
            "--set",
            "metrics=[{type='fidelity_fid', extractor='inception'}]",
        ],
    )
    assert (listed.code, listed.err) == (0, "")
    names = [line.split()[1:4] for line in listed.out.splitlines() if line.endswith("(fidelity)")]
    assert names == [
        [f"fidelity_{name}", "ganforge-fidelity", "0.1.0"]
        for name in ("fid", "inception_score", "kid", "precision_recall")
    ]
    assert shown.out.startswith("metrics 'fidelity_kid', from plugin 'fidelity' (ganforge-fidelity 0.1.0)\n")
    # Told before training, not at the metric's first turn, and nothing of the run is left.
    assert evaluated.code == 2
    assert evaluated.err.startswith("torch-fidelity has no extractor 'inception'; did you mean ")
    assert not (tmp_path / "runs").exists()
