"""What torture has shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Report:
    """What was done to a run, and what it cost."""

    every: int
    """Iterations between two checkpoints."""
    kills: int = 0
    inside_a_write: int = 0
    before_the_first_checkpoint: int = 0
    iterations: int = 0
    recomputed: int = 0
    """Iterations done again, over all kills."""
    recoveries_s: list[float] = field(default_factory=list)
    """From each restart until the run was further than ever before."""
    bytes_half_written: int = 0
    """Of unfinished checkpoints, thrown away."""
    bytes_of_rows: int = 0
    """Of the log, taken back and written again."""
    disk: str = "not filled"
    flipped: str = "no bit flipped"
    straight_s: float = 0.0
    tortured_s: float = 0.0

    def __str__(self) -> str:
        share = self.recomputed / max(1, self.iterations)
        return "\n".join(
            [
                f"kills survived        {self.kills}, of which {self.inside_a_write} inside a checkpoint write and "
                f"{self.before_the_first_checkpoint} before the first checkpoint",
                f"iterations            {self.iterations}, and {self.recomputed} once more ({share:.0%}; a checkpoint "
                f"every {self.every})",
                f"longest recovery      {max(self.recoveries_s, default=0):.2f} s from the start of the process until "
                f"further than ever (median of {len(self.recoveries_s)}: {_median(self.recoveries_s):.2f} s)",
                f"bytes thrown away     {self.bytes_half_written:,} of half-written checkpoints, "
                f"{self.bytes_of_rows:,} of rows written again",
                f"a disk that fills     {self.disk}",
                f"a bit that flips      {self.flipped}",
                f"time                  {self.tortured_s:.0f} s; {self.straight_s:.0f} s without",
                "bytes lost            0: weights, moments and rows are those of the run that was left alone",
            ]
        )


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
