"""Label specs: names in one Unicode form, names with commas, and conditions without any label."""

from __future__ import annotations

import pytest

from ganforge.api import LabelSpec, UserError

MANY = LabelSpec(kind="many_of_k", names=("red, dark", "caf\u00e9", 'the "best"'))
ONE = LabelSpec(kind="one_of_k", names=("a", "b"))


@pytest.mark.parametrize("name", ["caf\u00e9", "cafe\u0301", " cafe\u0301 "])
def test_names_are_compared_in_one_form(name: str) -> None:
    assert MANY.encode([name]).tolist() == [0, 1, 0]
    apart = LabelSpec(kind="one_of_k", names=("cafe\u0301", "the"))
    assert apart.encode([name]).tolist() == [1, 0]
    with pytest.raises(UserError, match="is listed twice"):
        MANY.encode([name, "caf\u00e9"])


def test_names_that_look_alike_are_shown_apart() -> None:
    with pytest.raises(UserError) as caught:
        LabelSpec(kind="one_of_k", names=("cat", "dog")).encode(["c\u0430t"])
    assert str(caught.value) == (
        "unknown label 'c\u0430t'; nearest: cat (got 'c\\u0430t', and that is 'cat') (labels: cat, dog)"
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        (" , ", []),
        ("red, dark", ["red, dark"]),
        ("red,dark", ["red, dark"]),
        ("caf\u00e9, red, dark", ["caf\u00e9", "red, dark"]),
        ('"red, dark", "the ""best"""', ["red, dark", 'the "best"']),
        ("red", ["red"]),
        ("red, light", ["red", "light"]),
        ('a "b', ['a "b']),
    ],
)
def test_conditions_in_one_text(text: str, names: list[str]) -> None:
    assert MANY.parse(text) == names


def test_a_condition_without_labels() -> None:
    assert MANY.encode([]).tolist() == [0, 0, 0]
    for spec, wish in (
        (ONE, "exactly 1 label"),
        (LabelSpec(kind="many_of_k", names=("a", "b"), most=2, least=1), "1 to 2 labels"),
    ):
        with pytest.raises(UserError) as caught:
            spec.encode([])
        assert str(caught.value) == f"expected {wish} per condition, got 0: (none)"
