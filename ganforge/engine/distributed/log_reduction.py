"""What the processes exchange at a row of the log."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.distributed.stragglers import Stragglers


class Pool:
    """Reduces the rows of all processes to one, and names a straggler."""

    def __init__(self, runtime: Runtime, say: Callable[[str], None]) -> None:
        self.runtime = runtime
        self.say = say
        self._stragglers = Stragglers()

    def means(self, row: dict[str, float]) -> dict[str, float]:
        """The mean of each value over the processes; all have the same names."""
        if self.runtime.world == 1:
            return row
        mine = torch.tensor([self.runtime.work_timer.take(), *row.values()], dtype=torch.float64)
        everyone = self.runtime.gather(mine).cpu()
        self._tell(everyone[:, 0].tolist())
        return dict(zip(row, everyone[:, 1:].mean(dim=0).tolist(), strict=True))

    def from_main(self, values: dict[str, float]) -> dict[str, float]:
        """The main process's values, so that all decide alike."""
        if self.runtime.world == 1 or not values:
            return values
        numbers = torch.tensor(list(values.values()), dtype=torch.float64, device=self.runtime.device)
        self.runtime.broadcast(numbers)
        return dict(zip(values, numbers.tolist(), strict=True))

    def _tell(self, times: list[float]) -> None:
        for rank in self._stragglers.find(times):
            self.say(
                f"warning: process {rank} ({self.runtime.hosts[rank]}) is a straggler: {times[rank]:.1f} ms "
                f"of work per iteration, {statistics.median_low(times):.1f} ms in the median process; the "
                "others wait for it"
            )
