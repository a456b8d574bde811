"""Checkpoints: the file format, what is kept, and formats of other versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganforge.api import UserError
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.checkpoint.manifest import NewerFormat, sealed
from ganforge.engine.checkpoint.safetensors_writer import TYPES, write_tensors

ONE = {"g": {"a": torch.arange(4.0)}}


def state(images_seen: int, **more: Any) -> dict[str, Any]:
    return {"images_seen": images_seen, **more}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tensors_of_every_type() -> dict[str, Tensor]:
    found = {str(kind): torch.tensor([[0, 1, 1], [1, 0, 1]]).to(kind) for kind in TYPES}
    return found | {
        "scalar": torch.tensor(3.5),
        "none": torch.empty(0, 4),
        "image": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "view": torch.arange(12.0).view(3, 4).t(),
        "weight": torch.nn.Parameter(torch.randn(5)),
    }


def test_a_file_is_what_the_library_reads_and_its_hash_is_the_files(tmp_path: Path) -> None:
    given = tensors_of_every_type()
    digest = write_tensors(given, tmp_path / "mine.safetensors")
    found = load_file(tmp_path / "mine.safetensors")
    assert found.keys() == given.keys()
    for name, tensor in given.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        assert torch.equal(found[name], tensor)
    assert digest == hashlib.sha256((tmp_path / "mine.safetensors").read_bytes()).hexdigest()


def test_a_file_is_byte_for_byte_the_librarys(tmp_path: Path) -> None:
    given = {name: tensor.detach().contiguous() for name, tensor in tensors_of_every_type().items()}
    given = {name: tensor for name, tensor in given.items() if tensor.dtype == torch.float32}
    write_tensors(given, tmp_path / "mine")
    save_file(given, tmp_path / "theirs")
    assert (tmp_path / "mine").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_the_best_is_kept_besides_the_newest_and_named(tmp_path: Path) -> None:
    best = {"metric": "score", "best_is": "highest", "value": 0.5, "images_seen": 20}
    checkpoint.save(tmp_path, ONE, state(10), keep=2)
    for seen in (20, 30, 40, 50):
        checkpoint.save(tmp_path, ONE, state(seen, best=best), keep=2)
    assert names(tmp_path) == [f"{20:012d}", f"{40:012d}", f"{50:012d}", "best.json"]
    found = json.loads((tmp_path / "best.json").read_text())
    assert found.pop("sha256") and found == best
    assert checkpoint.best_of(tmp_path) == tmp_path / f"{20:012d}"
    checkpoint.save(tmp_path, ONE, state(60, best=best | {"images_seen": 60}), keep=2)
    assert names(tmp_path) == [f"{50:012d}", f"{60:012d}", "best.json"]
    checkpoint.save(tmp_path, ONE, state(70, best=None), keep=1)
    assert names(tmp_path) == [f"{70:012d}"]


def test_a_checkpoint_is_chosen_by_name(tmp_path: Path) -> None:
    for seen in (10, 20):
        checkpoint.save(tmp_path, ONE, state(seen), keep=5)
    chosen = [checkpoint.load_chosen(tmp_path, choice, fail)[1]["images_seen"] for choice in ("newest", "10")]
    assert chosen == [20, 10]
    with pytest.raises(UserError) as refused:
        checkpoint.load_chosen(tmp_path, "best", fail)
    assert str(refused.value) == (
        f"{tmp_path}: no best checkpoint was kept; set logging.keep_best to a metric to keep one"
    )
    (tmp_path / checkpoint.BEST).write_text('{"images_seen": 10}')
    assert checkpoint.load_chosen(tmp_path, "best", fail)[1]["images_seen"] == 10
    for choice in ("15", "oldest"):
        with pytest.raises(UserError) as refused:
            checkpoint.load_chosen(tmp_path, choice, fail)
        assert str(refused.value) == (
            f"--checkpoint {choice}: expected newest, best, or images seen (available: 10, 20)"
        )


def fail(line: str) -> None:
    raise AssertionError(line)


def test_a_checkpoint_takes_the_place_of_one_of_the_same_name(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, ONE, state(10), keep=1)
    checkpoint.save(tmp_path, {"g": {"a": torch.ones(2)}}, state(10), keep=1)
    assert names(tmp_path) == [f"{10:012d}"]
    tensors, _ = checkpoint.load(tmp_path / f"{10:012d}")
    assert tensors["g"]["a"].tolist() == [1.0, 1.0]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, ONE, state(10), keep=1)
    (tmp_path / f".{20:012d}.77.tmp").mkdir()
    (tmp_path / f".{20:012d}.77.tmp" / "g.safetensors").write_bytes(b"half")
    (tmp_path / ".best.json.77.tmp").write_bytes(b"{")
    # Killed after the new one had its place, and killed before.
    (tmp_path / f".{10:012d}.old.tmp").mkdir()
    checkpoint.save(tmp_path, ONE, state(15), keep=9)
    (tmp_path / f"{15:012d}").rename(tmp_path / f".{15:012d}.old.tmp")
    checkpoint.remove_leftovers(tmp_path)
    assert names(tmp_path) == [f"{10:012d}", f"{15:012d}"]
    checkpoint.load(tmp_path / f"{15:012d}")
    checkpoint.remove_leftovers(tmp_path / "nowhere")


def with_format(folder: Path, version: object) -> Path:
    made = checkpoint.save(folder, ONE, state(10, found="as written"), keep=1)
    manifest = json.loads((made / "manifest.json").read_text()) | {"format": version, "ganforge": "9.9"}
    del manifest["sha256"]
    # Formats 1 and 2 had no hash of the manifest itself.
    old = version in (0, 1, 2)
    (made / "manifest.json").write_bytes(json.dumps(manifest, indent=1).encode() if old else sealed(manifest))
    return made


def test_older_formats_migrate_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(to: str) -> Callable[[Any, Any], Any]:
        return lambda tensors, state: (
            {**tensors, to: {"a": tensors["g"]["a"] + len(state["found"])}},
            {**state, "found": f"{state['found']}, {to}"},
        )

    monkeypatch.setattr(checkpoint, "MIGRATIONS", {0: step("one"), 1: step("two"), 2: step("three")})
    for version, expected in (
        (0, "as written, one, two, three"),
        (2, "as written, three"),
        (3, "as written"),
    ):
        tensors, found = checkpoint.load(with_format(tmp_path, version))
        assert found["found"] == expected
        assert len(tensors) == 1 + expected.count(",")


@pytest.mark.parametrize("written", ["best", "checkpoint"])
def test_a_flipped_bit_in_any_file_is_noticed(tmp_path: Path, written: str) -> None:
    best = {"metric": "score", "best_is": "highest", "value": 0.5, "images_seen": 10}
    made = checkpoint.save(tmp_path, ONE, state(10, lr=2e-4, best=best), keep=1)
    folder = tmp_path if written == "best" else made
    whole = {file: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
    assert [file.name for file in whole] == (
        ["best.json"] if written == "best" else ["g.safetensors", "manifest.json"]
    )
    for file, content in whole.items():
        for bit in range(8 * len(content)):
            damaged = bytearray(content)
            damaged[bit // 8] ^= 1 << bit % 8
            file.write_bytes(damaged)
            if file.name == "best.json":
                # A flip in the name of the hash leaves an intact record of the older form.
                assert checkpoint.best_of(tmp_path) is None or b'"sha256"' not in damaged
                continue
            with pytest.raises(UserError) as refused:
                checkpoint.load(made)
            assert not isinstance(refused.value, NewerFormat)
        file.write_bytes(content)
    assert checkpoint.load(made)[1] == state(10, lr=2e-4, best=best)
    assert checkpoint.best_of(tmp_path) == made


def test_a_damaged_manifest_names_what_does_not_agree(tmp_path: Path) -> None:
    made = checkpoint.save(tmp_path, ONE, state(640), keep=1)
    manifest = made / "manifest.json"
    whole = manifest.read_bytes()
    for content, reason in (
        (whole.replace(b"640", b"740"), "its SHA-256 does not match its content"),
        (whole.replace(b'"sha256"', b'"sha255"'), "expected its SHA-256 under 'sha256', got none"),
    ):
        manifest.write_bytes(content)
        with pytest.raises(UserError) as refused:
            checkpoint.load(made)
        assert str(refused.value) == f"{manifest}: damaged: {reason}"
    manifest.write_bytes(whole)
    other = made.rename(tmp_path / f"{1740:012d}")
    with pytest.raises(UserError) as refused:
        checkpoint.load(other)
    assert str(refused.value) == (
        f"{other / 'manifest.json'}: damaged: its folder is named for 1,740 images, its state has seen 640"
    )


def test_a_damaged_record_of_the_best_is_not_taken_for_none(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, ONE, state(10), keep=1)
    (tmp_path / "best.json").write_text("{")
    with pytest.raises(UserError) as refused:
        checkpoint.load_chosen(tmp_path, "best", fail)
    assert str(refused.value) == (
        f"{tmp_path / 'best.json'}: damaged, or its checkpoint is missing; choose another checkpoint by its "
        "images seen"
    )


def test_the_seal_is_the_hash_of_the_file_with_the_seal_empty(tmp_path: Path) -> None:
    made = checkpoint.save(tmp_path, ONE, state(10), keep=1)
    written = (made / "manifest.json").read_bytes()
    digest = json.loads(written)["sha256"]
    assert hashlib.sha256(written.replace(digest.encode(), b"")).hexdigest() == digest


def test_format_2_is_read(tmp_path: Path) -> None:
    _, found = checkpoint.load(with_format(tmp_path, 2))
    assert found == state(10, found="as written")


def test_format_1_is_read(tmp_path: Path) -> None:
    _, found = checkpoint.load(with_format(tmp_path, 1))
    added = {"owes_metrics": False, "best": None, "stamp": {}, "health": None}
    assert found == added | state(10, found="as written")


def test_a_newer_format_is_refused_by_name_and_no_older_one_taken(tmp_path: Path) -> None:
    newest = with_format(tmp_path, 7)
    checkpoint.save(tmp_path, ONE, state(5), keep=9)
    expected = (
        f"{newest}: checkpoint format 7 was written by a newer ganforge (9.9; this is {checkpoint.ganforge.__version__}, "
        "which reads up to format 3); upgrade ganforge"
    )
    with pytest.raises(UserError) as caught:
        checkpoint.load(newest)
    assert str(caught.value) == expected
    said: list[str] = []
    with pytest.raises(UserError) as caught:
        checkpoint.load_newest(tmp_path, said.append)
    assert (str(caught.value), said) == (expected, [])


@pytest.mark.parametrize(("version", "reason"), [(0, "format 0 is no longer supported"), ("1", "format '1'")])
def test_a_format_that_never_was(tmp_path: Path, version: object, reason: str) -> None:
    made = with_format(tmp_path, version)
    with pytest.raises(UserError) as caught:
        checkpoint.load(made)
    assert str(caught.value) == f"{made / 'manifest.json'}: not a checkpoint manifest: {reason}"
