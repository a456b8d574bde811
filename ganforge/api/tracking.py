"""Experiment trackers: `[[trackers]]` tables, and what records for them in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from ganforge.api.component import Component


class TrackedRun(Protocol):
    """The run for which a sink is opened."""

    @property
    def run_id(self) -> str:
        """The same for all sessions of a run: a resumed run is one run on the tracker, too."""

    @property
    def name(self) -> str:
        """The name of the run folder."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved run file."""

    @property
    def folder(self) -> Path:
        """Where the sink may write files; it exists."""

    @property
    def resume(self) -> bool:
        """Whether an earlier session has recorded something."""

    @property
    def reason(self) -> str:
        """Why `retreat` was called before; "" if it was not."""

    @property
    def trainer(self) -> int:
        """Process id of the trainer."""


class Sink(Protocol):
    """Where a run is recorded. It lives in a process of its own: nothing that it does, waits for or raises
    reaches the training. What the run writes to disk is sent to it within a second or so, in order.
    """

    purges: bool
    """Whether it has `purge`. Otherwise rows that a resumed or rolled back run repeats are left out."""
    place: str
    """Where the record is, such as a URL; shown to the user."""
    by_hand: str
    """The command that completes an interrupted upload; "" if nothing needs one."""

    @classmethod
    def open(cls, settings: Mapping[str, Any], run: TrackedRun) -> Self:
        """Starts or continues the record. `settings`: the table of the run file as plain data."""

    @classmethod
    def retreat(cls, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """After `open` raised: settings with which it will work (offline), or None to give up."""

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows of metrics.jsonl; a value that was not finite is NaN."""

    def image(self, name: str, images_seen: int, path: Path) -> None:
        """A grid: `samples`, `conditions`, or the name of a code."""

    def event(self, event: Mapping[str, Any]) -> None:
        """A row of events.jsonl: a finding, a rollback, a stop."""

    def purge(self, images_seen: int) -> None:
        """Withdraws everything at `images_seen` and beyond; it will be sent again."""

    def close(self, ok: bool) -> None:
        """Ends the record; `ok`: whether the run ended normally."""


class Tracker(Component):
    """`[[trackers]]`: records the run elsewhere as well.

    The class has the settings; what records is `sink`, which the tracker's process imports by name: a module
    that does without torch starts faster and takes less memory.
    """

    kind: ClassVar[str] = "trackers"

    sink: ClassVar[str]
    """`package.module:Class` of a `Sink`."""

    title: ClassVar[str] = ""
    """Name in messages; "" = the type."""

    package: ClassVar[str] = ""
    """The package that `sink` needs, by its name for `import` and for pip; without it nothing is recorded,
    and the run says so. "" = none."""

    def wanted(self) -> Self | None:
        """The tracker as this environment wants it (variables may switch it off); None = not at all."""
        return self
