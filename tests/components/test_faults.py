"""Whom a message blames: the component whose doing it is, and a user for what is a user's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ganforge.api import UserError
from ganforge.components.faults import ComponentFault, blame, described
from ganforge.components.registry import Registry, discover
from ganforge.config import validate
from ganforge.training.build import plan
from ganforge.training.preflight import preflight
from support.faulty_plugin import OF, BadPrior, behaves, train
from support.faulty_plugin import registry as registry
from support.faulty_plugin import well_behaved as well_behaved
from support.toys import toy_document, toy_loop


def test_a_users_mistake_stays_one_and_names_the_component(tmp_path: Path, registry: Registry) -> None:
    def how(what: str, value: Any) -> Any:
        if what == "sample":
            raise UserError("there is no luck today")
        return value

    behaves(how)
    with pytest.raises(UserError) as caught:
        train(tmp_path, registry, "prior")
    assert not isinstance(caught.value, ComponentFault)
    assert str(caught.value) == "prior 'bad': there is no luck today"
    for said in ("prior 'bad' needs luck", "prior.luck is missing"):
        with pytest.raises(UserError) as caught, blame(BadPrior(), "sample"):
            raise UserError(said)
        assert str(caught.value) == said


def test_the_inner_component_is_blamed(tmp_path: Path, registry: Registry) -> None:
    """A term asks the critic; that the critic fails is not the term's fault."""
    behaves(lambda what, value: value)
    config = validate(toy_document(nets={"type": "bad"}, terms=[{"type": "r1"}]), registry, file="toy.toml")
    loop, _ = toy_loop(tmp_path, config)
    seen = 0

    def how(what: str, value: Any) -> Any:
        nonlocal seen
        seen += what == "discriminator"
        if seen == 3:
            raise ValueError("the third time")
        return value

    behaves(how)
    with pytest.raises(
        ComponentFault, match=re.escape(f"architecture 'bad' {OF} failed in the discriminator's")
    ):
        loop._iterate(measure=False)


def test_a_component_of_ganforge_itself_is_reported_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    hinge = discover().find("loss", "hinge")
    version = discover().providers[hinge].version
    assert described(hinge) == f"loss 'hinge' of plugin 'losses' (ganforge {version})"


def test_check_blames_too(registry: Registry) -> None:
    def how(what: str, value: Any) -> Any:
        if what == "d_loss":
            raise ValueError("no")
        return value

    behaves(how)
    config = validate(toy_document(loss={"type": "bad"}), registry, file="toy.toml")
    plan(config)
    with pytest.raises(ComponentFault, match=re.escape(f"loss 'bad' {OF} failed in d_loss: ValueError: no")):
        preflight(config)
