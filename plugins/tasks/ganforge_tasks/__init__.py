"""Tasks, one per file: the networks involved, and what the critics compare."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_tasks.autoencode import Autoencode
from ganforge_tasks.cycle import Cycle
from ganforge_tasks.generate import Generate
from ganforge_tasks.infer import Infer
from ganforge_tasks.multi_domain import MultiDomain
from ganforge_tasks.translate import Translate
from ganforge_tasks.upscale import Upscale


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [Generate, Translate, Cycle, Upscale, Autoencode, Infer, MultiDomain]
