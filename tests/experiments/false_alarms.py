"""`cd tests && python -m experiments.false_alarms RUN...`: what the sentinel would have said of recorded runs.

Replays the rows of each run through it, with the run's own settings, and counts. Over runs that are
known to be healthy each finding is a false alarm; exit code 1 where there is one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ganforge.engine.health.sentinel import sentinel_of
from ganforge.outputs.metrics_log import read_rows
from ganforge.outputs.run_folder import RunFolder


def main(folders: list[str]) -> int:
    """Writes a line for each run and each finding; gives the exit code."""
    alarms = 0
    for folder in folders:
        run = RunFolder.open(Path(folder))
        rows = read_rows(run.metrics)
        found = sentinel_of(run.read_config().get("health", {})).replay(rows)
        signals = sum("health/separation" in row for row in rows)
        sys.stdout.write(f"{folder}: {len(found)} in {len(rows)} rows, {signals} with all signals\n")
        sys.stdout.writelines(f"  {finding.line()}\n" for finding in found)
        alarms += len(found)
    sys.stdout.write(f"{alarms} alarms in {len(folders)} runs\n")
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
