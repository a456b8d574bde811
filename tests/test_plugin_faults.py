"""A plugin that raises: the message names plugin, version and component."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import click
import pytest
import torch
from test_cli_main import call
from torch import Tensor, nn

from ganforge.api import (
    Architecture,
    Callback,
    Context,
    DataSpec,
    Draw,
    Loss,
    Metric,
    Networks,
    Optimizer,
    Play,
    Prior,
    Role,
    Sampler,
    Samples,
    Split,
    Term,
    Verdict,
    hookimpl,
)
from ganforge.components.faults import ComponentFault, blame
from ganforge.components.registry import Plugin, Registry
from ganforge.config import validate
from support.toys import Squares, toy_document, toy_loop, toy_registry

ACME = Plugin("acme", "acme-gan", "0.2")
OF = "of plugin 'acme' (acme-gan 0.2)"
HINT = "; GANFORGE_TRACEBACK=1 shows the traceback"

behave: Callable[..., Any]
"""What the component under test does; each test sets it."""


class BadLoss(Loss):
    type: Literal["bad"] = "bad"

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return behave("d_loss", (fake - real).mean())  # type: ignore[no-any-return]

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return behave("g_loss", -fake.mean())  # type: ignore[no-any-return]

    def score(self, logits: Tensor) -> Tensor:
        return behave("score", logits)  # type: ignore[no-any-return]

    def estimates(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        return behave("estimates", {"distance": fake.mean()})  # type: ignore[no-any-return]


class BadTerm(Term):
    type: Literal["bad"] = "bad"

    def heads(self, data: DataSpec, prior: Prior) -> dict[str, int]:
        return behave("heads", {})  # type: ignore[no-any-return]

    def __call__(self, play: Play) -> Tensor:
        return behave("call", play.fake_verdict.logits.mean())  # type: ignore[no-any-return]

    def estimates(self, play: Play) -> dict[str, Tensor]:
        return behave("estimates", {})  # type: ignore[no-any-return]


class BadPrior(Prior):
    type: Literal["bad"] = "bad"

    def width(self) -> int:
        return behave("width", 8)  # type: ignore[no-any-return]

    def sample(self, n: int, cond: Tensor | None, generator: torch.Generator) -> Draw:
        return behave("sample", Draw(torch.randn(n, 8, generator=generator), cond, {}))  # type: ignore[no-any-return]


class BadCallback(Callback):
    type: Literal["bad"] = "bad"

    def after_update(self, role: Role, network: nn.Module) -> None:
        behave("after_update", None)

    def augment(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return behave("augment", x)  # type: ignore[no-any-return]


class BadMetric(Metric):
    type: Literal["bad"] = "bad"

    def compute(self, sampler: Sampler, data: Samples) -> dict[str, float]:
        return behave("compute", {"x": 1.0})  # type: ignore[no-any-return]


class BadOptimizer(Optimizer):
    type: Literal["bad"] = "bad"
    lr: float = 1e-4

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return behave("build", torch.optim.SGD(parameters, lr=self.lr))  # type: ignore[no-any-return]


class BadData(Squares):
    type: Literal["bad"] = "bad"  # type: ignore[assignment]

    def spec(self) -> DataSpec:
        return behave("spec", super().spec())  # type: ignore[no-any-return]

    def build(self, split: Split, context: Context) -> Samples:
        return behave("build", super().build(split, context))  # type: ignore[no-any-return]


class Flat(nn.Module):
    """A generator or a discriminator of one layer, whose answer `behave` may change."""

    def __init__(self, what: str, inputs: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.what, self.shape = what, shape
        self.layer = nn.Linear(inputs, torch.Size(shape).numel())

    def forward(self, x: Tensor, cond: Tensor | None) -> Any:
        found = self.layer(x.flatten(1)).view(-1, *self.shape)
        return behave(self.what, found if self.what == "generator" else Verdict(found))


class BadNets(Architecture):
    type: Literal["bad"] = "bad"

    def build(self, data: DataSpec, latent: int, heads: Mapping[str, int]) -> Networks:
        pixels = torch.Size(data.shape).numel()
        networks = Networks(Flat("generator", latent, data.shape), Flat("discriminator", pixels, ()))
        return behave("build", networks)  # type: ignore[no-any-return]


class AcmePlugin:
    @hookimpl
    def ganforge_components(self) -> list[Any]:
        return [BadLoss, BadTerm, BadPrior, BadCallback, BadMetric, BadOptimizer, BadData, BadNets]


@pytest.fixture(scope="module")
def registry() -> Registry:
    toys = toy_registry()

    class Toys:
        @hookimpl
        def ganforge_components(self) -> list[Any]:
            return list(toys.providers)

    return Registry.from_modules([(Plugin("toys"), Toys()), (ACME, AcmePlugin())])


@pytest.fixture(autouse=True)
def well_behaved() -> None:
    behaves(lambda what, value: value)


def behaves(how: Callable[..., Any]) -> None:
    global behave
    behave = how


SECTIONS: dict[str, dict[str, Any]] = {
    "data": {"data": {"type": "bad"}},
    "prior": {"prior": {"type": "bad"}},
    "nets": {"nets": {"type": "bad"}},
    "loss": {"loss": {"type": "bad"}},
    "terms": {"terms": [{"type": "bad"}]},
    "callbacks": {"callbacks": [{"type": "bad"}]},
    "metrics": {"metrics": [{"type": "bad", "every": 8}]},
    "optimizer": {"discriminator": {"optimizer": {"type": "bad"}}},
}


def train(folder: Path, registry: Registry, kind: str) -> None:
    from ganforge.engine.distributed.stop_request import StopRequest

    config = validate(toy_document(**SECTIONS[kind]), registry, file="toy.toml")
    loop, _ = toy_loop(folder, config)
    loop.run(StopRequest())


def fault(folder: Path, registry: Registry, kind: str) -> str:
    with pytest.raises(ComponentFault) as caught:
        train(folder, registry, kind)
    return str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in SECTIONS])
def test_the_components_work_while_they_behave(tmp_path: Path, registry: Registry, kind: str) -> None:
    train(tmp_path, registry, kind)


RAISING = [
    ("data", "spec", "data set 'bad' {of} failed in spec"),
    ("prior", "width", "prior 'bad' {of} failed in width"),
    ("prior", "sample", "prior 'bad' {of} failed in sample"),
    ("nets", "build", "architecture 'bad' {of} failed in build"),
    ("nets", "generator", "architecture 'bad' {of} failed in the generator's forward pass"),
    ("nets", "discriminator", "architecture 'bad' {of} failed in the discriminator's forward pass"),
    ("loss", "d_loss", "loss 'bad' {of} failed in d_loss"),
    ("loss", "g_loss", "loss 'bad' {of} failed in g_loss"),
    ("loss", "score", "loss 'bad' {of} failed in score"),
    ("loss", "estimates", "loss 'bad' {of} failed in estimates"),
    ("terms", "heads", "term 'bad' {of} failed in heads"),
    ("terms", "call", "term 'bad' {of} failed in its call"),
    ("terms", "estimates", "term 'bad' {of} failed in estimates"),
    ("callbacks", "augment", "callback 'bad' {of} failed in augment"),
    ("callbacks", "after_update", "callback 'bad' {of} failed in after_update"),
    ("metrics", "compute", "metric 'bad' {of} failed in compute"),
    ("optimizer", "build", "optimiser 'bad' {of} failed in build"),
]


@pytest.mark.parametrize(("kind", "where", "expected"), RAISING)
@pytest.mark.parametrize("error", [ZeroDivisionError("no\nluck"), SystemExit(0)], ids=["bug", "exit"])
def test_what_raises(
    tmp_path: Path, registry: Registry, kind: str, where: str, expected: str, error: BaseException
) -> None:
    def how(what: str, value: Any) -> Any:
        if what == where:
            raise error
        return value

    behaves(how)
    said = fault(tmp_path, registry, kind)
    shown = "ZeroDivisionError: no luck" if isinstance(error, Exception) else "SystemExit: 0"
    place = re.search(r" \(test_plugin_faults\.py:\d+\)", said)
    assert place
    assert said.replace(place[0], "") == f"{expected.format(of=OF)}: {shown}{HINT}"


class Picky(Loss):
    """Its validator raises what pydantic does not expect."""

    type: Literal["picky"] = "picky"

    def model_post_init(self, context: Any) -> None:
        raise KeyError("oops")

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return real.mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return fake.mean()


def test_a_validator_that_fails(registry: Registry) -> None:
    class Module:
        @hookimpl
        def ganforge_components(self) -> list[Any]:
            return [Picky, *(known for known in registry.providers if known.kind != "loss")]

    with_picky = Registry.from_modules([(ACME, Module())])
    with pytest.raises(ComponentFault) as caught:
        validate(toy_document(loss={"type": "picky"}), with_picky, file="toy.toml")
    said = re.sub(r" \(test_plugin_faults\.py:\d+\)", "", str(caught.value))
    assert said == f"loss 'picky' {OF} failed in validation: KeyError: 'oops'{HINT}"


def test_the_command_line_shows_one_line_and_the_traceback_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def broken() -> None:
        with blame(BadLoss(), "d_loss"):
            raise ZeroDivisionError("no luck")

    monkeypatch.setitem(__import__("ganforge.cli", fromlist=["cli"]).cli.commands, "broken", broken)
    monkeypatch.setattr(BadLoss, "provider", str(ACME))
    done = call(tmp_path, "broken")
    assert (done.code, done.out) == (2, "")
    line = re.sub(r"\.py:\d+", ".py:1", done.err)
    assert line == (
        f"loss 'bad' {OF} failed in d_loss: ZeroDivisionError: no luck (test_plugin_faults.py:1){HINT}\n"
    )
    monkeypatch.setenv("GANFORGE_TRACEBACK", "1")
    again = call(tmp_path, "broken")
    assert again.code == 2
    assert again.err.startswith("Traceback (most recent call last):\n") and again.err.endswith(done.err)
    assert 'raise ZeroDivisionError("no luck")' in again.err
