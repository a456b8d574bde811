"""What every term says of itself: its heads, its players, its weight and its paper."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ganforge.api import Code, DataSpec, Draw, LabelKind, LabelSpec, Prior, Role, UserError
from support.plays import PENALTIES, TERMS, make


class FixedPrior(Prior):
    """A prior that only names its codes."""

    type: str = "fixed"
    has: tuple[Code, ...] = ()

    def z_dim(self) -> int:
        return 1

    def codes(self) -> tuple[Code, ...]:
        return self.has

    def sample(self, n: int, cond: Tensor | None, generator: torch.Generator) -> Draw:
        raise NotImplementedError


CODES = (Code("c1", "categorical", 10), Code("c2", "continuous", 1), Code("c3", "continuous", 2))


def spec(kind: LabelKind, *names: str) -> DataSpec:
    return DataSpec(shape=(1, 8, 8), labels=LabelSpec(kind=kind, names=names))


@pytest.mark.parametrize(
    ("learn_variance", "expected"),
    [(False, {"c1": 10, "c2": 1, "c3": 2}), (True, {"c1": 10, "c2": 2, "c3": 4})],
)
def test_mutual_information_wants_a_head_for_each_code(
    learn_variance: bool, expected: dict[str, int]
) -> None:
    term = make("mutual_information", learn_variance=learn_variance)
    assert term.heads(spec("none"), FixedPrior(has=CODES)) == expected


def test_mutual_information_without_codes_is_explained() -> None:
    with pytest.raises(UserError) as error:
        make("mutual_information").heads(spec("none"), FixedPrior())
    assert str(error.value) == (
        "term 'mutual_information' needs a prior with codes, but prior 'fixed' has none; use for example prior "
        "'codes' with categorical = [10] or continuous = 2"
    )


def test_auxiliary_classifier_wants_one_head() -> None:
    term = make("auxiliary_classifier")
    assert term.heads(spec("one_of_k", "a", "b", "c"), FixedPrior()) == {"label": 3}
    assert term.heads(spec("many_of_k", "a", "b"), FixedPrior()) == {"labels": 2}


@pytest.mark.parametrize(("kind", "got"), [("none", "has none"), ("vector", "has vectors")])
def test_auxiliary_classifier_without_classes_is_explained(kind: LabelKind, got: str) -> None:
    with pytest.raises(UserError) as error:
        make("auxiliary_classifier").heads(spec(kind, *["x"] * (kind == "vector")), FixedPrior())
    assert str(error.value) == (
        f"term 'auxiliary_classifier' needs data labelled with one or many of K classes, but the data {got}; "
        "use other [data] or remove the term"
    )


@pytest.mark.parametrize("name", [*PENALTIES, "feature_matching", "l1", "path_length", "wgan_div"])
def test_other_terms_want_no_head(name: str) -> None:
    assert make(name).heads(spec("none"), FixedPrior()) == {}


@pytest.mark.parametrize("name", TERMS)
def test_every_term_names_its_paper(name: str) -> None:
    assert "arXiv:" in TERMS[name].source


PLAYERS: list[tuple[str, set[Role]]] = [
    ("gradient_penalty", {"d"}),
    ("r1", {"d"}),
    ("r2", {"d"}),
    ("mutual_information", {"d", "g"}),
    ("auxiliary_classifier", {"d", "g"}),
    ("discriminative_classifier", {"d", "g"}),
    ("feature_matching", {"g"}),
    ("l1", {"g"}),
    ("path_length", {"g"}),
    ("wgan_div", {"d"}),
    ("adaptive_weight", {"g"}),
    ("cycle_consistency", {"g"}),
    ("guide", {"g"}),
    ("identity", {"g"}),
    ("lecam", {"d"}),
    ("perceptual", {"g"}),
    ("reconstruction", {"g"}),
]


@pytest.mark.parametrize(("name", "players"), PLAYERS)
def test_players(name: str, players: set[Role]) -> None:
    assert TERMS[name].players == players


def test_default_weights_are_those_of_the_papers() -> None:
    needed = {"perceptual": {"features": Path("judge")}, "guide": {"judge": Path("judge")}}
    weights = {name: make(name, **needed.get(name, {})).weight for name in TERMS}
    assert weights == {
        "gradient_penalty": 10.0,
        "r1": 10.0,
        "discriminative_classifier": 1.0,
        "r2": 10.0,
        "mutual_information": 1.0,
        "auxiliary_classifier": 1.0,
        "feature_matching": 1.0,
        "l1": 100.0,
        "path_length": 2.0,
        "wgan_div": 2.0,
        "adaptive_weight": 1.0,
        "cycle_consistency": 10.0,
        "guide": 0.05,
        "identity": 5.0,
        "lecam": 0.3,
        "perceptual": 1.0,
        "reconstruction": 1.0,
    }


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("mutual_information", {"continuous_weight": -1.0}),
        ("auxiliary_classifier", {"fake_weight": -1.0}),
    ],
)
def test_senseless_fields_are_refused(name: str, fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make(name, **fields)
