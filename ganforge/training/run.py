"""Starting a run, and resuming one."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from ganforge.components.registry import Registry
from ganforge.config import RunConfig, located
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.checkpoint.best import refuse_impossible_best
from ganforge.engine.distributed.runtime import Runtime, check_shares
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.outputs.progress import Progress
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.advice import advice_on
from ganforge.training.agreement import refuse_differences
from ganforge.training.build import plan
from ganforge.training.outcome import Outcome
from ganforge.training.place import Place, holds_run
from ganforge.training.place import numbered as numbered_folders
from ganforge.training.recorded import load_recorded
from ganforge.training.session import Session


def start(
    config: RunConfig,
    folder: Path,
    registry: Registry,
    stop: StopRequest,
    command: str,
    numbered: bool = False,
    overwrite: bool = False,
) -> Outcome:
    """Trains `config` into a new run folder; raises `UserError` if the run cannot start, and
    `Interrupted` if it is stopped before its first iteration; then leaves nothing behind. A folder whose
    run ended before its first checkpoint is emptied first.

    With `train.resume = "auto"`, resumes an existing run in the folder; otherwise a folder that holds one is
    refused, or with `numbered` the next free one of `folder-2`, `folder-3`, ... is used, or with `overwrite`
    the run in it is replaced, once this one has started.
    """
    with located(config):
        refuse_impossible_best(config)
        agreed = plan(config)
    with stop, located(config), contextlib.closing(Runtime(config.train)) as runtime:
        refuse_differences(config, runtime)
        place = Place(config, Progress(config.train.images).say)
        with place.held(folder, numbered, overwrite) if runtime.is_main else nullcontext(folder) as held:
            session = Session(config, RunFolder(held), runtime, registry, stop)
            if config.train.resume == "auto":
                saved = runtime.is_main and bool(checkpoint.complete(session.folder.checkpoints))
                if runtime.any(saved):
                    session.folder = RunFolder.open(folder)
                    return session.go_on(claimed=True)
            return session.begin(agreed, command)


def resume(
    folder: Path,
    registry: Registry,
    stop: StopRequest,
    overrides: Sequence[str] = (),
    config_file: Path | None = None,
    allowed: Sequence[str] = (),
) -> Outcome:
    """Continues a run from its newest readable checkpoint, as if it had not stopped.

    The settings are those of `config_file` or of the run, with `overrides`. Raises `UserError`
    if they differ in keys that are neither free to change nor `allowed`.
    """
    run = RunFolder.open(folder)
    config = load_recorded(run, registry, overrides, config_file)
    with located(config):
        refuse_impossible_best(config)
    with stop, located(config), contextlib.closing(Runtime(config.train)) as runtime:
        refuse_differences(config, runtime)
        return Session(config, run, runtime, registry, stop).go_on(allowed)


def refuse(config: RunConfig, processes: int) -> None:
    """Raises the `UserError`s of `start` with that many processes, as far as they are known without a
    device or data."""
    with located(config):
        refuse_impossible_best(config)
        advice_on(plan(config), processes)
        check_shares(config.train, processes)


def default_folder(config_file: Path) -> Path:
    """`runs/<name of the run file>`, in the working directory."""
    return Path("runs") / config_file.stem


def free_folder(config_file: Path, images: int) -> Path:
    """The first of `runs/<name>`, `runs/<name>-2`, ... that holds no run; it is not claimed."""
    folders = numbered_folders(default_folder(config_file))
    return next(folder for folder in folders if not holds_run(RunFolder(folder), images))
