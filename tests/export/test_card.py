"""The card of a published run: names of labels and runs are text in it, for Markdown, YAML and the shell."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import yaml

from ganforge.api import DataSpec, LabelSpec
from ganforge.export.card import card
from ganforge.export.hub import _without_trackers, without_paths

HOSTILE = "$(touch x)|<img src=x onerror=alert(1)>`\n# no"
ABOUT: dict[str, Any] = {
    "run": "mine",
    "parameters": 12,
    "components": {"nets": "dcgan", "loss": "bce", "data": "iclevr"},
    "images_seen": 64,
    "weights": "as trained",
    "seed": 0,
    "sha256": "ab",
}


def made(
    names: tuple[str, ...] = ("red cube", "cup"), least: int = 0, metric: str = "recall", **about: Any
) -> str:
    spec = DataSpec(shape=(3, 8, 8), labels=LabelSpec(kind="many_of_k", names=names, least=least))
    metrics = [
        {
            "type": "condition_accuracy",
            "settings": {"samples": 500},
            "seeds": [0],
            "values": {metric: 0.5},
            "fingerprint": "ab" * 32,
        }
    ]
    record = {"metrics": metrics, "data": {"type": "iclevr"}, "ganforge": "0", "time": "t"}
    return card(ABOUT | about, spec, [record], "mit", None)


@pytest.mark.parametrize(
    ("names", "least", "words"),
    [
        (("red cube", "cup"), 0, "red cube"),
        (("red cube", "cup"), 2, "red cube, cup"),
        (("$(touch x)`id`", "cup"), 0, "$(touch x)`id`"),
        (('a "b", c', "cup"), 0, '"a ""b"", c"'),
    ],
)
def test_the_command_is_one_that_a_shell_takes_as_it_is_meant(
    names: tuple[str, ...], least: int, words: str
) -> None:
    (line,) = (line for line in made(names, least).splitlines() if line.startswith("ganforge sample"))
    assert shlex.split(line)[2:5] == ["FOLDER", "--condition", words]
    assert LabelSpec(kind="many_of_k", names=names).parse(words) == list(names[: max(1, least)])


def test_a_label_with_a_line_break_ends_no_block() -> None:
    text = made(("a\n```\n# no", "cup"))
    assert "# no" not in text and "ganforge sample FOLDER --n 8" in text


def test_names_are_neither_markdown_nor_html() -> None:
    text = made(metric=f"recall/{HOSTILE}", run=HOSTILE)
    escaped = r"$(touch x)\|\<img src=x onerror=alert(1)\>\` \# no"
    assert f"\n# {escaped}\n" in text
    (row,) = (line for line in text.splitlines() if line.startswith("| condition_accuracy"))
    assert row == f"| condition_accuracy: recall/{escaped} | 0.5 | 1 | 500 | iclevr | `abababababab` |"


@pytest.mark.parametrize("name", [HOSTILE, "\U0001f600 caf\u00e9", "a\u2028b\u0085c\x7f", 'quote " and \\'])
def test_the_front_matter_is_yaml_with_any_name(name: str) -> None:
    front = made(run=name).split("---\n")[1]
    assert yaml.safe_load(front)["model-index"][0]["name"] == name


def test_neither_paths_nor_accounts_are_published() -> None:
    tables = {
        "data": {"root": "/home/me/data", "other": "~/photos", "url": "file:///home/me/x", "kind": "a/b"},
        "trackers": [{"type": "accelerate", "options": {"api_key": "secret"}}],
        "wandb": {"entity": "team", "mode": "online"},
    }
    assert without_paths(_without_trackers(tables)) == {
        "data": {"root": "data", "other": "photos", "url": "x", "kind": "a/b"},
        "wandb": {"mode": "disabled"},
    }
