"""Where a config is from: the text of its run file, and what was set on top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ganforge.config.locate import Path, Positions


@dataclass(frozen=True)
class Origin:
    """The text of a run file, and what was set on top of it."""

    file: str
    text: str
    overrides: Mapping[Path, str] = field(default_factory=dict)
    """The path of each `--set` with its text, so that a mistake made there is not attributed to the file."""

    @cached_property
    def positions(self) -> Positions:
        return Positions(self.text)

    def place(self, path: Path) -> str:
        """`cgan.toml:12`, or `--set train.batch_size=7`."""
        for key, said in self.overrides.items():
            if path[: len(key)] == key:
                return f"--set {said}"
        return f"{self.file}:{self.positions.line(path) or 1}"

    def has(self, path: Path) -> bool:
        """Whether the file or a `--set` names the key or a table around it."""
        return path[:1] in {key[:1] for key in self.overrides} or self.positions.line(path) is not None
