"""Several moving averages of a generator: what each is, that a resumed run has them, and how they are asked for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ganforge.api import UserError
from ganforge.config import Ema
from ganforge.evaluation.weights import weights_in_words, weights_named
from ganforge.facade.run import load_run
from support.command_line import EXAMPLE, TINY, call, refused, sets

ALSO = ("ema.halflife=1_000", "ema.also=[40, 200]", "ema.rampup=0.0")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("averages")
    assert call(folder, "run", EXAMPLE, "--out", "several", *sets(*TINY, *ALSO)).code == 0
    return folder


def weights(run: Path, group: str) -> dict[str, Tensor]:
    newest = max((run / "checkpoints").glob("0*"))
    return load_file(newest / f"{group}.safetensors")


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_each_is_what_a_run_with_it_alone_has(place: Path) -> None:
    alone = ("ema.halflife=40", "ema.rampup=0.0")
    assert call(place, "run", EXAMPLE, "--out", "alone", *sets(*TINY, *alone)).code == 0
    assert same(weights(place / "several", "generator_40"), weights(place / "alone", "generator"))
    assert same(weights(place / "several", "network_g"), weights(place / "alone", "network_g"))
    assert not same(weights(place / "several", "generator"), weights(place / "alone", "generator"))


def test_a_resumed_run_has_them_all(place: Path) -> None:
    half = ("train.images=32", "logging.checkpoint_every=32")
    assert call(place, "run", EXAMPLE, "--out", "parts", *sets(*TINY, *ALSO, *half)).code == 0
    assert call(place, "resume", "parts", *sets("train.images=64")).code == 0
    for group in ("generator", "generator_40", "generator_200"):
        assert same(weights(place / "parts", group), weights(place / "several", group)), group


def test_samples_are_drawn_from_the_one_that_is_named(place: Path) -> None:
    drawn = {}
    for name in ("ema", "ema-40", "raw"):
        asked = ("--network", name, "--n", 2, "--out", f"{name}.png")
        assert call(place, "sample", "several", *asked).code == 0
        drawn[name] = hashlib.sha256((place / f"{name}.png").read_bytes()).hexdigest()
    assert len(set(drawn.values())) == 3
    assert call(place, "sample", "several", "--n", 2, "--out", "default.png").code == 0
    assert (place / "default.png").read_bytes() == (place / "ema.png").read_bytes()
    of_python = load_run(place / "several", network="ema-40").sample(n=2)
    of_python.save(place / "python.png")
    assert (place / "python.png").read_bytes() == (place / "ema-40.png").read_bytes()


def test_metrics_are_of_the_one_that_is_named(place: Path) -> None:
    (place / "metrics.toml").write_text('[[metrics]]\ntype = "sliced_wasserstein"\nsamples = 12\n')
    asked = ("evaluate", "several", "--metrics", "metrics.toml", "--network")
    done = call(place, *asked, "ema-200")
    assert (done.code, done.out.splitlines()[0]) == (
        0,
        "generator after 64 images (moving average, half-life 200 images)",
    )
    newest = max((place / "several" / "checkpoints").glob("0*"))
    record = json.loads((place / "several" / "evaluations.jsonl").read_text().splitlines()[-1])
    assert record["network"] == "ema-200"
    held = hashlib.sha256((newest / "generator_200.safetensors").read_bytes()).hexdigest()
    assert held in json.dumps(record)
    assert refused(place, *asked, "ema-7") == [
        "several has no weights 'ema-7' (there are: ema, ema-40, ema-200, raw)"
    ]


def test_names() -> None:
    assert weights_named(None, Ema(halflife=5), "run") == ("ema", "generator")
    assert weights_named(None, Ema(halflife=0), "run") == ("raw", "network_g")
    with pytest.raises(
        UserError, match=r"^run has no moving average \(ema.halflife = 0\); use --network raw$"
    ):
        weights_named("ema", Ema(halflife=0), "run")
    assert [weights_in_words(name) for name in ("raw", "ema", "ema-10000")] == [
        "as trained",
        "moving average",
        "moving average, half-life 10,000 images",
    ]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("ema.also=[10_000]", "ema: also: expected half-lives that differ from each other and from halflife"),
        ("ema.also=[5, 5]", "ema: also: expected half-lives that differ from each other and from halflife"),
        ("ema.also=[0]", "ema.also.0: should be greater than or equal to 1, got 0"),
    ],
)
def test_what_is_no_set_of_averages_is_refused(tmp_path: Path, override: str, said: str) -> None:
    (line,) = refused(tmp_path, "check", EXAMPLE, *sets("ema.halflife=10_000", override))
    assert said in line
