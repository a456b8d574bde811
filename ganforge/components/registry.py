"""The installed components: entry points -> one immutable `Registry`.

The entry points are walked here rather than by pluggy, whose loader silently skips a second entry point
of the same name and lets one broken plugin break everything. A plugin that cannot be used is recorded
with its reason; the others are used.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Literal, get_args, get_origin

import pluggy

from ganforge.api import API_VERSION, GROUP, KINDS, Component, UserError, did_you_mean, hooks
from ganforge.components.containment import contained
from ganforge.components.faults import KIND_NOUNS, one_line

DISABLE = "GANFORGE_DISABLE_PLUGINS"
SLOW_S = 2.0
"""An import that takes longer is reported, in seconds."""
OWN = "ganforge"
"""The distribution of the built-in plugins, which nobody can go without."""


@dataclass(frozen=True)
class Plugin:
    """An installed plugin and where it came from."""

    name: str
    distribution: str = "(not installed)"
    version: str = "?"

    def __str__(self) -> str:
        return f"plugin '{self.name}' ({self.distribution} {self.version})"


@dataclass(frozen=True)
class Broken:
    """A plugin that cannot be used, and why, in one line."""

    plugin: Plugin
    reason: str


@dataclass(frozen=True)
class Warned:
    """A plugin that is used, and what its user should know, in one line."""

    plugin: Plugin
    warning: str


@dataclass(frozen=True)
class Registry:
    """Every component that can be named in a run file."""

    components: Mapping[str, Mapping[str, type[Component]]]
    """Kind -> name -> class."""
    providers: Mapping[type[Component], Plugin] = field(default_factory=dict)
    plugins: tuple[Plugin, ...] = ()
    broken: tuple[Broken, ...] = ()
    clashes: Mapping[tuple[str, str], tuple[Plugin, ...]] = field(default_factory=dict)
    """(kind, name) -> the plugins that provide it; such an ambiguous name cannot be used."""
    warned: tuple[Warned, ...] = ()
    seconds: Mapping[Plugin, float] = field(default_factory=dict)
    """Plugin -> the time that its import took."""

    @classmethod
    def from_modules(
        cls, modules: Iterable[tuple[Plugin, object]], broken: Iterable[Broken] = ()
    ) -> Registry:
        """A registry of these plugin modules; pure, so that tests need no global state."""
        return _collect(list(modules), list(broken))

    def provider(self, component: type[Component]) -> Plugin:
        """The plugin that brought the class, or that of which it is a copy with exact types."""
        return next(self.providers[each] for each in component.__mro__ if each in self.providers)

    def of(self, kind: str) -> Mapping[str, type[Component]]:
        return self.components[kind]

    def find(self, kind: str, name: str) -> type[Component]:
        """The component, or a `UserError` that lists the available ones."""
        if (kind, name) in self.clashes:
            raise UserError(self.explain_clash(kind, name))
        if kind not in self.components:
            raise UserError(
                f"there is no kind '{kind}'{did_you_mean(kind, self.components)} "
                f"(kinds: {', '.join(self.components)})"
            )
        if name not in self.components[kind]:
            raise UserError(self.explain_missing(kind, name))
        return self.components[kind][name]

    def explain_missing(self, kind: str, name: str) -> str:
        """Why `name` is not a component of this kind, and the available ones."""
        installed = sorted(self.components[kind])
        hint = self._other_name(kind, name) or did_you_mean(name, installed)
        message = f"no {KIND_NOUNS[kind]} is called '{name}'{hint}"
        message += f" (installed: {', '.join(installed) or 'none'})"
        if self.broken:
            reasons = "; ".join(f"{each.plugin} {each.reason}" for each in self.broken)
            message += f"; not loaded: {reasons}"
        return message

    def _other_name(self, kind: str, name: str) -> str:
        """What the literature's name is called here, or empty."""
        known = {other: own for own, each in self.components[kind].items() for other in each.also_called}
        own = known.get(name.lower().replace("-", "_"))
        return f"; that is '{own}' here" if own is not None else ""

    def explain_clash(self, kind: str, name: str) -> str:
        """Which plugins provide the name, and how to resolve it."""
        owners = self.clashes[kind, name]
        listed = " and ".join(["both " + str(owners[0]), *map(str, owners[1:])])
        namesakes = len({owner.name for owner in owners}) < len(owners)
        culprit = owners[-1].distribution if namesakes else owners[-1].name
        return f"{KIND_NOUNS[kind]} '{name}' is provided by {listed}; disable one with {DISABLE}={culprit}"


def _to_stderr(line: str) -> None:
    """One process of a run speaks."""
    if os.environ.get("RANK", "0") == "0":
        sys.stderr.write(f"{line}\n")


def discover(say: Callable[[str], None] = _to_stderr) -> Registry:
    """The registry of all installed plugins, less those that GANFORGE_DISABLE_PLUGINS names
    (comma-separated, by plugin or by distribution). `say` gets a line about each slow import."""
    disabled = {name.strip() for name in os.environ.get(DISABLE, "").split(",")}
    modules: list[tuple[Plugin, ModuleType]] = []
    seconds: dict[Plugin, float] = {}
    broken: list[Broken] = []
    warned: list[Warned] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        plugin = _plugin_of(entry)
        if {plugin.name, plugin.distribution} & disabled:
            continue
        started = time.monotonic()
        try:
            with contained() as changed:
                modules.append((plugin, entry.load()))
            if changed:
                warned.append(Warned(plugin, _undone(changed)))
        except (Exception, SystemExit) as error:  # a plugin may raise anything at import
            broken.append(Broken(plugin, f"does not import: {one_line(error)}"))
        seconds[plugin] = duration = time.monotonic() - started
        if duration > SLOW_S:
            without = f"{DISABLE}={plugin.name} goes without it"
            warned.append(Warned(plugin, f"took {duration:.0f} s to import; {without}"))
            if plugin.distribution != OWN:
                say(f"loading {plugin} took {duration:.0f} s; {without}")
    found = Registry.from_modules(modules, broken)
    return replace(found, seconds=seconds, warned=(*found.warned, *warned))


def _undone(changed: Sequence[str]) -> str:
    return f"changes, when it is imported, {', '.join(changed)}; this was undone"


def _plugin_of(entry: EntryPoint) -> Plugin:
    if entry.dist is None:
        return Plugin(entry.name)
    return Plugin(entry.name, entry.dist.name, entry.dist.version)


def _collect(modules: list[tuple[Plugin, object]], broken: list[Broken]) -> Registry:
    claims: dict[tuple[str, str], list[tuple[Plugin, type[Component]]]] = {}
    plugins: list[Plugin] = []
    warned: list[Warned] = []
    for plugin, module in modules:
        try:
            old = _negotiated(module)
            with contained() as changed:
                classes = _components_of(plugin, module)
        except (Exception, SystemExit) as error:  # a hook is the plugin author's code
            broken.append(Broken(plugin, one_line(error)))
            continue
        plugins.append(plugin)
        if old is not None:
            warned.append(Warned(plugin, old))
        if changed:
            warned.append(Warned(plugin, _undone(changed)))
        for component in classes:
            component.provider = str(plugin)
            claims.setdefault((component.kind, component.type_name()), []).append((plugin, component))
    components: dict[str, dict[str, type[Component]]] = {kind: {} for kind in KINDS}
    for (kind, name), owners in sorted(claims.items()):
        if len(owners) == 1:
            components[kind][name] = owners[0][1]
    return Registry(
        components=components,
        providers={component: plugin for owners in claims.values() for plugin, component in owners},
        plugins=tuple(plugins),
        broken=tuple(broken),
        clashes={key: tuple(o[0] for o in owners) for key, owners in claims.items() if len(owners) > 1},
        warned=tuple(warned),
    )


def _negotiated(module: object) -> str | None:
    """A warning if the plugin is for an older API than this one; None if it fits. Raises `ValueError` if it
    needs a newer one."""
    wanted = getattr(module, "GANFORGE_API", None)
    if wanted is None:
        return None
    if not isinstance(wanted, str) or not re.fullmatch(r"\d{1,4}\.\d{1,4}", wanted):
        raise ValueError(f'GANFORGE_API should be like "{API_VERSION}", got {wanted!r:.40}')
    theirs, ours = _numbers(wanted), _numbers(API_VERSION)
    if theirs > ours:
        raise ValueError(
            f"needs ganforge.api {wanted}, and this ganforge has {API_VERSION}; upgrade it: "
            "pip install --upgrade ganforge"
        )
    if theirs[0] < ours[0]:
        return (
            f"is written for ganforge.api {wanted}, and this ganforge has {API_VERSION}; look for a newer "
            "release of it"
        )
    return None


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


def _components_of(plugin: Plugin, module: object) -> list[type[Component]]:
    """The classes that one plugin provides, each checked; a separate manager attributes errors exactly."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hooks)
    manager.register(module, name=plugin.name)
    manager.check_pending()
    answers = manager.hook.ganforge_components()
    if not answers:
        raise TypeError("has no hook 'ganforge_components'; is @ganforge.api.hookimpl missing?")
    return [_checked(component) for answer in answers for component in answer]


def _checked(component: object) -> type[Component]:
    if not (inspect.isclass(component) and issubclass(component, Component)):
        raise TypeError(f"ganforge_components returned {component!r}; expected a Component class")
    name = component.__name__
    if component.kind not in KINDS or not issubclass(component, KINDS[component.kind]):
        raise TypeError(f"{name} derives from no kind; subclass one of {', '.join(_kind_classes())}")
    if inspect.isabstract(component):
        missing = ", ".join(sorted(component.__abstractmethods__))
        raise TypeError(f"{name} does not implement {missing}")
    declared = component.model_fields["type"]
    literal = get_args(declared.annotation) if get_origin(declared.annotation) is Literal else ()
    if len(literal) != 1 or declared.default != literal[0]:
        raise TypeError(f'{name} needs a field like: type: Literal["my_name"] = "my_name"')
    return component


def _kind_classes() -> list[str]:
    return [kind.__name__ for kind in KINDS.values()]
