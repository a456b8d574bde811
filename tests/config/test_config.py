"""Run files: what is read, and what is said about mistakes, word for word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ganforge.api import UserError
from ganforge.config import RunConfig, dumps, load
from ganforge.config.load import MAX_BYTES, parse_override
from ganforge.config.locate import Positions
from support.toys import toy_registry

REGISTRY = toy_registry()
GOOD = """\
[data]
type = "squares"

[nets]
type = "dcgan"
width = 8
"""


def read(tmp_path: Path, text: str, *overrides: str) -> RunConfig:
    file = tmp_path / "run.toml"
    file.write_text(text)
    return load(file, REGISTRY, overrides)


def complaint(tmp_path: Path, text: str, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        read(tmp_path, text, *overrides)
    return str(caught.value).replace(str(tmp_path / "run.toml"), "run.toml")


def test_absent_sections_have_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert (config.prior.type, config.loss.type, config.generator.optimizer.type) == ("normal", "bce", "adam")
    assert config.train.batch_size == 64
    assert config.wandb.mode == "offline"
    assert config.terms == ()


def test_the_resolved_file_loads_to_the_same_run(tmp_path: Path) -> None:
    text = GOOD + '[[terms]]\ntype = "r1"\nevery = 16\n[[metrics]]\ntype = "sliced_wasserstein"\n'
    config = read(tmp_path, text)
    resolved = dumps(config)
    assert "batch_size = 64" in resolved
    assert read(tmp_path, resolved).model_dump() == config.model_dump()


def test_a_file_is_narrowed_to_the_components_it_names(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD + '[loss]\ntype = "hinge"\n')
    assert type(config.loss) is REGISTRY.find("loss", "hinge")


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("[train]\nbatchsize = 3\n", "run.toml:8: train.batchsize: unknown key 'batchsize'; did you mean "
         "'batch_size'? (keys: images, batch_size, accumulate, d_updates, g_updates, fakes, precision, float32, "
         "cuda_graphs, deterministic, compile, device, seed, clip_grad_norm, sync_batchnorm, timeout_s, silence, resume, placement)"),
        ('[train]\n\nbatch_size = "32"\n', "run.toml:9: train.batch_size: should be a valid integer, got '32'"),
        ("[train]\nbatch_size = 0\n", "run.toml:8: train.batch_size: should be greater than or equal to 1, got 0"),
        ("[loss]\nmargin = 1\n", "run.toml:7: loss: the key 'type' is missing (one of: <loss>)"),
        ('[loss]\ntype = "hing"\n', "run.toml:8: loss.type: no loss is called 'hing'; did you mean 'hinge'? "
         "(installed: <loss>)"),
        ("[loss]\ntype = 3\n", "run.toml:8: loss.type: expected a name (one of: <loss>), got 3"),
        ('[trian]\nimages = 3\n', "run.toml:7: trian: unknown key 'trian'; did you mean 'train'? (keys: data, "
         "prior, nets, task, loss, terms, callbacks, metrics, trackers, generator, discriminator, init, train, lr, ema, logging, health, wandb)"),
        ('[[terms]]\ntype = "r1"\n[[terms]]\ntype = "wgan-gp"\n', "run.toml:10: terms.1.type: no term is called "
         "'wgan-gp'; that is 'gradient_penalty' here (installed: <terms>)"),
        ('[[terms]]\ntype = "r1"\n[[terms]]\ntype = "r2"\never = 4\n', "run.toml:11: terms.1.ever: unknown key "
         "'ever'; did you mean 'every'? (keys: type, weight, every)"),
        ('[generator.optimizer]\ntype = "adam"\nlr = -1.0\n', "run.toml:9: generator.optimizer.lr: should be "
         "greater than 0, got -1.0"),
        ("[train]\nimages = nan\n", "run.toml:8: train.images: should be a valid integer, got nan"),
        ("[lr]\nfloor = inf\n", "run.toml:8: lr.floor: should be a finite number, got inf"),
    ],
)  # fmt: skip
def test_each_mistake_is_explained_at_its_line(tmp_path: Path, added: str, expected: str) -> None:
    for kind in ("loss", "terms"):
        expected = expected.replace(f"<{kind}>", ", ".join(sorted(REGISTRY.of(kind))))
    assert complaint(tmp_path, GOOD + added) == expected


def test_all_mistakes_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = '[data]\ntype = "squares"\nsiz = 4\n[nets]\ntype = "dcgn"\nwidth = "x"\n[train]\nseed = -1\n'
    found = complaint(tmp_path, text).splitlines()
    assert [line.split(": ")[0:2] for line in found] == [
        ["run.toml:3", "data.siz"],
        ["run.toml:5", "nets.type"],
        ["run.toml:8", "train.seed"],
    ]


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    assert complaint(tmp_path, '[data]\ntype = "squares"\n') == (
        "run.toml:1: nets: is missing; add a table [nets] with type = one of: "
        + ", ".join(sorted(REGISTRY.of("nets")))
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[data\n", "run.toml:1: TOML syntax error: Expected ']' at the end of a table declaration"),
        ("[data]\ntype = \n", "run.toml:2: TOML syntax error: Invalid value"),
        ("[data]\n[data]\n", "run.toml:2: TOML syntax error: Cannot declare ('data',) twice"),
        ('x = """\nabc', "run.toml:2: TOML syntax error: Unterminated string (at end of document)"),
    ],
)
def test_syntax_errors_name_the_line(tmp_path: Path, text: str, expected: str) -> None:
    assert complaint(tmp_path, text).startswith(expected)


def test_hostile_files_end_in_a_message(tmp_path: Path) -> None:
    assert complaint(tmp_path, "a = " + "[" * 20_000).startswith("run.toml")
    assert (
        complaint(tmp_path, "#" * (MAX_BYTES + 1)) == "run.toml: expected a run file of at most 262,144 bytes"
    )
    (tmp_path / "run.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(UserError, match="not UTF-8 text"):
        load(tmp_path / "run.toml", REGISTRY)
    with pytest.raises(UserError, match="cannot be read: No such file or directory"):
        load(tmp_path / "none.toml", REGISTRY)
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load(tmp_path, REGISTRY)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.batch_size=32", (("train", "batch_size"), 32)),
        ("loss.type=hinge", (("loss", "type"), "hinge")),
        ('loss.type="hinge"', (("loss", "type"), "hinge")),
        ("generator.optimizer.betas=[0.0, 0.9]", (("generator", "optimizer", "betas"), [0.0, 0.9])),
        ("data.root=/a/b c", (("data", "root"), "/a/b c")),
    ],
)
def test_overrides_are_toml_values_or_strings(override: str, expected: Any) -> None:
    assert parse_override(override) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("1e5", 100_000), ("1.5E3", 1_500), ("2.0", 2.0), ("1e-4", 1e-4), ("2.5e0", 2.5)]
)
def test_whole_numbers_may_have_an_exponent(value: str, expected: float) -> None:
    _, found = parse_override(f"train.images={value}")
    assert (found, type(found)) == (expected, type(expected))


def test_overrides_reach_into_arrays_of_tables(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD + '[[terms]]\ntype = "r1"\n', "terms.0.weight=7", "train.seed=3")
    assert (config.terms[0].weight, config.train.seed) == (7.0, 3)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.batch_size", "--set train.batch_size: expected KEY=VALUE, such as --set train.batch_size=32"),
        ("data.type.x=1", "--set data.type.x=1: data.type is a value, not a table"),
        ("terms.4.weight=1", "--set terms.4.weight=1: '4' is not an index of an array of length 1 (counted from 0)"),
        ("terms.0=1", "--set terms.0=1: terms is an array; name a key in one of its tables"),
        ("train.sed=1", "--set train.sed=1: train.sed: unknown key 'sed'; did you mean 'seed'? (keys: images, "
         "batch_size, accumulate, d_updates, g_updates, fakes, precision, float32, cuda_graphs, deterministic, compile, device, seed, "
         "clip_grad_norm, sync_batchnorm, timeout_s, silence, resume, placement)"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_override_is_not_blamed_on_the_file(
    tmp_path: Path, override: str, expected: str
) -> None:
    assert complaint(tmp_path, GOOD + '[[terms]]\ntype = "r1"\n', override) == expected


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a", "b"), 2),
        (("a", "list"), 3),
        (("t", 0), 7),
        (("t", 1, "x"), 10),
        (("t", 1, "inner", "y"), 12),
        (("d", "e", "f"), 14),
        (("d", "g", "h"), 15),
        (("a", "unknown"), 1),
        (("nowhere",), None),
    ],
)
def test_keys_are_found_in_the_text(path: tuple[str | int, ...], line: int | None) -> None:
    text = (
        (
            "[a]\nb = 1\nlist = [\n  1,\n]\n# note\n[[t]]\nx = 1\n[[t]]\nx = 2\n[t.inner]\ny = '''\n'''\n"
            "d.e.f = 1\nd.g = { h = 2 }\n"
        )
        .replace("d.e.f", "[d]\ne.f")
        .replace("d.g", "g")
    )
    # The header [d] takes a line of its own.
    expected = line if line is None or path[0] != "d" else line + 1
    assert Positions(text).line(path) == expected


def test_the_schema_tells_the_components_apart(tmp_path: Path) -> None:
    from ganforge.config import run_schema

    schema = run_schema(REGISTRY)
    json.dumps(schema)
    assert schema["required"] == ["data", "nets"]
    hinge = schema["$defs"]["Hinge"]
    assert hinge["required"] == ["type"]
    assert hinge["additionalProperties"] is False
    assert hinge["properties"]["type"]["const"] == "hinge"
