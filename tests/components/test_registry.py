from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest
from torch import Tensor

from ganforge.api import KINDS, Component, Loss, UserError, hookimpl
from ganforge.components.registry import Broken, Plugin, Registry, discover

ACME = Plugin("acme", "acme-gan", "0.2")
OTHER = Plugin("losses", "ganforge", "0.1.0")


class Softer(Loss):
    type: Literal["softer"] = "softer"

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()


class Abstract(Loss):
    type: Literal["abstract"] = "abstract"


class Untyped(Softer):
    type: str = "untyped"  # type: ignore[assignment]


class Kindless(Component):
    type: Literal["kindless"] = "kindless"


def plugin(*classes: Any) -> object:
    class Module:
        @hookimpl
        def ganforge_components(self) -> list[Any]:
            return list(classes)

    return Module()


class Misspelt:
    @hookimpl
    def ganforge_component(self) -> list[Any]:
        return []


class Raising:
    @hookimpl
    def ganforge_components(self) -> list[Any]:
        raise RuntimeError("no\nlicence")


def reason(module: object) -> str:
    registry = Registry.from_modules([(ACME, module), (OTHER, plugin(Softer))])
    # One plugin's trouble is not another's.
    assert registry.of("loss") == {"softer": Softer}
    assert [broken.plugin for broken in registry.broken] == [ACME]
    return registry.broken[0].reason


def test_a_component_is_found_under_its_kind_and_name() -> None:
    registry = Registry.from_modules([(ACME, plugin(Softer))])
    assert registry.find("loss", "softer") is Softer
    assert registry.providers[Softer] == ACME


def test_every_kind_of_the_contract_is_provided_by_the_built_ins() -> None:
    registry = discover()
    assert registry.broken == ()
    assert {kind for kind, found in registry.components.items() if found} == set(KINDS)


def test_every_key_of_every_component_is_explained() -> None:
    registry = discover()
    silent = [
        f"{kind}.{name}.{key}"
        for kind, found in registry.components.items()
        for name, component in found.items()
        for key, info in component.model_fields.items()
        if key != "type" and not info.description
    ]
    assert silent == []


def test_two_plugins_that_claim_one_name_are_both_refused() -> None:
    registry = Registry.from_modules([(OTHER, plugin(Softer)), (ACME, plugin(Softer))])
    assert registry.of("loss") == {}
    with pytest.raises(UserError) as caught:
        registry.find("loss", "softer")
    assert str(caught.value) == (
        "loss 'softer' is provided by both plugin 'losses' (ganforge 0.1.0) and plugin 'acme' "
        "(acme-gan 0.2); disable one with GANFORGE_DISABLE_PLUGINS=acme"
    )


def test_namesakes_are_told_apart_by_distribution() -> None:
    twin = Plugin("losses", "acme-gan", "0.2")
    registry = Registry.from_modules([(OTHER, plugin(Softer)), (twin, plugin(Softer))])
    assert registry.explain_clash("loss", "softer").endswith("GANFORGE_DISABLE_PLUGINS=acme-gan")


def test_an_unknown_name_lists_what_there_is_and_what_did_not_load() -> None:
    broken = [Broken(ACME, "does not import: ImportError: no torch")]
    registry = Registry.from_modules([(OTHER, plugin(Softer))], broken)
    with pytest.raises(UserError) as caught:
        registry.find("loss", "sofr")
    assert str(caught.value) == (
        "no loss is called 'sofr'; did you mean 'softer'? (installed: softer); "
        "not loaded: plugin 'acme' (acme-gan 0.2) does not import: ImportError: no torch"
    )


@pytest.mark.parametrize(
    ("kind", "name", "own"),
    [
        ("loss", "wgan", "wasserstein"), ("loss", "WGAN-GP", "wasserstein"), ("loss", "lsgan", "mse"),
        ("terms", "wgan_gp", "gradient_penalty"), ("nets", "sngan", "resnet"),
        ("callbacks", "diffaugment", "diff_augment"), ("data", "folder", "image_folder"),
    ],
)  # fmt: skip
def test_a_name_of_the_literature_leads_to_the_component(kind: str, name: str, own: str) -> None:
    with pytest.raises(UserError) as caught:
        discover().find(kind, name)
    assert f" is called '{name}'; that is '{own}' here (installed: " in str(caught.value)


def test_no_other_name_is_the_name_of_a_component() -> None:
    for components in discover().components.values():
        others = [other for each in components.values() for other in each.also_called]
        assert len(set(others)) == len(others)
        assert not set(others) & set(components)


def test_an_unknown_kind_lists_the_kinds() -> None:
    with pytest.raises(
        UserError, match=r"there is no kind 'losss'; did you mean 'loss'\? \(kinds: data, prior"
    ):
        Registry.from_modules([]).find("losss", "bce")


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (plugin(Abstract), "TypeError: Abstract does not implement d_loss, g_loss"),
        (plugin(Untyped), 'TypeError: Untyped needs a field like: type: Literal["my_name"] = "my_name"'),
        (plugin("hinge"), "TypeError: ganforge_components returned 'hinge'; expected a Component class"),
        (
            plugin(Kindless),
            "TypeError: Kindless derives from no kind; subclass one of Dataset, Prior, Architecture, Task, Loss, "
            "Term, Optimizer, Callback, Metric, Tracker",
        ),
        (Raising(), "RuntimeError: no licence"),
        (object(), "TypeError: has no hook 'ganforge_components'; is @ganforge.api.hookimpl missing?"),
    ],
)
def test_a_broken_plugin_is_kept_as_a_reason(module: object, expected: str) -> None:
    assert reason(module) == expected


def test_a_misspelt_hook_is_reported() -> None:
    assert "unknown hook 'ganforge_component'" in reason(Misspelt())


class FakeEntry:
    """An entry point, without an installation."""

    group: ClassVar[str] = "ganforge"
    value = "acme_gan"

    def __init__(self, name: str, module: object) -> None:
        self.name, self.module, self.dist = name, module, None

    def load(self) -> object:
        if isinstance(self.module, Exception):
            raise self.module
        return self.module


def test_discovery_goes_on_past_a_plugin_that_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [FakeEntry("bad", ImportError("No module named 'acme'")), FakeEntry("good", plugin(Softer))]
    monkeypatch.setattr("ganforge.components.registry.entry_points", lambda group: entries)
    registry = discover()
    assert registry.of("loss") == {"softer": Softer}
    assert registry.broken == (Broken(Plugin("bad"), "does not import: ImportError: No module named 'acme'"),)


def test_a_plugin_can_be_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [FakeEntry("bad", ImportError("x")), FakeEntry("good", plugin(Softer))]
    monkeypatch.setattr("ganforge.components.registry.entry_points", lambda group: entries)
    monkeypatch.setenv("GANFORGE_DISABLE_PLUGINS", "bad, good")
    registry = discover()
    assert registry.of("loss") == {}
    assert registry.broken == ()
