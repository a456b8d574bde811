"""A plugin that raises: the message names plugin, version and component."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import click
import pytest
import torch
from torch import Tensor

from ganforge.api import Loss, hookimpl
from ganforge.components.faults import ComponentFault, blame
from ganforge.components.registry import Registry
from ganforge.config import validate
from support.command_line import call
from support.faulty_plugin import ACME, HINT, OF, SECTIONS, BadLoss, behaves, fault, train
from support.faulty_plugin import registry as registry
from support.faulty_plugin import well_behaved as well_behaved
from support.toys import toy_document


@pytest.mark.parametrize("kind", [kind for kind in SECTIONS])
def test_the_components_work_while_they_behave(tmp_path: Path, registry: Registry, kind: str) -> None:
    train(tmp_path, registry, kind)


RAISING = [
    ("data", "spec", "data set 'bad' {of} failed in spec"),
    ("prior", "z_dim", "prior 'bad' {of} failed in z_dim"),
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
    ("optimizer", "build", "optimizer 'bad' {of} failed in build"),
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
    place = re.search(r" \(faulty_plugin\.py:\d+\)", said)
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
    def how(what: str, value: Any) -> Any:
        raise ZeroDivisionError("no luck")

    @click.command()
    def broken() -> None:
        with blame(BadLoss(), "d_loss"):
            BadLoss().d_loss(torch.zeros(1), torch.zeros(1))

    behaves(how)
    monkeypatch.setitem(__import__("ganforge.cli", fromlist=["cli"]).cli.commands, "broken", broken)
    monkeypatch.setattr(BadLoss, "provider", str(ACME))
    done = call(tmp_path, "broken")
    assert (done.code, done.out) == (2, "")
    line = re.sub(r"\.py:\d+", ".py:1", done.err)
    assert line == (
        f"loss 'bad' {OF} failed in d_loss: ZeroDivisionError: no luck (faulty_plugin.py:1){HINT}\n"
    )
    monkeypatch.setenv("GANFORGE_TRACEBACK", "1")
    again = call(tmp_path, "broken")
    assert again.code == 2
    assert again.err.startswith("Traceback (most recent call last):\n") and again.err.endswith(done.err)
    assert 'raise ZeroDivisionError("no luck")' in again.err
