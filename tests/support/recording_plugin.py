"""A plugin that records which images each process of a run trains on, and can ask one process to stop.

Imported through its entry point by every process of the run. `RECORD`: the folder of the records, one file a
process, a JSON line a batch. `STOP_AT`: process 1 gets SIGTERM when it takes that batch.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path

from ganforge.api import Component, hookimpl
from ganforge.engine.data.batches import Batch, Batches
from support.shards import seen

RANK = os.environ.get("RANK", "0")
TAKE = Batches.at


def recorded(self: Batches, index: int) -> Batch:
    batch = TAKE(self, index)
    names = [hashlib.sha256(image).hexdigest() for image in seen([batch.real])]
    with (Path(os.environ["RECORD"]) / f"{RANK}.jsonl").open("a") as file:
        file.write(json.dumps({"batch": index, "images": names}) + "\n")
    if RANK == "1" and os.environ.get("STOP_AT") == str(index):
        os.kill(os.getpid(), signal.SIGTERM)
    return batch


Batches.at = recorded  # type: ignore[method-assign]


@hookimpl
def ganforge_components() -> list[type[Component]]:
    return []
