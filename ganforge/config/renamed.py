"""Keys of run files that had other names, so that older run files and run folders still load."""

from __future__ import annotations

from typing import Any

from ganforge.config.schema import Mistake

Key = tuple[str, str]
"""Section and key."""

RENAMED: dict[Key, str] = {("train", "data"): "placement"}
"""Former key -> its present name in the same section."""


def modernize(document: dict[str, Any]) -> tuple[dict[str, Any], list[Key], list[Mistake]]:
    """The document with the present names, the former keys it has, and a mistake for each key that it has
    under both names. The document itself is left as it is."""
    found, mistakes = list[Key](), list[Mistake]()
    for (section, key), name in RENAMED.items():
        table = document.get(section)
        if not isinstance(table, dict) or key not in table:
            continue
        if name in table:
            message = f"is the former name of '{name}', which is set as well; remove one"
            mistakes.append(Mistake((section, key), message))
            continue
        found.append((section, key))
        renamed = {name if each == key else each: value for each, value in table.items()}
        document = {**document, section: renamed}
    return document, found, mistakes


def as_written(mistake: Mistake, used: list[Key]) -> Mistake:
    """The mistake under the key that the user wrote."""
    for section, key in used:
        if mistake.path[:2] == (section, RENAMED[section, key]):
            return mistake._replace(path=(section, key, *mistake.path[2:]))
    return mistake


def lines(used: list[Key]) -> tuple[str, ...]:
    """For each former key in use, the line that gives its present name."""
    return tuple(
        f"{section}.{key} is now called {section}.{RENAMED[section, key]}; rename it in the run file"
        for section, key in used
    )
