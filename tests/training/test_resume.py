"""Resuming: changed settings and changed environments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import Samples
from ganforge.config import validate
from ganforge.config.drift import changes
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.checkpoint.environment import data_fingerprint, differences
from ganforge.engine.checkpoint.manifest import SEAL, sealed
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.resume import Saved
from support.command_line import EXAMPLE, TINY, call, contents, sets
from support.toys import toy_config, toy_document, toy_registry
from support.trained import place as place
from support.trained import said
from support.trained import trained as trained


def resumes(place: Path) -> list[tuple[int, list[str]]]:
    entries = json.loads((place / "mine" / "run.json").read_text())["resumes"]
    return [(entry["images_seen"], entry["not_exact_because"]) for entry in entries]


def edit_manifest(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = checkpoint.complete(place / "mine" / "checkpoints")[-1] / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest["state"])
    del manifest[SEAL]
    file.write_bytes(sealed(manifest))


# --- settings ---------------------------------------------------------------------------------


def test_all_that_differs_is_named_at_once() -> None:
    old = toy_config(terms=[{"type": "r1"}], logging={"every": 8})
    new = toy_config(
        terms=[{"type": "r1", "weight": 2.0}, {"type": "r2"}],
        loss={"type": "hinge"},
        prior={"type": "normal", "dim": 16},
        train={"images": 99, "batch_size": 16},
        logging={"every": 16},
        wandb={"project": "other"},
    )
    r2 = [str(change) for change in changes(old, new) if change.key.startswith("terms.1.")]
    assert 'terms.1.type: (absent) -> "r2"' in r2
    assert [str(change) for change in changes(old, new) if not change.key.startswith("terms.1.")] == [
        "prior.dim: 8 -> 16",
        'loss.type: "bce" -> "hinge"',
        f"terms.0.weight: {old.terms[0].weight} -> 2.0",
        "train.batch_size: 8 -> 16",
    ]
    assert changes(old, old) == []


def test_a_file_may_lie_elsewhere_but_not_come_or_go() -> None:
    def config(**data: Any) -> Any:
        return validate(
            toy_document(data={"type": "iclevr", "image_size": 16, **data}), toy_registry(), file="x"
        )

    assert changes(config(root="/a"), config(root="/b")) == []
    assert [str(each) for each in changes(config(), config(root="/b"))] == ['data.root: (absent) -> "/b"']


def test_a_changed_file_is_refused_key_by_key(place: Path) -> None:
    text = EXAMPLE.read_text().replace('type = "bce"', 'type = "hinge"').replace("dim = 100", "dim = 101")
    (place / "new.toml").write_text(text)
    before = contents(place)
    done = call(place, "resume", "mine", "--config", "new.toml", *sets(*TINY, "train.images=96"))
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "mine can only be resumed with its own settings; these differ:",
        "  prior.dim: 100 -> 101",
        '  loss.type: "bce" -> "hinge"',
        "start a new run for other settings, or allow them with --override prior.dim --override loss.type; the run is "
        "then no longer exact (free to change: train.images, train.resume, train.device, train.placement, train.timeout_s, train.silence, logging, "
        "wandb, trackers, health, and paths of files)",
    ]
    assert contents(place) == before


def test_an_overridden_key_is_taken_said_and_recorded(place: Path) -> None:
    done = call(place, "resume", "mine", *sets("train.images=96", "train.clip_grad_norm=1.0"))
    assert done.code == 2
    done = call(place, "resume", "mine", "--override", "train.clip_grad_norm",
                *sets("train.images=96", "train.clip_grad_norm=1.0"))  # fmt: skip
    why = "train.clip_grad_norm was 0.0 and is 1.0"
    assert done.code == 0
    assert said(done) == [f"continues at 64 images; not exact, because: {why}"]
    # What was allowed once is the run's own from now on.
    done = call(place, "resume", "mine", *sets("train.images=128"))
    assert said(done) == ["continues exactly at 96 images"]
    assert resumes(place) == [(64, [why]), (96, [])]


def test_a_config_edited_by_hand_is_found_out(place: Path) -> None:
    config = place / "mine" / "config.toml"
    config.write_text(config.read_text().replace("batch_size = 32", "batch_size = 16"))
    done = call(place, "resume", "mine", *sets("train.images=96"))
    assert done.code == 2
    assert done.err.splitlines()[1] == "  train.batch_size: 32 -> 16"


def test_a_key_that_an_older_ganforge_did_not_have_is_no_difference(place: Path) -> None:
    edit_manifest(place, lambda state: state["stamp"]["config"]["train"].pop("clip_grad_norm"))
    assert said(call(place, "resume", "mine", *sets("train.images=96"))) == ["continues exactly at 64 images"]


# --- surroundings -----------------------------------------------------------------------------


def test_other_surroundings_are_said_and_the_run_goes_on(place: Path) -> None:
    edit_manifest(
        place, lambda state: state["stamp"]["surroundings"].update(device="cuda (X)", processes="2")
    )
    done = call(place, "resume", "mine", *sets("train.images=96"))
    (line,) = said(done)
    assert done.code == 0
    assert line.startswith("continues at 64 images; not exact, because: device was cuda (X) and is cpu (")
    assert line.endswith("; processes was 2 and is 1")


@pytest.fixture
def another_number(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Threads that torch uses, one more than when the run started."""
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    yield before + 1
    torch.set_num_threads(before)


def test_the_number_of_threads_is_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch, another_number: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    done = call(place, "resume", "mine", *sets("train.images=96"))
    assert (
        f"threads: {another_number - 1}, as before; with another OMP_NUM_THREADS the run would not be exact\n"
    ) in done.err
    assert said(done) == ["continues exactly at 64 images"]
    assert torch.get_num_threads() == another_number - 1


def test_another_number_that_the_user_wants_is_a_difference(
    place: Path, monkeypatch: pytest.MonkeyPatch, another_number: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(another_number))
    done = call(place, "resume", "mine", *sets("train.images=96"))
    assert said(done) == [
        f"continues at 64 images; not exact, because: threads was {another_number - 1} and is {another_number}"
    ]


def test_a_checkpoint_that_does_not_say_is_not_accused(place: Path) -> None:
    edit_manifest(place, lambda state: state.update(stamp={}))
    assert said(call(place, "resume", "mine", *sets("train.images=96"))) == ["continues exactly at 64 images"]


def test_a_fingerprint_sees_a_changed_image_and_a_changed_label() -> None:
    images = torch.randint(0, 255, (1000, 3, 4, 4), dtype=torch.uint8)
    labels = torch.zeros(1000, 2, dtype=torch.uint8)
    first = data_fingerprint(Samples(images, labels))
    assert first.startswith("1000 samples, ")
    assert data_fingerprint(Samples(images.clone(), labels.clone())) == first
    changed = images.clone()
    changed[0, 0, 0, 0] ^= 1
    relabelled = labels.clone()
    relabelled[501, 1] = 1
    others = [
        Samples(changed, labels),
        Samples(images, relabelled),
        Samples(images),
        Samples(images[:999], labels[:999]),
    ]
    assert len({first, *map(data_fingerprint, others)}) == 5
    assert differences({"a": "1", "b": "2"}, {"b": "3"}) == ["a was 1 and is absent", "b was 2 and is 3"]


# --- retention --------------------------------------------------------------------------------


def test_a_kill_before_old_checkpoints_were_deleted_leaves_none_too_many(tmp_path: Path) -> None:
    def kept(newest: int) -> list[int]:
        folder = RunFolder(tmp_path)
        for seen in (8, 16, 24, 32):
            (folder.checkpoints / f"{seen:012d}").mkdir(parents=True, exist_ok=True)
            (folder.checkpoints / f"{seen:012d}" / "manifest.json").write_text("{}")
        state = {"images_seen": newest, "health": {"healthy_at": 16}}
        Saved(folder, toy_config(), {}, state, [], {}).retain(1)
        return [int(path.name) for path in checkpoint.complete(folder.checkpoints)]

    assert kept(32) == [16, 32]
    # The newest is damaged, so the run goes on from an older one.
    assert kept(24) == [8, 16, 24, 32]
