"""Which of the three operations of a convolution torch computes itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Torchs(TorchDispatchMode):
    """While it is active, counts torch's own values of convolutions, and their gradients by what they are of."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.seen["value"] += 1
        if func is torch.ops.aten.convolution_backward.default:
            wanted = zip(("input", "weight"), args[-1], strict=False)
            self.seen.update(name for name, is_wanted in wanted if is_wanted)
        return func(*args, **(kwargs or {}))
