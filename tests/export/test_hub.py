"""A published folder gives the run's own samples, and has nothing of the machine that trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import ganforge
from ganforge.engine.checkpoint.manifest import read_manifest
from support.command_line import EXAMPLE, TINY, call, sets


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run `mine` with two evaluations, of which one is of its weights, and `hub`."""
    folder = tmp_path_factory.mktemp("hub")
    assert call(folder, "run", EXAMPLE, "--out", "mine", *sets(*TINY)).code == 0
    (newest,) = (folder / "mine" / "checkpoints").glob("0*64")
    sha256 = read_manifest(newest)["files"]["generator.safetensors"]
    rows = [evaluation(sha256, 0.625), evaluation("0" * 64, 0.125)]
    (folder / "mine" / "evaluations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = call(folder, "export", "mine", "--hub", "hub", "--license", "cc-by-4.0")
    assert (done.code, done.out) == (0, "hub: upload it with  hf upload OWNER/NAME hub\n"), done.err
    return folder


def evaluation(sha256: str, value: float) -> dict[str, object]:
    """A record as `ganforge evaluate` writes it."""
    metric = {
        "type": "condition_accuracy",
        "settings": {"samples": 500, "judge": "/home/someone/judge"},
        "seeds": [0, 1, 2],
        "values": {"recall": value, "recall_std": 0.0175},
        "fingerprint": "ab" * 32,
    }
    return {
        "generator_sha256": sha256,
        "images_seen": 64,
        "data": {"type": "iclevr"},
        "metrics": [metric],
        "time": "t",
        "ganforge": "0",
    }


def front_matter(folder: Path) -> dict[str, object]:
    _, text, _ = (folder / "README.md").read_text().split("---\n", 2)
    import yaml

    found: dict[str, object] = yaml.safe_load(text)
    return found


def test_it_samples_as_the_run_does(published: Path) -> None:
    for name in ("mine", "hub"):
        options = ("--condition", "red cube", "--seed", 3, "-n", 2, "--out", f"{name}.png")
        assert call(published, "sample", name, *options).code == 0
    assert (published / "mine.png").read_bytes() == (published / "hub.png").read_bytes()
    drawn = ganforge.load_run(published / "hub").sample("red cube", n=2, seed=3)
    assert drawn.tensor.shape == (2, 3, 16, 16)


def test_it_has_the_generator_and_no_training_state(published: Path) -> None:
    files = {
        str(file.relative_to(published / "hub")) for file in (published / "hub").rglob("*") if file.is_file()
    }
    checkpoint = "checkpoints/000000000064"
    assert files == {
        "README.md", "config.toml", "run.json", "samples.png", "evaluations.jsonl",
        f"{checkpoint}/manifest.json", f"{checkpoint}/generator.safetensors",
    }  # fmt: skip
    done = call(published, "resume", "hub")
    assert (done.code, done.err.splitlines()[-1]) == (
        2,
        "hub was exported without training state, so it can be sampled but not resumed; resume the run that it was "
        "exported from",
    )


def test_it_names_nothing_of_the_machine(published: Path) -> None:
    own = json.loads((published / "mine" / "run.json").read_text())
    for file in (published / "hub").rglob("*"):
        if file.suffix in (".json", ".toml", ".md", ".jsonl"):
            text = file.read_text()
            assert str(published) not in text and "/home/someone" not in text, file
            assert own["platform"] not in text and own["cpu"]["model"] not in text, file
    assert "command" not in json.loads((published / "hub" / "run.json").read_text())


def test_the_card_has_the_metrics_of_these_weights_with_their_provenance(published: Path) -> None:
    about = front_matter(published / "hub")
    assert (about["license"], about["library_name"]) == ("cc-by-4.0", "ganforge")
    assert about["model-index"] == [
        {
            "name": "mine",
            "results": [
                {
                    "task": {"type": "image-generation"},
                    "dataset": {"type": "iclevr", "name": "iclevr"},
                    "metrics": [{"type": "condition_accuracy", "name": "recall", "value": 0.625}],
                }
            ],
        }
    ]
    text = (published / "hub" / "README.md").read_text()
    assert "| condition_accuracy: recall | 0.625 ± 0.0175 | 3 | 500 | iclevr | `abababababab` |" in text
    assert "0.125" not in text


def test_a_license_is_asked_for(published: Path) -> None:
    done = call(published, "export", "mine", "--hub", "other")
    assert (
        done.code == 2
        and "--hub needs --license, such as apache-2.0, cc-by-4.0, or other: which one" in done.err
    )
    done = call(published, "export", "mine", "--onnx", "x.onnx", "--license", "mit")
    assert done.code == 2 and "--license is for the card of --hub; pass --hub FOLDER, too" in done.err


def test_a_folder_that_is_taken_is_left_alone(published: Path) -> None:
    done = call(published, "export", "mine", "--hub", "mine", "--license", "mit")
    assert (done.code, done.err) == (
        2,
        "mine already exists and is not an empty folder; choose another with --hub\n",
    )


def test_a_published_folder_without_provenance_is_refused(published: Path, tmp_path: Path) -> None:
    shutil.copytree(published / "hub", tmp_path / "hub")
    (tmp_path / "hub" / "run.json").unlink()
    done = call(tmp_path, "sample", "hub")
    assert done.code == 2 and done.err.startswith("hub is not a run folder: it has no run.json")


def test_a_failed_export_leaves_nothing(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("disk")

    monkeypatch.setattr("ganforge.export.hub.card", fail)
    before = sorted(published.iterdir())
    with pytest.raises(RuntimeError, match="disk"):
        call(published, "export", "mine", "--hub", "broken", "--license", "mit")
    assert sorted(published.iterdir()) == before


def test_a_run_without_a_moving_average_is_published_as_trained(tmp_path: Path) -> None:
    assert call(tmp_path, "run", EXAMPLE, "--out", "mine", *sets(*TINY, "ema.halflife=0")).code == 0
    done = call(tmp_path, "export", "mine", "--hub", "hub", "--license", "mit")
    assert done.code == 0, done.err
    (weights,) = (tmp_path / "hub").rglob("*.safetensors")
    assert weights.name == "network_g.safetensors"
    assert "The weights are those of training." in (tmp_path / "hub" / "README.md").read_text()
    found = [ganforge.load_run(tmp_path / name).sample("red cube", n=2).tensor for name in ("mine", "hub")]
    assert torch.equal(*found)
