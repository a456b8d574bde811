"""`evaluate`: what it computes and records, and that it leaves the run as it was."""

from __future__ import annotations

import hashlib
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch

import ganforge
from ganforge_datasets.iclevr import ICLEVR
from support.command_line import call, contents, sets
from support.evaluated import DISTANCE, records, sha256
from support.evaluated import finished as finished
from support.evaluated import place as place


@pytest.fixture
def without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(self: ICLEVR, *arguments: Any) -> None:
        raise AssertionError("evaluating opened the data set")

    monkeypatch.setattr(ICLEVR, "build", build)


@pytest.mark.usefixtures("without_data")
def dependence(place: Path) -> dict[str, object]:
    """What the numbers of the metric `condition` in m.toml depend on."""
    names = json.dumps(ICLEVR().spec().labels.names).encode()
    return {
        "metric": "condition_accuracy",
        "settings": {"drawn": 500, "n": 1},
        "files": {
            "judge": sha256(place / "judge" / "weights.safetensors"),
            "conditions": sha256(place / "asked.json"),
        },
        "uses": {},
        "shape": [3, 16, 16],
        "labels": {"kind": "many_of_k", "names_sha256": hashlib.sha256(names).hexdigest()},
        "generated": 2,
        "real": None,
    }


def test_a_record_says_what_its_numbers_depend_on(place: Path) -> None:
    before = contents(place)
    done = call(place, "evaluate", "mine", "--metrics", "m.toml")
    assert (done.code, done.err) == (0, "")
    after = contents(place)
    for name in ("condition", "raw"):
        assert after.pop(f"mine/plots/{name}_recall.png") is not None
    assert after.pop("mine/plots", "none") is None
    assert after.pop("mine/evaluations.jsonl") is not None
    assert after == before
    (record,) = records(place)
    assert record["time"].endswith("+00:00")
    assert (record["ganforge"], record["torch"]) == (ganforge.__version__, torch.__version__)
    assert (record["images_seen"], record["network"], record["device"]) == (64, "ema", "cpu")
    weights = place / "mine" / "checkpoints" / f"{64:012d}" / "generator.safetensors"
    assert record["generator_sha256"] == sha256(weights)
    assert record["data"] == {
        "type": "iclevr", "image_size": 16, "scenes": 4, "seed": 0, "mirror": False, "random_crop": 0,
    }  # fmt: skip
    first, second = record["metrics"]
    assert first["settings"] == {
        "seed": 0,
        "judge": str(place / "judge"),
        "conditions": str(place / "asked.json"),
        "drawn": 500,
        "n": 1,
        "repeats": 3,
        "name": "condition",
    }
    assert first["files"] == {
        "judge": {
            "architecture": "small_resnet",
            "sha256": sha256(place / "judge" / "weights.safetensors"),
            "trained_on": {"images": 5},
            "accuracy": {},
            "resizer": "none",
        },
        "conditions": {"sha256": sha256(place / "asked.json")},
    }
    assert (first["seeds"], second["seeds"]) == ([0, 1, 2], [9, 10])
    assert first["plugin"] == {"distribution": "ganforge", "version": ganforge.__version__}
    assert first["depends_on"] == dependence(place)
    # What a number is called and how often it is taken do not change what it is.
    assert first["fingerprint"] == second["fingerprint"]
    assert set(second["values"]) == {
        "raw_accuracy", "raw_accuracy_std", "raw_exact_match", "raw_exact_match_std",
        "raw_recall/red cube", "raw_recall/gray sphere", "raw_recall/blue cube",
    }  # fmt: skip
    value, spread = (first["values"][f"condition_accuracy{end}"] for end in ("", "_std"))
    assert done.out.splitlines()[:3] == [
        "generator after 64 images (moving average)",
        "condition_accuracy",
        f"  {'condition_accuracy':40} {value:.4f} ± {spread:.4f}",
    ]
    assert done.out.endswith("\nrecorded in mine/evaluations.jsonl\n")


@pytest.mark.usefixtures("without_data")
def test_records_add_up_and_repeat_exactly(place: Path) -> None:
    for _ in range(2):
        assert call(place, "evaluate", "mine", "--metrics", "m.toml").code == 0
    assert call(place, "evaluate", "mine", "--metrics", "m.toml", "--network", "raw").code == 0
    one, two, raw = records(place)
    assert one["metrics"] == two["metrics"]
    weights = place / "mine" / "checkpoints" / f"{64:012d}" / "network_g.safetensors"
    assert (raw["network"], raw["generator_sha256"]) == ("raw", sha256(weights))


@pytest.mark.usefixtures("without_data")
def test_keys_can_be_set_in_the_file_and_in_the_run(place: Path) -> None:
    done = call(
        place, "evaluate", "mine", "--metrics", "m.toml", "--seeds", 4,
        *sets("metrics.1.seed=7", "metrics.1.name=x", "data.scenes=5"),
    )  # fmt: skip
    assert done.code == 0
    (record,) = records(place)
    assert [metric["settings"]["repeats"] for metric in record["metrics"]] == [4, 4]
    assert record["metrics"][1]["settings"]["seed"] == 7
    assert "x_accuracy" in record["metrics"][1]["values"]
    assert record["data"]["scenes"] == 5


def test_a_metric_with_one_seed_is_computed_with_several(place: Path) -> None:
    """Such as one that needs the real data, which are opened for it, and draws conditions."""
    for seed in (3, 4, 5):
        assert (
            call(place, "evaluate", "mine", "--metrics", "d.toml", *sets(f"metrics.0.seed={seed}")).code == 0
        )
    assert (
        call(place, "evaluate", "mine", "--metrics", "d.toml", "--seeds", 3, *sets("metrics.0.seed=3")).code
        == 0
    )
    *single, together = (record["metrics"][0] for record in records(place))
    found = [each["values"]["sliced_wasserstein"] for each in single]
    assert len(set(found)) == 3
    assert together["seeds"] == [3, 4, 5]
    assert together["values"] == {
        "sliced_wasserstein": pytest.approx(statistics.mean(found)),
        "sliced_wasserstein_std": pytest.approx(statistics.stdev(found)),
    }


def test_the_runs_own_metrics(place: Path) -> None:
    done = call(place, "evaluate", "mine", "--no-train-judge")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "mine/config.toml has no [[metrics]]; pass some with --metrics FILE.toml, such as\n"
        '[[metrics]]\ntype = "condition_accuracy"\njudge = "path/to/judge"\n'
    )
    with (place / "mine" / "config.toml").open("a") as config:
        config.write(DISTANCE)
    text = (place / "mine" / "config.toml").read_text().replace("metrics = []\n", "")
    (place / "mine" / "config.toml").write_text(text)
    assert call(place, "evaluate", "mine", *sets("metrics.0.projections=5")).code == 0
    assert records(place)[0]["metrics"][0]["settings"] == {"seed": 0, "samples": 8, "projections": 5}
