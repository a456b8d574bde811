"""One deliberately broken component for each rule; each breaks that rule."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from ganforge.api import (
    Callback,
    Component,
    hookimpl,
)
from ganforge.testing import RULES, Violation, check, conformance, outcomes
from support.broken_components import (
    Centered,
    Chance,
    Counting,
    Drifting,
    Fetching,
    Gathered,
    Global,
    Headless,
    Kept,
    Mutable,
    Needy,
    OnCpu,
    Overflowing,
    Peeking,
    Read,
    Rounded,
    Shuffled,
    Silent,
    Sinkless,
    Strict,
    Wide,
)
from support.toys import toy_registry

REGISTRY = toy_registry()


BROKEN: dict[str, tuple[type[Component], str]] = {
    "example": (Needy, "the example cannot run: example of 'mine':1: loss.scale: is missing"),
    "described": (Silent, "keys without a description: scale"),
    "frozen": (Mutable, "key 'type' can be assigned to"),
    "round_trip": (Rounded, "loading what it writes as JSON gives another configuration"),
    "spec": (Peeking, "spec() opens /dev/null"),
    "data": (Shuffled, "opened twice, the data differ"),
    "prior": (Global, "the same generator gives other latents"),
    "metric": (Drifting, "compute draws from torch's global generator"),
    "sink": (Sinkless, "module ganforge.testing.rules has no class 'NoSuchSink'"),
    "heads": (Headless, "a head of width 3 was asked for, and the verdict has heads {} and logits [(3,)]"),
    "device": (OnCpu, "on another device than the CPU: "),
    "offline": (Fetching, "building it opens a connection: socket.connect ('127.0.0.1', 9)"),
    "shapes": (
        Wide,
        "loss 'mine' of plugin 'ganforge.testing' ((not installed) ?): d_loss returned a tensor",
    ),
    "deterministic": (
        Chance,
        "two runs with the same seed differ after two iterations, first in ['network_d.",
    ),
    "resumes": (Counting, "terms 'mine' keeps state in '_calls', which is not in checkpoints"),
    "bf16": (Strict, "with train.precision = 'bf16': "),
    "recordable": (Read, "cuda graphs: not used (RuntimeError: operation not permitted when stream is capt"),
    "finite": (Overflowing, "d's update, logits of +1e4: the value is nan"),
    "processes": (Centered, "d's update: one process computes "),
}


def test_every_rule_has_a_broken_component() -> None:
    assert list(BROKEN) == list(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_component_breaks_its_rule(rule: str) -> None:
    component, expected = BROKEN[rule]
    (outcome,) = outcomes(component, REGISTRY, rules=[rule])
    assert outcome.verdict == "broken"
    assert outcome.found.startswith(expected), outcome.found
    assert str(outcome).endswith(f"\n  why: {RULES[rule].why}\n  fix: {RULES[rule].fix}")


def test_a_value_of_two_processes_with_another_gradient_is_found() -> None:
    (outcome,) = outcomes(Gathered, REGISTRY, rules=["processes"])
    assert outcome.verdict == "broken"
    assert outcome.found.startswith("d's update: the gradient of one process has norm "), outcome.found
    assert outcome.found.endswith(" from it, though the values agree")


class Coupled(Callback):
    """Shows samples as they are, with a slope that depends on the others of the process."""

    type: Literal["mine"] = "mine"

    def augment(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return x + x.mean() - x.mean().detach()


def test_an_augmentation_with_another_gradient_in_two_processes_is_found() -> None:
    (outcome,) = outcomes(Coupled, REGISTRY, rules=["processes"])
    assert outcome.found == "augment has another gradient if two processes share the batch"


class Float32(Kept):
    """Insists on float32, in which the rule is then checked."""

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        rows = torch.zeros(len(fake), dtype=torch.float32)
        return rows.scatter(0, torch.arange(len(fake)), self.difference(fake, real)).mean()

    def difference(self, fake: Tensor, real: Tensor) -> Tensor:
        return fake - real


class CenteredFloat32(Float32):
    def difference(self, fake: Tensor, real: Tensor) -> Tensor:
        return (fake - real.mean()).square()


@pytest.mark.parametrize(("component", "verdict"), [(Float32, "kept"), (CenteredFloat32, "broken")])
def test_a_component_that_insists_on_float32_is_checked_in_it(
    component: type[Component], verdict: str
) -> None:
    (outcome,) = outcomes(component, REGISTRY, rules=["processes"])
    assert outcome.verdict == verdict, outcome.found
    assert torch.get_default_dtype() == torch.float32


def test_a_component_that_keeps_the_rules_passes() -> None:
    assert {each.verdict for each in outcomes(Kept, REGISTRY)} == {"kept"}


def test_check_raises_with_every_broken_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganforge.testing.kit.discover", lambda: REGISTRY)
    check(Kept)
    with pytest.raises(Violation, match=r"^loss 'mine' breaks rule 'described': keys without a desc"):
        check(Silent)


class Acme:
    @hookimpl
    def ganforge_components(self) -> list[Any]:
        return [Kept]


def test_the_parametrized_test_covers_each_rule_of_the_kind() -> None:
    test = conformance(Acme())
    (mark,) = test.pytestmark  # type: ignore[attr-defined]
    of_losses = [name for name, rule in RULES.items() if "loss" in rule.kinds]
    assert [case.id for case in mark.args[1]] == [f"mine-{name}" for name in of_losses]
    test(Kept, "frozen")
