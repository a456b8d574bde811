"""The fingerprint of a number changes with what the number depends on, and with nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ganforge.api import Samples
from ganforge.api.judge.judge import Judge
from ganforge.components.comparability import fingerprint, tensor_sha256
from ganforge_datasets.iclevr import ICLEVR
from support.command_line import EXAMPLE, TINY, call, sets
from support.evaluated import METRICS, records, sha256
from support.evaluated import finished as finished
from support.evaluated import place as place
from support.judges import blank_judge


def prints(place: Path, *arguments: object) -> str:
    """The fingerprint of the last evaluation's first number."""
    assert call(place, "evaluate", "mine", *arguments).code == 0
    return str(records(place)[-1]["metrics"][0]["fingerprint"])


def test_the_fingerprint_changes_with_what_a_number_depends_on(place: Path) -> None:
    judged = prints(place, "--metrics", "m.toml")
    assert judged == prints(place, "--metrics", "m.toml", "--seeds", 5, *sets("metrics.0.seed=7"))
    assert judged == prints(place, "--metrics", "m.toml", "--network", "raw")
    shutil.copytree(place / "judge", place / "elsewhere")
    (place / "other.toml").write_text(METRICS.replace('"judge"', '"elsewhere"'))
    assert judged == prints(place, "--metrics", "other.toml")
    others = [prints(place, "--metrics", "m.toml", *sets("metrics.0.n=2"))]
    (place / "asked.json").write_text('[["red cube"], ["gray sphere"]]')
    others.append(prints(place, "--metrics", "m.toml"))
    judge = blank_judge(ICLEVR(image_size=16).spec())
    torch.nn.init.ones_(judge.network.head.weight)
    Judge.of(judge.network, judge.card.data, architecture="small_resnet", width=judge.card.width).save(
        place / "judge"
    )
    others.append(prints(place, "--metrics", "m.toml"))
    assert len({judged, *others}) == 4


def test_the_fingerprint_changes_with_the_real_images(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prints(place, "--metrics", "d.toml")
    real = records(place)[0]["metrics"][0]["depends_on"]["real"]
    assert real.keys() == {"split", "samples", "images_sha256", "labels_sha256"}
    assert (real["split"], real["samples"]) == ("train", 12)
    assert records(place)[0]["metrics"][0]["depends_on"]["generated"] == 8
    built = ICLEVR.build

    def darker(self: ICLEVR, *arguments: Any) -> Samples:
        samples = built(self, *arguments)
        images = samples.images.clone()
        images[3, 0, 2, 2] ^= 1
        return replace(samples, images=images)

    assert prints(place, "--metrics", "d.toml") == before
    monkeypatch.setattr(ICLEVR, "build", darker)
    assert prints(place, "--metrics", "d.toml") != before


def test_a_run_records_what_its_own_metrics_depend_on(place: Path) -> None:
    metrics = (
        "metrics=[{type='condition_accuracy', judge='judge', conditions='asked.json', every=32, repeats=2}]"
    )
    assert call(place, "run", EXAMPLE, "--out", "own", *sets(*TINY, metrics)).code == 0
    info = json.loads((place / "own" / "run.json").read_text())
    (found,) = info["metrics"]
    assert found["depends_on"]["files"]["judge"] == sha256(place / "judge" / "weights.safetensors")
    assert found["depends_on"]["data"]["scenes"] == 4
    assert found["fingerprint"] == fingerprint(found["depends_on"])
    weights = load_file(place / "own" / "checkpoints" / f"{64:012d}" / "network_d.safetensors")
    assert 0 < info["parameters"]["discriminator"] <= sum(each.numel() for each in weights.values())
    assert info["gpu"] is None
    last = json.loads((place / "own" / "metrics.jsonl").read_text().splitlines()[-2])
    assert 50 < last["peak_memory_mib"] < 1e6


def test_a_hash_is_of_values_type_and_shape() -> None:
    rows = torch.arange(12, dtype=torch.uint8).reshape(3, 4)
    same = rows.t().contiguous().t()
    assert tensor_sha256(rows) == tensor_sha256(same)
    unlike = [rows.flatten(), rows.float(), rows.flip(0), torch.zeros(0), torch.zeros(()), rows.bfloat16()]
    assert len({tensor_sha256(each) for each in (rows, *unlike)}) == 7
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
