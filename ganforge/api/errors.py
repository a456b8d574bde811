"""The one exception that means "the user can fix this"."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable


class UserError(Exception):
    """Bad input, explained: what was got, what would do, what to type next.

    The command line prints the message alone, without a traceback, and exits with 2.
    Anything else that escapes is a fault of ours or of a plugin and keeps its traceback.
    """

    component: object | None = None
    """The component that refused, once it is known."""


def nearest(word: str, choices: Iterable[str], most: int = 3) -> list[str]:
    """The `most` choices closest in spelling to `word`, best first; empty if none is close."""
    return difflib.get_close_matches(word, list(choices), n=most, cutoff=0.6)


def _folded(text: str) -> str:
    """Equal for texts that differ in case, width, ligatures and the like."""
    return unicodedata.normalize("NFKC", text).casefold()


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`"; did you mean 'margin'?"`, or nothing where no choice is close to `word`. Letters that are no ASCII
    are shown as code points as well, since two of them may look alike."""
    choices = list(choices)
    close = nearest(word, choices, most=1) or [each for each in choices if _folded(each) == _folded(word)]
    if not close:
        return ""
    apart = "" if (word + close[0]).isascii() else f" (got {word!a}, and that is {close[0]!a})"
    return f"; did you mean '{close[0]}'?{apart}"
