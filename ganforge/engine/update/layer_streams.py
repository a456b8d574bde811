"""What layers draw from, such as dropout and the noise of a style generator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ganforge.api import Role, WholeBatch
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.random import seed_layers, stream_seed


class LayerStreams:
    """Torch's default generators, a process's own, and the one by which all processes draw the same for
    layers that ask for the rows of the whole batch.

    The latter has the state of a single process's default generator: of a network whose layers all ask for
    rows, any number of processes draws the same numbers.
    """

    def __init__(self, networks: Iterable[nn.Module], runtime: Runtime, seed: int) -> None:
        self.runtime = runtime
        self.seed = seed
        self.shared = torch.Generator(runtime.device)
        modules = [module for network in networks for module in network.modules()]
        self._of_all = [module for module in modules if isinstance(module, WholeBatch)]
        self._join()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Layers take this process's samples for the whole batch, and wait for no other process."""
        for module in self._of_all:
            module.leave()
        try:
            yield
        finally:
            self._join()

    def _join(self) -> None:
        runtime = self.runtime
        if runtime.world > 1:
            for module in self._of_all:
                module.join(runtime.rank, runtime.world, self.shared, runtime.whole, runtime.mean)

    def restart(self, role: Role, update: int) -> None:
        """Puts them at their start for that update."""
        self.shared.manual_seed(stream_seed(self.seed, "layers", role, update, 0))
        seed_layers(stream_seed(self.seed, "layers", role, update, self.runtime.rank), self.runtime.device)
