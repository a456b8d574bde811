"""A plugin with a component of each kind, each of which does what a test has it do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
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
from ganforge.components.faults import ComponentFault
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

    def heads(self, spec: DataSpec, prior: Prior) -> dict[str, int]:
        return behave("heads", {})  # type: ignore[no-any-return]

    def __call__(self, play: Play) -> Tensor:
        return behave("call", play.fake_verdict.logits.mean())  # type: ignore[no-any-return]

    def estimates(self, play: Play) -> dict[str, Tensor]:
        return behave("estimates", {})  # type: ignore[no-any-return]


class BadPrior(Prior):
    type: Literal["bad"] = "bad"

    def z_dim(self) -> int:
        return behave("z_dim", 8)  # type: ignore[no-any-return]

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

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
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

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        pixels = torch.Size(spec.shape).numel()
        networks = Networks(Flat("generator", z_dim, spec.shape), Flat("discriminator", pixels, ()))
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
    from ganforge.engine.metric_values import try_out

    config = validate(toy_document(**SECTIONS[kind]), registry, file="toy.toml")
    loop, _ = toy_loop(folder, config)
    try_out(config.metrics, loop.sampler, loop.samples)
    loop.run(StopRequest())


def fault(folder: Path, registry: Registry, kind: str) -> str:
    with pytest.raises(ComponentFault) as caught:
        train(folder, registry, kind)
    return str(caught.value)
