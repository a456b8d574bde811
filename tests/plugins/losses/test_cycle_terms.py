"""Terms of the tasks that have several generators, each against its formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganforge.api import Draw, Play, Role, UserError, Verdict
from support.plays import N, make
from support.tensors import normal


class Scaled(nn.Module):
    """cond -> factor * cond."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor, dtype=torch.float64))

    def forward(self, z: Tensor, cond: Tensor) -> Tensor:
        assert not z.any()
        return self.factor * cond


def judged(x: Tensor, cond: Tensor | None) -> Verdict:
    return Verdict(x.flatten(1).sum(1))


def play(
    name: str,
    real: Tensor,
    source: Tensor,
    generator: nn.Module | None = None,
    critic: Callable[..., Verdict] = judged,
    role: Role = "g",
) -> Play:
    side = generator or nn.ModuleDict({"ab": Scaled(2.0), "ba": Scaled(3.0)})
    fake = (
        side["ab" if name == "b" else "ba"](torch.zeros(N, 1), source)
        if isinstance(side, nn.ModuleDict)
        else real
    )
    draw = Draw(normal(N, 1), None, {})
    rng = torch.Generator().manual_seed(7)
    return Play(
        role, real, None, fake, draw, critic, critic, rng, name=name, extra={"source": source}, generator=side
    )


@pytest.mark.parametrize("name", ["a", "b"])
def test_there_and_back_again(name: str) -> None:
    source = normal(N, 3, seed=1)
    value = make("cycle_consistency")(play(name, normal(N, 3), source))
    assert value.item() == pytest.approx(np.abs(6 * source.numpy() - source.numpy()).mean())


@pytest.mark.parametrize(("name", "factor"), [("a", 3.0), ("b", 2.0)])
def test_what_is_there_already_stays(name: str, factor: float) -> None:
    real = normal(N, 3, seed=1)
    value = make("identity")(play(name, real, normal(N, 3)))
    assert value.item() == pytest.approx((factor - 1) * np.abs(real.numpy()).mean())


@pytest.mark.parametrize("term", ["cycle_consistency", "identity"])
def test_both_generators_learn(term: str) -> None:
    each = [play(name, normal(N, 3), normal(N, 3, seed=1)) for name in ("a", "b")]
    grown = []
    for one in each:
        make(term)(one).backward()
        grown.append({name: p.grad is not None for name, p in one.generator.named_parameters()})  # type: ignore[union-attr]
    if term == "identity":
        assert grown == [{"ab.factor": False, "ba.factor": True}, {"ab.factor": True, "ba.factor": False}]
    else:
        assert all(all(found.values()) for found in grown)


@pytest.mark.parametrize("term", ["cycle_consistency", "identity"])
def test_another_task_is_refused(term: str) -> None:
    with pytest.raises(UserError) as refusal:
        make(term)(play("", normal(N, 3), normal(N, 3)))
    assert str(refusal.value) == (
        f"term '{term}' needs comparisons 'a' and 'b', got ''; use the task 'cycle', or remove the term"
    )
    with pytest.raises(UserError) as refusal:
        make(term)(play("a", normal(N, 3), normal(N, 3), generator=Scaled(1.0)))
    name = "ab" if term == "cycle_consistency" else "ba"
    assert str(refusal.value) == (
        f"term '{term}' needs a generator with a network '{name}', got a single network; use the task 'cycle', "
        "or remove the term"
    )
    one = play("a", normal(N, 3), normal(N, 3))
    one.generator = nn.ModuleDict({"encoder": Scaled(1.0), "decoder": Scaled(1.0)})
    with pytest.raises(UserError) as refusal:
        make(term)(one)
    assert f"a network '{name}', got encoder, decoder; use the task" in str(refusal.value)


def test_identity_is_for_domains_of_one_shape() -> None:
    with pytest.raises(UserError) as refusal:
        make("identity")(play("b", normal(N, 3), normal(N, 1, 2, 2)))
    assert str(refusal.value) == (
        "term 'identity' needs domains of one shape, got samples of [3] and [1, 2, 2]; remove the term"
    )


def test_one_generator_goes_back_to_the_domain_of_the_source() -> None:
    class Shifted(nn.Module):
        """image + 2 * the number of its domain."""

        def forward(self, z: Tensor, cond: dict[str, Tensor]) -> Tensor:
            assert not z.any() and list(cond) == ["image", "domain"]
            return cond["image"] + 2 * cond["domain"].argmax(1, keepdim=True)

    source, origin, target = normal(N, 3, seed=1), torch.eye(3)[torch.arange(N) % 3], torch.eye(3)[[2] * N]
    one = play("", normal(N, 3), source, Shifted())
    one.fake = Shifted()(torch.zeros(N, 1), {"image": source, "domain": target})
    one.extra = {"source": source, "origin": origin}
    value = make("cycle_consistency")(one)
    assert value.item() == pytest.approx(np.mean([4 + 2 * (i % 3) for i in range(N)]))
