"""The task: which networks play, and what is compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from ganforge.api import Comparison, Draw, Side, Task


class MyTask(Task):
    """Fakes are made for the conditions of the real samples, which terms see as "target"."""

    type: Literal["my"] = "my"

    def compare(self, generator: Side, real: Tensor, cond: Any, draw: Draw) -> Mapping[str, Comparison]:
        return {"": Comparison(real, generator(draw.z, cond), cond, cond, extra={"target": real})}
