"""The end of an error message that suggests what may have been meant."""

from __future__ import annotations

import pytest

from ganforge.api import did_you_mean


@pytest.mark.parametrize(
    ("word", "choices", "expected"),
    [
        ("widht", ("width", "depth"), "; did you mean 'width'?"),
        ("xyz", ("width", "depth"), ""),
        ("c\u0430t", ("cat",), "; did you mean 'cat'? (got 'c\\u0430t', and that is 'cat')"),
        ("\uff12", ("1", "2"), "; did you mean '2'? (got '\\uff12', and that is '2')"),
        (
            "\ufb01\ufb01",
            ("fifi", "dog"),
            "; did you mean 'fifi'? (got '\\ufb01\\ufb01', and that is 'fifi')",
        ),
        ("DOG", ("cat", "dog"), "; did you mean 'dog'?"),
    ],
)
def test_suggestions(word: str, choices: tuple[str, ...], expected: str) -> None:
    assert did_you_mean(word, choices) == expected
    assert did_you_mean(word, iter(choices)) == expected
