"""One deliberately broken component for each rule; each breaks that rule."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from pydantic import ConfigDict, field_validator
from torch import Tensor, nn

from ganforge.api import (
    Architecture,
    Callback,
    Component,
    Context,
    DataSpec,
    Draw,
    Field,
    Loss,
    Metric,
    Networks,
    Play,
    Prior,
    Sampler,
    Samples,
    Shapes,
    Split,
    Term,
    Tracker,
    Verdict,
    hookimpl,
)
from ganforge.testing import RULES, Violation, check, conformance, outcomes
from ganforge.testing.squares import Squares
from support.toys import toy_registry

REGISTRY = toy_registry()


class Kept(Loss):
    """Keeps every rule."""

    type: Literal["mine"] = "mine"

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return nn.functional.softplus(-fake).mean()


class Needy(Kept):
    scale: float = Field(description="Required.")


class Silent(Kept):
    scale: float = 1.0


class Mutable(Kept):
    model_config = ConfigDict(frozen=False)


class Rounded(Kept):
    scale: float = Field(0.3, description="Changed by each validation.")

    @field_validator("scale")
    @classmethod
    def _more(cls, scale: float) -> float:
        return scale + 1


class Chance(Kept):
    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return super().g_loss(fake, real) * (1 + random.random())


class Wide(Kept):
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return real - fake


class Read(Kept):
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        value = super().d_loss(real, fake)
        return value * 2 if value.item() > 100 else value


class Overflowing(Kept):
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return (fake.exp() / real.exp()).mean()


class Centered(Kept):
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return super().d_loss(real, fake) + (real - fake.mean()).square().mean()


class Gathered(Kept):
    """Around the center of all processes, whose gradient is that of its own share, as after an all-gather."""

    def __call__(self, play: Play) -> Tensor:
        fake = play.fake_verdict.logits
        center = fake.mean() + (play.mean(fake.mean()) - fake.mean()).detach()
        return (fake - center).square().mean() + super().__call__(play)


class OnCpu(Kept):
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return (torch.ones(len(real)) * (fake - real)).mean()


class Counting(Term):
    """Counts its calls where no checkpoint sees it."""

    type: Literal["mine"] = "mine"
    _calls: int = 0

    def __call__(self, play: Play) -> Tensor:
        self._calls += 1
        return play.fake_verdict.logits.mean() * self._calls


class Fetching(Callback):
    """Asks a server when it is prepared."""

    type: Literal["mine"] = "mine"

    def prepare(self, spec: DataSpec, shapes: Shapes) -> None:
        with socket.socket() as connection:
            connection.settimeout(0.01)
            # A port of this machine on which nothing listens.
            connection.connect_ex(("127.0.0.1", 9))


class Peeking(Squares):
    """Opens a file to know its shape."""

    type: Literal["mine"] = "mine"  # type: ignore[assignment]

    def spec(self) -> DataSpec:
        with open("/dev/null", "rb"):
            return super().spec()


class Shuffled(Squares):
    """In another order at each start."""

    type: Literal["mine"] = "mine"  # type: ignore[assignment]

    def build(self, split: Split, context: Context) -> Samples:
        found = super().build(split, context)
        order = torch.randperm(len(found))
        assert found.labels is not None
        return Samples(found.images[order], found.labels[order])


class Global(Prior):
    """Draws from torch's global generator."""

    type: Literal["mine"] = "mine"

    def z_dim(self) -> int:
        return 4

    def sample(self, n: int, cond: Tensor | None, generator: torch.Generator) -> Draw:
        return Draw(torch.randn(n, 4), cond, {})


class Drifting(Metric):
    """Another value each time."""

    type: Literal["mine"] = "mine"

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        return {"drift": float(torch.rand(()))}


class Headless(Architecture):
    """Ignores the heads that terms ask for."""

    type: Literal["mine"] = "mine"

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        class G(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(z_dim, int(np.prod(spec.shape)))

            def forward(self, z: Tensor, cond: Tensor | None) -> Tensor:
                return self.layer(z).tanh().view(-1, *spec.shape)

        class D(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(int(np.prod(spec.shape)), 1)

            def forward(self, x: Tensor, cond: Tensor | None) -> Verdict:
                return Verdict(self.layer(x.flatten(1)).squeeze(1))

        return Networks(G(), D())


class Strict(Headless):
    """Its discriminator puts rows in a tensor of float32, which takes no others."""

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        networks = super().build(spec, z_dim, heads)

        class Copying(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = networks.discriminator

            def forward(self, x: Tensor, cond: Tensor | None) -> Verdict:
                logits = self.inner(x, cond).logits
                return Verdict(torch.zeros(len(x)).scatter(0, torch.arange(len(x)), logits))

        return Networks(networks.generator, Copying())


class Sinkless(Tracker):
    """Its sink is not there."""

    type: Literal["mine"] = "mine"
    sink: ClassVar[str] = "ganforge.testing.rules:NoSuchSink"


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
