"""Conditions, judges and checkpoints, whole and damaged: the thing itself, or one message.

Caps: a list of conditions has at most 16 MiB (`ganforge.api.conditions.MAX_BYTES`); a judge and a checkpoint need
no more memory than their files have bytes, a few times over, whatever card, header or manifest claim.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganforge.api import DataSpec, LabelSpec
from ganforge.api.conditions import read_conditions
from ganforge.api.judge.judge import CARD, WEIGHTS, Judge, load_judge
from ganforge.api.judge.network import build_network
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.checkpoint.manifest import SEAL, sealed
from ganforge.evaluation.sample import condition_rows
from support.fuzz import ANY_TEXT, answer, damaged, fuzz, json_values, peak_growth
from support.scratch import scratch
from support.toys import toy_config, toy_loop

PLACE = scratch()
NAMES = ("red cube", "blue cube", "gray sphere")
LABELS = [
    LabelSpec(),
    LabelSpec(kind="one_of_k", names=NAMES),
    LabelSpec(kind="many_of_k", names=NAMES, most=2),
    LabelSpec(kind="vector", names=("x", "y")),
]
NAME = st.sampled_from((*NAMES, "red", "x", "", " red cube ")) | ANY_TEXT


@given(st.sampled_from(LABELS), st.lists(NAME, max_size=4).map(",".join) | ANY_TEXT, st.integers(1, 3))
@fuzz(300)
def test_condition_strings(labels: LabelSpec, text: str, n: int) -> None:
    found = answer(lambda: condition_rows(labels, [labels.parse(text)], n, 0))
    if not isinstance(found, str):
        # Many of K: an empty text asks for a sample without any label.
        assert found is not None and found.shape == (n, labels.width)
        assert found.sum() == n * len(labels.parse(text))


@given(
    (st.lists(NAME | st.lists(NAME, max_size=3), max_size=4) | json_values(NAME))
    .map(json.dumps)
    .map(str.encode)
    | damaged(json.dumps([list(NAMES), "red cube, blue cube"]).encode()),
    st.sampled_from(LABELS),
)
@fuzz(300)
def test_lists_of_conditions(content: bytes, labels: LabelSpec) -> None:
    (PLACE / "conditions.json").write_bytes(content)
    found = answer(lambda: read_conditions(PLACE / "conditions.json", LabelSpec()))
    if not isinstance(found, str):
        answer(lambda: condition_rows(labels, found, 1, 0))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[" * 100_000, ": not JSON: maximum recursion depth exceeded while decoding a JSON array from a unicode string"),
        (b"[" + b"9" * 5000 + b"]", ": not JSON: Exceeds the limit (4300 digits) for integer string conversion: "
         "value has 5000 digits; use sys.set_int_max_str_digits() to increase the limit"),
        (b" " * (2**24 + 1), ": expected a list of conditions of at most 16,777,216 bytes"),
        (b"", ":1: not JSON: Expecting value"),
        (b"[3]", ": expected condition 0 (counted from 0) to be a list of names, got 3"),
        (b'{"a": 1}', ': expected a list of conditions, such as [["red cube"], ["gray sphere"]]'),
    ],
)  # fmt: skip
def test_hostile_lists_of_conditions(content: bytes, expected: str | bytes) -> None:
    file = PLACE / "hostile.json"
    file.write_bytes(content)
    text = expected.decode() if isinstance(expected, bytes) else expected
    assert answer(lambda: read_conditions(file, LabelSpec())) == f"{file}{text}"


DATA = DataSpec(shape=(1, 8, 8), labels=LABELS[1])
NETWORK = build_network("small_resnet", 1, 3, 1)
Judge.of(NETWORK, DATA, architecture="small_resnet", width=1).save(PLACE / "judge")
CARD_TEXT = (PLACE / "judge" / CARD).read_bytes()
WEIGHT_BYTES = (PLACE / "judge" / WEIGHTS).read_bytes()


def judge_of(card: bytes, weights: bytes = WEIGHT_BYTES) -> Judge | str:
    folder = PLACE / "hostile"
    folder.mkdir(exist_ok=True)
    (folder / CARD).write_bytes(card)
    (folder / WEIGHTS).write_bytes(weights)
    found = answer(lambda: load_judge(folder))
    if isinstance(found, Judge):
        assert found.logits(torch.zeros(2, *found.card.data.shape)).shape == (2, 3)
    return found


@given(damaged(CARD_TEXT))
@fuzz(100)
def test_damaged_cards(card: bytes) -> None:
    answer(lambda: load_judge(PLACE / "judge"))
    folder = PLACE / "hostile"
    folder.mkdir(exist_ok=True)
    (folder / CARD).write_bytes(card)
    (folder / WEIGHTS).write_bytes(WEIGHT_BYTES)
    answer(lambda: load_judge(folder))


@given(
    st.dictionaries(
        st.sampled_from(("format", "architecture", "width", "data", "sha256", "trained_on", "accuracy", "x")),
        json_values()
        | st.just({"shape": [1, 8, 8]})
        | st.just({"shape": [2**40, 8, 8], "labels": {"names": ["a"]}}),
        max_size=3,
    )
)
@fuzz(150)
def test_cards_that_say_something_else(changes: dict[str, Any]) -> None:
    (PLACE / "hostile").mkdir(exist_ok=True)
    (PLACE / "hostile" / CARD).write_bytes(json.dumps(json.loads(CARD_TEXT) | changes).encode())
    (PLACE / "hostile" / WEIGHTS).write_bytes(WEIGHT_BYTES)
    answer(lambda: load_judge(PLACE / "hostile"))


def resealed(weights: bytes) -> bytes:
    """A card with the right hash, so that the header itself is what gets read."""
    return json.dumps(json.loads(CARD_TEXT) | {"sha256": hashlib.sha256(weights).hexdigest()}).encode()


def with_header(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + bytes(64)


HEADER_LENGTH = int.from_bytes(WEIGHT_BYTES[:8], "little")
HEADER = json.loads(WEIGHT_BYTES[8 : 8 + HEADER_LENGTH])


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """The weights under a header with other types, shapes and places."""
    header = dict(HEADER)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(header)) | ANY_TEXT)
        entry = dict(header.get(name, {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}))
        key = draw(st.sampled_from(("dtype", "shape", "data_offsets", "more")))
        entry[key] = draw(
            st.sampled_from(
                ("F16", "I64", "BOOL", "F8_E4M3", "X", [2**62, 2**62], [0, 0], [4, 0], [-1, 4], [0, 2**63])
            )
            | json_values()
        )
        if draw(st.booleans()):
            header[name] = entry
        else:
            header.pop(name, None)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + WEIGHT_BYTES[8 + HEADER_LENGTH :]


@given(
    headers()
    | damaged(WEIGHT_BYTES[: 8 + HEADER_LENGTH]).map(lambda head: head + WEIGHT_BYTES[8 + HEADER_LENGTH :])
)
@fuzz(200)
def test_safetensors_headers(weights: bytes) -> None:
    judge_of(resealed(weights), weights)


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        with_header(b"{}", 2**63),
        with_header(b"{}", 2**40),
        with_header(b"[" * 100_000),
        with_header(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}'),
        with_header(b'{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}'),
    ],
    ids=["empty", "length beyond 63 bits", "length of a tebibyte", "nested", "overlapping", "overflowing"],
)  # fmt: skip
def test_hostile_headers(weights: bytes) -> None:
    found = judge_of(resealed(weights), weights)
    assert isinstance(found, str)
    assert found.startswith(f"{PLACE}/hostile/{WEIGHTS}: not a safetensors file: ")


def test_a_judge_of_another_type_is_refused() -> None:
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in NETWORK.state_dict().items()
    }
    weights = safetensors.torch.save(half)
    assert judge_of(resealed(weights), weights) == (
        f"{PLACE}/hostile/{WEIGHTS}: expected 'body.0.weight' as torch.float32, got torch.float16"
    )


def test_memory_of_a_card_that_claims_a_giant() -> None:
    card = json.loads(CARD_TEXT) | {"width": 1024}
    (PLACE / "giant").mkdir(exist_ok=True)
    (PLACE / "giant" / CARD).write_text(json.dumps(card))
    (PLACE / "giant" / WEIGHTS).write_bytes(WEIGHT_BYTES)
    setup = "from pathlib import Path; from ganforge.api import UserError; from ganforge.api.judge.judge import load_judge"
    ((grown, said),) = peak_growth(setup, ["load_judge(Path(sys.argv[1]))"], PLACE / "giant")
    assert "its weights are not those of a small_resnet with 3 outputs" in said
    # A network of that width would take gibibytes; what grows is code that torch loads late.
    assert grown < 200


SAVED: list[Path] = []


def saved() -> Path:
    if not SAVED:
        loop, _ = toy_loop(PLACE / "run", toy_config())
        loop._iterate(measure=False)
        loop.save()
        loop.saver.__exit__(None, None, None)
        SAVED.append(checkpoint.complete(PLACE / "run")[-1])
    return SAVED[0]


def restored(manifest: bytes) -> None:
    """Reads a checkpoint with this manifest, and puts it into a fresh loop as far as it goes."""
    folder = saved()
    whole = (folder / checkpoint.MANIFEST).read_bytes()
    try:
        (folder / checkpoint.MANIFEST).write_bytes(manifest)
        found = answer(lambda: checkpoint.load(folder))
    finally:
        (folder / checkpoint.MANIFEST).write_bytes(whole)
    if not isinstance(found, str):
        loop, _ = toy_loop(PLACE / "other", toy_config())
        try:
            loop.restore(*found)
        except checkpoint.MISFITS:
            # What `resume` tells as one message.
            return


@st.composite
def manifests(draw: st.DrawFn) -> bytes:
    document = json.loads((saved() / checkpoint.MANIFEST).read_bytes())
    for _ in range(draw(st.integers(1, 2))):
        owner: Any = document
        for _ in range(draw(st.integers(0, 3))):
            inner = [each for each in owner.values() if isinstance(each, dict) and each]
            owner = draw(st.sampled_from(inner)) if inner else owner
        if owner:
            key = draw(st.sampled_from(sorted(owner)))
            if draw(st.booleans()):
                owner[key] = draw(json_values())
            else:
                del owner[key]
    # Sealed again, so that what is read is more than the seal.
    document.pop(SEAL, None)
    return sealed(document)


@given(st.data())
@fuzz(60)
def test_checkpoint_manifests(data: st.DataObject) -> None:
    whole = (saved() / checkpoint.MANIFEST).read_bytes()
    restored(data.draw(manifests() | damaged(whole)))


def test_an_undamaged_checkpoint_is_restored() -> None:
    tensors, state = checkpoint.load(saved())
    loop, _ = toy_loop(PLACE / "other", toy_config())
    loop.restore(tensors, state)
    network: nn.Module = loop.game.players["g"].network
    assert all(torch.equal(tensors["network_g"][name], value) for name, value in network.state_dict().items())
