"""Attributes exceptions and wrong results to the component and its plugin.

Nothing here knows the registry; a component's class carries the name of its plugin (`provider`).
"""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

from torch import Tensor

from ganforge.api import Component, UserError

TRACEBACK = "GANFORGE_TRACEBACK"
"""Environment variable: if set, the command line prints a fault's traceback in addition to the message."""

KIND_NOUNS = {
    "data": "data set",
    "prior": "prior",
    "nets": "architecture",
    "task": "task",
    "loss": "loss",
    "terms": "term",
    "optimizer": "optimizer",
    "callbacks": "callback",
    "metrics": "metric",
    "trackers": "tracker",
}


class ComponentFault(UserError):
    """A component violated its contract; the message names it and its plugin."""

    def __init__(self, message: str, component: Component | type[Component] | None = None) -> None:
        super().__init__(message)
        self.component = component


class blame:
    """`with blame(loss, "d_loss"): ...`: errors inside are attributed to the component.

    An exception becomes a `ComponentFault` in one line, with the exception as its cause. A
    `UserError` stays one, and names the component if it does not yet. Costs nothing on a device.
    """

    __slots__ = ("component", "doing")

    def __init__(self, component: Component | type[Component], doing: str) -> None:
        self.component = component
        self.doing = doing

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ComponentFault):
            return
        if isinstance(error, UserError):
            _sign(error, self.component)
        # A plugin that calls sys.exit would end the run as if it had succeeded.
        elif isinstance(error, Exception | SystemExit):
            what = f"{one_line(error)}{_place(error, self.component)}"
            raise ComponentFault(
                f"{described(self.component)} failed in {self.doing}: {what}; "
                f"{TRACEBACK}=1 shows the traceback",
                self.component,
            ) from error


def fault(component: Component, what: str) -> ComponentFault:
    """The error for a wrong result: `what` says what was returned, and what was expected."""
    return ComponentFault(f"{described(component)}: {what}", component)


def described(component: Component | type[Component]) -> str:
    """`loss 'hinge' of plugin 'losses' (ganforge 0.1.0)`; without the plugin if no registry knows it."""
    owner = f" of {component.provider}" if component.provider else ""
    return f"{KIND_NOUNS[component.kind]} '{component.type_name()}'{owner}"


def one_line(error: BaseException) -> str:
    """`ImportError: no module named x`, whatever the message's own line breaks."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def _sign(error: UserError, component: Component | type[Component]) -> None:
    """Puts the component's name before a message that neither names it nor its section, and remembers the
    component that raised it first."""
    error.component = error.component or component
    message, name = str(error), component.type_name()
    if f"'{name}'" not in message and f"{component.kind}." not in message:
        error.args = (f"{KIND_NOUNS[component.kind]} '{name}': {message}",)


def _place(error: BaseException, component: Component | type[Component]) -> str:
    """` (acme_gan.py:12)`: the innermost line of the component's own package in the traceback; empty
    if there is none."""
    package = component.__module__.partition(".")[0]
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if frame.f_globals.get("__name__", "").partition(".")[0] == package:
            return f" ({Path(frame.f_code.co_filename).name}:{line})"
    return ""


def in_words(value: object) -> str:
    """What a component returned: `a tensor of float32, shape (8, 3)`, `None`, `a dict`."""
    if isinstance(value, Tensor):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')}, shape {tuple(value.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"
