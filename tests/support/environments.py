"""Python environments of their own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.command_line import Done
from support.paths import python_path

CALLS = """\
import json, sys
from pathlib import Path
from support.command_line import call
done = [call(Path.cwd(), *arguments) for arguments in json.loads(sys.argv[1])]
print(json.dumps([[each.code, each.out, each.err] for each in done]))
"""


@dataclass(frozen=True)
class Environment:
    """A Python environment and a folder to work in."""

    python: Path
    folder: Path

    def run(self, *arguments: str) -> str:
        scene = {**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [self.python, *arguments],
            cwd=self.folder, env=scene, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ganforge(self, *calls: list[str]) -> list[Done]:
        """The commands' exit codes, outputs and errors; all in one process, for torch is slow to load."""
        answers = self.run("-c", CALLS, json.dumps(calls)).splitlines()[-1]
        return [Done(*answer) for answer in json.loads(answers)]
