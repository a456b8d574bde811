"""Checks components against the rules; a failure names the rule, why it matters and how to fix it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

# Each of these registers its rules, in this order.
from ganforge.testing import tables  # isort: skip
from ganforge.testing import parts, runs, edges, processes  # noqa: I001
from ganforge.api import Component, UserError
from ganforge.components.faults import KIND_NOUNS, ComponentFault, one_line
from ganforge.components.registry import Plugin, Registry, discover
from ganforge.testing.rules import RULES, NotApplicable, Rule, Violation
from ganforge.testing.subject import Subject, with_squares

MODULES = (tables, parts, runs, edges, processes)

Verdict = Literal["kept", "broken", "not applicable"]


@dataclass(frozen=True)
class Outcome:
    """What one rule says of one component."""

    kind: str
    name: str
    rule: Rule
    verdict: Verdict
    found: str = ""
    """What was found, of a broken rule; why the rule is not applicable otherwise."""

    def __str__(self) -> str:
        head = f"{KIND_NOUNS[self.kind]} '{self.name}'"
        if self.verdict == "kept":
            return f"{head} keeps rule '{self.rule.name}'"
        if self.verdict == "not applicable":
            return f"{head}: rule '{self.rule.name}' is not applicable: {self.found}"
        return (
            f"{head} breaks rule '{self.rule.name}': {self.found}\n"
            f"  why: {self.rule.why}\n"
            f"  fix: {self.rule.fix}"
        )


def outcomes(
    component: type[Component],
    registry: Registry | None = None,
    example: Mapping[str, Any] | None = None,
    rules: Sequence[str] | None = None,
) -> Iterator[Outcome]:
    """Checks `component` against each rule of its kind.

    `registry` defaults to the installed plugins; a component that none of them provides is added.
    `example`: sections of a small run file, in place of the class's own `example`. After a component whose
    example is not valid no other rule is checked.
    """
    known = with_squares(registry or discover(), component)
    threads = torch.get_num_threads()
    try:
        for rule in RULES.values():
            if component.kind not in rule.kinds or (rules is not None and rule.name not in rules):
                continue
            with tempfile.TemporaryDirectory() as folder:
                outcome = _checked(rule, Subject(component, known, Path(folder), example))
            yield outcome
            if rule.name == "example" and outcome.verdict != "kept":
                return
    finally:
        torch.set_num_threads(threads)


def check(component: type[Component], example: Mapping[str, Any] | None = None) -> None:
    """Raises `Violation` with every broken rule of `component`."""
    broken = [str(each) for each in outcomes(component, example=example) if each.verdict == "broken"]
    if broken:
        raise Violation("\n".join(broken))


def conformance(
    module: object, examples: Mapping[str, Mapping[str, Any]] | None = None
) -> Callable[..., None]:
    """A pytest test, parametrized over the components of a plugin module and the rules of each:

        test_conformance = conformance(acme_gan)

    `examples`: name of a component -> sections of a small run file, in place of the class's own `example`.
    """
    import pytest

    found = Registry.from_modules([(Plugin("under test"), module)])
    if found.broken:
        raise Violation(found.broken[0].reason)
    cases = [
        pytest.param(component, rule.name, id=f"{component.type_name()}-{rule.name}")
        for component in found.providers
        for rule in RULES.values()
        if component.kind in rule.kinds
    ]

    @pytest.mark.parametrize(("component", "rule"), cases)
    def test_conformance(component: type[Component], rule: str) -> None:
        example = (examples or {}).get(component.type_name())
        for outcome in outcomes(component, example=example, rules=[rule]):
            if outcome.verdict == "not applicable":
                pytest.skip(outcome.found)
            if outcome.verdict == "broken":
                pytest.fail(str(outcome), pytrace=False)

    return test_conformance


def _checked(rule: Rule, subject: Subject) -> Outcome:
    verdict: Verdict = "kept"
    found = ""
    try:
        rule.check(subject)
    except NotApplicable as reason:
        verdict, found = "not applicable", str(reason)
    except Violation as error:
        verdict, found = "broken", str(error)
    except ComponentFault as error:
        verdict, found = "broken", str(error)
    except UserError as error:
        # The example is valid, so this is a file that only its users have.
        verdict, found = "not applicable", str(error)
    except Exception as error:  # the code of the component
        verdict, found = "broken", one_line(error)
    return Outcome(subject.kind, subject.name, rule, verdict, found)
