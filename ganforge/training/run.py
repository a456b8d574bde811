"""A run from start to finish: the folder, the data, the loop, and whoever watches it."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ganforge
from ganforge.api import Component, Context, Role
from ganforge.components.comparability import depends_on, describe, fingerprint
from ganforge.components.faults import one_line
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, dump, load
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.checkpoint.best import refuse_impossible_best
from ganforge.engine.checkpoint.environment import differences, inexact, surroundings
from ganforge.engine.distributed.runtime import Runtime, check_shares
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.instruments.memory import gpu_name
from ganforge.engine.kernels.threads import use_threads
from ganforge.engine.loop import Loop
from ganforge.outputs.events import drop_findings_after
from ganforge.outputs.metrics_log import truncate_after
from ganforge.outputs.mirror.files import WandbSettings
from ganforge.outputs.mirror.link import WandbLink
from ganforge.outputs.progress import Progress, track
from ganforge.outputs.provenance import cpu_model, provenance
from ganforge.outputs.run_folder import RunFolder
from ganforge.training import resume as resuming
from ganforge.training.build import Plan, build_loop, load_samples, plan
from ganforge.training.record import Record

MIRROR_PATIENCE_S = 20.0
"""How long the end of a run waits for its W&B mirror; a second Ctrl-C does not."""


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
    diagnosis: str | None = None
    """Why the policy of `[health]` ended the run; None where it did not."""
    healthy_at: int | None = None
    """Images seen at the last healthy checkpoint; None where there is none."""
    lines: Sequence[str] = field(default=())
    """What else the user should read."""


def start(config: RunConfig, folder: Path, registry: Registry, stop: StopRequest, command: str) -> Outcome:
    """Trains `config` into a new run folder; raises `UserError` where the run cannot start, and
    `Interrupted` where it is stopped before its first iteration; then leaves nothing behind.

    With `train.resume = "auto"`, continues the run that is in the folder already.
    """
    refuse_impossible_best(config)
    agreed = plan(config)
    with stop, contextlib.closing(Runtime(config.train)) as runtime:
        if config.train.resume == "auto":
            saved = runtime.is_main and bool(checkpoint.complete(RunFolder(folder).checkpoints))
            if runtime.any(saved):
                return _go_on(RunFolder.open(folder), config, registry, stop, runtime)
            if runtime.is_main:
                RunFolder.clear_unsaved(folder)
        return _begin(agreed, folder, registry, stop, runtime, command)


def resume(
    folder: Path,
    registry: Registry,
    stop: StopRequest,
    overrides: Sequence[str] = (),
    config_file: Path | None = None,
    allowed: Sequence[str] = (),
) -> Outcome:
    """Continues a run from its newest sound checkpoint, as if it had not stopped.

    The settings are those of `config_file` or of the run, with `overrides`. Raises `UserError`
    where they differ in keys that are neither free to change nor `allowed`.
    """
    run = RunFolder.open(folder)
    config = load(config_file or run.config, registry, overrides)
    refuse_impossible_best(config)
    with stop, contextlib.closing(Runtime(config.train)) as runtime:
        return _go_on(run, config, registry, stop, runtime, allowed)


def refuse(config: RunConfig, processes: int) -> None:
    """Raises `UserError` for what `start` would refuse in that many processes, as far as can be known
    without a device or data."""
    refuse_impossible_best(config)
    plan(config)
    check_shares(config.train, processes)


def _begin(
    agreed: Plan, folder: Path, registry: Registry, stop: StopRequest, runtime: Runtime, command: str
) -> Outcome:
    config = agreed.config
    run = RunFolder(folder)
    if runtime.is_main:
        # Before the data, which may take minutes to decode: a folder that cannot be made is told at once.
        info = provenance(_plugins(config, registry)) | {
            "data_spec": agreed.spec.model_dump(mode="json"),
            "device": str(runtime.device),
            "gpu": gpu_name(runtime.device),
            "processes": runtime.world,
            "metrics": _metrics(agreed),
            "seed": config.train.seed,
            "run_command": command,
        }
        run = RunFolder.create(folder, dump(config), info)
    with _claimed(run, runtime):
        try:
            with stop.cut_short():
                loop, progress = _prepare(agreed, runtime, folder, registry)
        except BaseException:
            if runtime.is_main:
                run.unmake()
            raise
        if runtime.is_main:
            # Not from networks on the meta device, for which torch would load its whole compiler.
            run.update_info({"parameters": _parameters(loop)})
            for reason in inexact(config.train, runtime.device):
                progress.say(f"a resumed run will not be exact, because {reason}")
        return _run(loop, progress, config, run, stop)


def _go_on(
    run: RunFolder,
    config: RunConfig,
    registry: Registry,
    stop: StopRequest,
    runtime: Runtime,
    allowed: Sequence[str] = (),
) -> Outcome:
    with _claimed(run, runtime):
        if runtime.is_main:
            checkpoint.sweep(run.checkpoints)
            run.sweep()
        # The others wait here until the folder holds still.
        runtime.any(False)
        say = Progress(config.train.images).say if runtime.is_main else _silent
        tensors, state = checkpoint.load_newest(run.checkpoints, say)
        before = resuming.settings_before(run, state, registry)
        drift = resuming.refuse_drift(run, before, config, allowed)
        if state["images_seen"] >= config.train.images and not state["owes_metrics"]:
            idle = f"nothing to do: it had seen its {config.train.images:,} images before"
            return Outcome(run.path, True, state["images_seen"], is_main=runtime.is_main, lines=[idle])
        agreed = plan(config, run.read_data_spec())
        surroundings_before = state["stamp"].get("surroundings", {})
        if runtime.device.type == "cpu" and use_threads(surroundings_before.get("threads")):
            say(
                f"threads: {surroundings_before['threads']}, as before; OMP_NUM_THREADS sets another number, "
                "with which the run is not exact"
            )
        with stop.cut_short():
            loop, progress = _prepare(agreed, runtime, run.path, registry)
        try:
            loop.restore(tensors, state)
        except checkpoint.MISFITS as error:
            raise run.misfit(one_line(error)) from error
        because = [f"{change.key} was {change.old} and is {change.new}" for change in drift]
        because += differences(surroundings_before, loop.stamp["surroundings"])
        because += inexact(config.train, runtime.device)
        if runtime.is_main:
            truncate_after(run.metrics, loop.images_seen, loop.owes_metrics)
            drop_findings_after(run.events, loop.images_seen)
            run.write_config(dump(config))
            resuming.record(run, loop.images_seen, because)
            say(resuming.remark(loop.images_seen, because))
        return _run(loop, progress, config, run, stop)


@contextlib.contextmanager
def _claimed(run: RunFolder, runtime: Runtime) -> Iterator[None]:
    """One trainer in a run folder; its main process stands for all."""
    with run.claimed() if runtime.is_main else contextlib.nullcontext():
        yield


def default_folder(config_file: Path) -> Path:
    """`runs/<name of the run file>`, in the working directory."""
    return Path("runs") / config_file.stem


def cache_folder() -> Path:
    """The user's cache for decoded data: `$XDG_CACHE_HOME/ganforge` or `~/.cache/ganforge`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ganforge"


def _prepare(agreed: Plan, runtime: Runtime, folder: Path, registry: Registry) -> tuple[Loop, Progress]:
    config = agreed.config
    progress = Progress(config.train.images)
    say = progress.say if runtime.is_main else _silent
    samples = load_samples(config, agreed.spec, Context(cache_folder(), say, track))
    run = RunFolder(folder)
    loop = build_loop(agreed, samples, runtime, Record(run, progress), run.checkpoints)
    versions = {f"plugin {each['name']}": each["version"] for each in _plugins(config, registry)}
    here = {"processor": cpu_model(), "ganforge": ganforge.__version__, **versions}
    now = {**surroundings(runtime, samples), **here}
    loop.stamp = {"config": dump(config), "surroundings": now}
    loop.saver.records = (run.metrics, run.events)
    return loop, progress


def _run(loop: Loop, progress: Progress, config: RunConfig, run: RunFolder, stop: StopRequest) -> Outcome:
    main = loop.game.runtime.is_main
    link = WandbLink.start(run, _wandb_settings(config, run)) if main else None
    well, finished, patience = False, False, MIRROR_PATIENCE_S
    try:
        finished = loop.run(stop)
        well = True
    except KeyboardInterrupt:
        patience = 0.0
        raise
    except OSError as error:
        if checkpoint.complete(run.checkpoints):
            folder = shlex.quote(str(run.path))
            error.add_note(f"the checkpoints are unharmed; to continue:  ganforge resume {folder}")
        raise
    finally:
        progress.close()
        mirror = link.finish(patience, ok=finished or bool(stop.reason)) if link else None
        loop.game.runtime.close(together=well)
    return Outcome(
        folder=run.path,
        finished=finished,
        images_seen=loop.images_seen,
        stopped_by=None if finished else stop.reason,
        is_main=main,
        lines=[*loop.ills(), *([mirror] if mirror else [])],
        diagnosis=loop.diagnosis,
        healthy_at=loop.guard.healthy_at,
    )


def _plugins(config: RunConfig, registry: Registry) -> list[dict[str, str]]:
    """The plugins that the run uses, with their versions."""
    used = [
        config.data,
        config.prior,
        config.nets,
        config.task,
        config.loss,
        *config.terms,
        *config.callbacks,
    ]
    used += [*config.metrics, config.generator.optimizer, config.discriminator.optimizer]
    plugins = {registry.provider(type(part)) for component in used for part in _with_inner(component)}
    return [
        {"name": plugin.name, "distribution": plugin.distribution, "version": plugin.version}
        for plugin in sorted(plugins, key=str)
    ]


def _with_inner(component: Component) -> Iterator[Component]:
    """The component and those in its fields."""
    yield component
    for _, value in component:
        if isinstance(value, Component):
            yield from _with_inner(value)


def _parameters(loop: Loop) -> dict[str, int]:
    """Network -> number of its trainable weights."""
    names: dict[Role, str] = {"g": "generator", "d": "discriminator"}
    return {
        names[role]: sum(part.numel() for part in player.network.parameters())
        for role, player in loop.game.players.items()
    }


def _metrics(agreed: Plan) -> list[dict[str, Any]]:
    """What the numbers of each metric will depend on. Raises `UserError` for a file that is missing
    now, rather than at the metric's first turn."""
    config, spec, found = agreed.config, agreed.spec, []
    for metric in config.metrics:
        described = describe(metric, spec)
        conditions = depends_on(metric, spec, described, data=dump(config)["data"])
        found.append({**described, "depends_on": conditions, "fingerprint": fingerprint(conditions)})
    return found


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
