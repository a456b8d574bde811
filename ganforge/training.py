"""A run from start to finish: the folder, the data, the loop, and whoever watches it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ganforge.api import Context, UserError
from ganforge.build import Plan, build_loop, load_samples, plan
from ganforge.config import RunConfig, dump, load
from ganforge.config.load import parse_override
from ganforge.engine import Grid, Loop, Runtime, StopRequest, checkpoint
from ganforge.outputs.grid import save_grid, save_plane
from ganforge.outputs.metrics_log import MetricsLog, truncate_after
from ganforge.outputs.progress import Progress, track
from ganforge.outputs.provenance import provenance
from ganforge.outputs.run_folder import RunFolder
from ganforge.outputs.wandb_files import WandbSettings
from ganforge.outputs.wandb_link import WandbLink
from ganforge.registry import Registry, one_line

MAY_CHANGE = ("train.images", "logging", "wandb")
"""What a resumed run may set anew: nothing that decides how a weight is updated."""

TICK_S = 0.2
"""Shortest time between two redraws of the bar; a fast run has hundreds of iterations a second."""


@dataclass(frozen=True)
class Outcome:
    """How a run, or a stretch of it, ended."""

    folder: Path
    finished: bool
    """All images seen; else stopped before."""
    images_seen: int
    stopped_by: str | None = None
    is_main: bool = True
    """This process speaks for the run; the others only end with it."""
    lines: Sequence[str] = field(default=())
    """What else the user should read."""


def start(config: RunConfig, folder: Path, registry: Registry, stop: StopRequest, command: str) -> Outcome:
    """Trains `config` into a new run folder; raises `UserError` where the run cannot start, and
    then leaves nothing behind."""
    agreed = plan(config)
    runtime = Runtime(config.train)
    run = RunFolder(folder)
    if runtime.is_main:
        # Before the data, which may take minutes to decode: a folder that cannot be made is told at once.
        info = provenance(_plugins(config, registry)) | {
            "data_spec": agreed.spec.model_dump(mode="json"),
            "device": str(runtime.device),
            "processes": runtime.world,
            "seed": config.train.seed,
            "run_command": command,
        }
        run = RunFolder.create(folder, dump(config), info)
    try:
        loop, progress = _prepare(agreed, runtime, folder)
    except BaseException:
        if runtime.is_main:
            run.unmake()
        raise
    return _run(loop, progress, config, run, stop)


def resume(folder: Path, registry: Registry, stop: StopRequest, overrides: Sequence[str] = ()) -> Outcome:
    """Continues a run from its newest sound checkpoint, as if it had not stopped."""
    run = RunFolder.open(folder)
    for override in overrides:
        key = ".".join(parse_override(override)[0])
        if not any(key == allowed or key.startswith(allowed + ".") for allowed in MAY_CHANGE):
            raise UserError(
                f"--set {override}: {key} cannot change in a resumed run (may change: "
                f"{', '.join(MAY_CHANGE)}); for another setting start a new run"
            )
    config = load(run.config, registry, overrides)
    agreed = plan(config, run.read_data_spec())
    runtime = Runtime(config.train)
    loop, progress = _prepare(agreed, runtime, folder)
    tensors, state = checkpoint.load_newest(run.checkpoints, loop.observer.say)
    try:
        loop.restore(tensors, state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise run.misfit(one_line(error)) from error
    if runtime.is_main:
        truncate_after(run.metrics, loop.images_seen)
        run.write_config(dump(config))
    return _run(loop, progress, config, run, stop)


def default_folder(config_file: Path) -> Path:
    """`runs/<name of the run file>`, in the working directory."""
    return Path("runs") / config_file.stem


def cache_folder() -> Path:
    """The user's cache for decoded data: `$XDG_CACHE_HOME/ganforge` or `~/.cache/ganforge`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ganforge"


def _prepare(agreed: Plan, runtime: Runtime, folder: Path) -> tuple[Loop, Progress]:
    config = agreed.config
    progress = Progress(config.train.images)
    say = progress.say if runtime.is_main else _silent
    samples = load_samples(config, agreed.spec, Context(cache_folder(), say, track))
    run = RunFolder(folder)
    loop = build_loop(agreed, samples, runtime, _Record(run, progress), run.checkpoints)
    return loop, progress


def _run(loop: Loop, progress: Progress, config: RunConfig, run: RunFolder, stop: StopRequest) -> Outcome:
    main = loop.game.runtime.is_main
    link = WandbLink.start(run, _wandb_settings(config, run)) if main else None
    finished = False
    try:
        with stop:
            finished = loop.run(stop)
    except OSError as error:
        if checkpoint.complete(run.checkpoints):
            folder = shlex.quote(str(run.path))
            error.add_note(f"the checkpoints are unharmed; to continue:  ganforge resume {folder}")
        raise
    finally:
        progress.close()
        loop.game.runtime.close()
        mirror = link.finish(ok=finished or bool(stop.reason)) if link else None
    return Outcome(
        folder=run.path,
        finished=finished,
        images_seen=loop.images_seen,
        stopped_by=None if finished else stop.reason,
        is_main=main,
        lines=[mirror] if mirror else [],
    )


class _Record:
    """Writes down what the loop tells; the local record first, then whatever shows it."""

    def __init__(self, run: RunFolder, progress: Progress) -> None:
        self.run = run
        self.progress = progress
        self.log: MetricsLog | None = None
        self._ticked = 0.0

    def row(self, row: Mapping[str, float | int]) -> None:
        # Opened at the first row: opening mends a torn last line, for which the run must be ours.
        self.log = self.log or MetricsLog(self.run.metrics)
        self.log.append(row)
        self.progress.update(int(row["images_seen"]), row)

    def grid(self, images_seen: int, grid: Grid) -> None:
        file = self.run.grid(images_seen, grid.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        if grid.backdrop is not None:
            save_plane(grid.images, *grid.backdrop, file)
        else:
            save_grid(grid.images, file, grid.columns)

    def tick(self, images_seen: int) -> None:
        now = time.monotonic()
        if now - self._ticked > TICK_S:
            self._ticked = now
            self.progress.update(images_seen, {})

    def say(self, line: str) -> None:
        self.progress.say(line)


def _plugins(config: RunConfig, registry: Registry) -> list[dict[str, str]]:
    """The plugins that the run uses, with their versions."""
    used = [config.data, config.prior, config.nets, config.loss, *config.terms, *config.callbacks]
    used += [*config.metrics, config.generator.optimizer, config.discriminator.optimizer]
    plugins = {registry.providers[type(component)] for component in used}
    return [
        {"name": plugin.name, "distribution": plugin.distribution, "version": plugin.version}
        for plugin in sorted(plugins, key=str)
    ]


def _wandb_settings(config: RunConfig, run: RunFolder) -> WandbSettings:
    section = config.wandb
    return WandbSettings(
        mode=section.mode,
        project=section.project,
        entity=section.entity or None,
        name=section.name or run.path.absolute().name,
        tags=section.tags,
        config=dump(config),
    )


def _silent(line: str) -> None:
    """Only the main process speaks."""
