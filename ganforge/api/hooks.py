"""The one hook of the plugin interface.

A plugin is a module named by an entry point of the group `ganforge`:

    [project.entry-points.ganforge]
    acme = "acme_gan"

and the module implements the hook:

    @ganforge.api.hookimpl
    def ganforge_components():
        return [MyLoss, MyDataset]

It returns classes, not instances: names and keys are known without building anything, and one hook
serves every kind because the base class identifies the kind.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from ganforge.api.component import Component

GROUP = "ganforge"

API_VERSION = "1.0"
"""Of everything in `ganforge.api`: the second number grows with what is added, the first where something is
changed or removed. A plugin module may state what it is written for, `GANFORGE_API = "1.0"`: one that needs a
newer API is refused by name, and of one for an older first number a warning is shown."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def ganforge_components() -> Iterable[type[Component]]:  # type: ignore[empty-body]
    """The component classes this plugin provides."""
