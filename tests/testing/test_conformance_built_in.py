"""Every built-in component keeps every rule of its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ganforge.api import Component
from ganforge.testing import outcomes
from support.judges import blank_judge
from support.toys import Squares, toy_registry

REGISTRY = toy_registry()
COMPONENTS = [
    pytest.param(component, id=f"{component.kind}-{component.type_name()}")
    for component in REGISTRY.providers
    if component is not Squares
]
FILES = {
    "celeba": {"data", "offline"},
    "cifar10": {"data", "offline"},
    "fashion_mnist": {"data", "offline"},
    "image_folder": {"data", "offline"},
    "mnist": {"data", "offline"},
    ("data", "stacked_mnist"): {"data", "offline"},
    ("metrics", "stacked_mnist"): {"metric"},
    "code_accuracy": {"metric"},
    ("metrics", "mutual_information"): {"metric"},
    "perceptual": {"shapes", "deterministic", "resumes", "bf16", "recordable", "finite", "processes"},
}
"""Rules that need files which only users have; the tests of these components make such files."""
ON_A_GPU = {"rmsprop": {"recordable"}}
JUDGED: dict[str, dict[str, int]] = {
    "condition_accuracy": {},
    "guide": {},
    "fjd": {"real": 40, "samples": 40},
}


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_rule_is_kept(component: type[Component], tmp_path: Path) -> None:
    kind, name = component.kind, component.type_name()
    example: dict[str, Any] | None = None
    if name in JUDGED:
        blank_judge().save(tmp_path / "judge")
        example = {
            "data": {"type": "squares", "count": 48},
            kind: [{"type": name, "judge": str(tmp_path / "judge"), **JUDGED[name]}],
        }
    found = list(outcomes(component, REGISTRY, example))
    assert [str(each) for each in found if each.verdict == "broken"] == []
    skipped = {each.rule.name for each in found if each.verdict == "not applicable"}
    assert skipped == FILES.get((kind, name), FILES.get(name, ON_A_GPU.get(name, set())))
    assert len(found) >= 6
