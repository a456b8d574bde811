"""The tracker: where a run is recorded as well."""

from __future__ import annotations

from typing import ClassVar, Literal

from ganforge.api import Field, Tracker


class MyTracker(Tracker):
    """Writes the logged rows to a file of one JSON object per line, in the tracker's folder of the run."""

    sink: ClassVar[str] = "my_gan.tracker_sink:MySink"

    type: Literal["my"] = "my"
    file: str = Field("rows.jsonl", pattern=r"^[\w.-]+$", description="Name of the file.")
