"""One session of a run in this process: opens the folder, prepares the loop, and runs it to an outcome."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import ganforge
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, dump
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.checkpoint.environment import inexact, surroundings
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.kernels.threads import use_threads
from ganforge.engine.loop import Loop
from ganforge.engine.metric_values import try_out
from ganforge.outputs.cache import data_context
from ganforge.outputs.claim import without_locks
from ganforge.outputs.mirror.mirrors import Mirrors
from ganforge.outputs.progress import Progress
from ganforge.outputs.provenance import cpu_model
from ganforge.outputs.replacing import drop_aside
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.advice import advice_on, in_lines
from ganforge.training.build import Plan, build_loop, load_samples, plan
from ganforge.training.data_check import suspicious
from ganforge.training.first_weights import take
from ganforge.training.origin import frozen_of, origin_of, parameters_of, plugins_of
from ganforge.training.outcome import Outcome, what_is_lost
from ganforge.training.record import Record
from ganforge.training.resume import Saved

MIRROR_PATIENCE_S = 20.0
"""Seconds that the end of a run waits for its mirrors; a second Ctrl-C does not wait."""


@dataclass
class Session:
    """A run file, a run folder, and the processes that train."""

    config: RunConfig
    folder: RunFolder
    runtime: Runtime
    registry: Registry
    stop: StopRequest

    def begin(self, agreed: Plan, command: str) -> Outcome:
        """A new run, in a folder that the main process holds; a run that fails to start leaves nothing
        behind."""
        main = self.runtime.is_main
        warnings = in_lines(advice_on(agreed, self.runtime.world), self.config)
        if main:
            for line in warnings:
                Progress(self.config.train.images).say(f"warning: {line}")
            # Before the data, which may take minutes to decode: report a folder that cannot be created first.
            origin = origin_of(agreed, self.registry, self.runtime, command)
            self.folder = RunFolder.create(self.folder.path, dump(self.config), origin)
        left = {}
        try:
            loop, progress = self._prepare(agreed)
            with self.stop.cut_short():
                try_out(self.config.metrics, loop.sampler, loop.samples)
            if self.config.init.source is not None:
                say = progress.say if main else _silent
                left = {"init_not_taken": take(loop, self.config.init.source, say)}
        except BaseException:
            if main:
                self.folder.unmake()
            raise
        if main:
            drop_aside(self.folder)
            for line in suspicious(loop.samples, agreed.spec):
                progress.say(f"warning: {line}")
            # Not from networks on the meta device, for which torch would import its whole compiler.
            self.folder.update_info({"parameters": parameters_of(loop), **frozen_of(loop), **left})
            for reason in inexact(self.config.train, self.runtime.device):
                progress.say(f"a resumed run will not be exact, because {reason}")
        return self._run(loop, progress, resumed=False)

    def go_on(self, allowed: Sequence[str] = (), claimed: bool = False) -> Outcome:
        """The existing run, from its newest readable checkpoint; `allowed`: keys that may differ; `claimed`:
        this process holds the folder already."""
        main, seen = self.runtime.is_main, self.config.train.images
        with self._claimed(claimed):
            if main:
                checkpoint.remove_leftovers(self.folder.checkpoints)
                self.folder.remove_leftovers()
            # The others wait here until the folder no longer changes.
            self.runtime.any(False)
            say = Progress(seen).say if main else _silent
            for line in self.config.renamed:
                say(line)
            saved = Saved.load(self.folder, self.config, self.registry, allowed, say)
            if saved.state["images_seen"] >= seen and not saved.state["owes_metrics"]:
                idle = f"nothing to do: it has already seen its {seen:,} images"
                return Outcome(self.folder.path, True, saved.state["images_seen"], is_main=main, lines=[idle])
            threads = saved.surroundings.get("threads")
            if self.runtime.device.type == "cpu" and use_threads(threads):
                # How a sum is split among threads decides its last bits.
                say(f"threads: {threads}, as before; with another OMP_NUM_THREADS the run would not be exact")
            loop, progress = self._prepare(plan(self.config, self.folder.read_data_spec()))
            say(saved.restore(loop))
            if main:
                saved.retain(self.config.logging.keep_checkpoints)
            return self._run(loop, progress, resumed=True)

    @contextlib.contextmanager
    def _claimed(self, already: bool) -> Iterator[None]:
        """The main process's lock on the folder, unless it is held `already`."""
        held = self.runtime.is_main and not already
        with self.folder.claimed() if held else contextlib.nullcontext(True) as locked:
            if not locked:
                Progress(self.config.train.images).say(f"warning: {without_locks(self.folder.path)}")
            yield

    def _prepare(self, agreed: Plan) -> tuple[Loop, Progress]:
        """The data and the loop. A signal interrupts this."""
        config, folder = self.config, self.folder
        progress = Progress(config.train.images)
        said: list[str] = []
        context = data_context(_noting(said, progress.say if self.runtime.is_main else _silent))
        with self.stop.cut_short():
            samples = load_samples(config, agreed.spec, context)
            loop = build_loop(agreed, samples, self.runtime, Record(folder, progress), folder.checkpoints)
            here = {"processor": cpu_model(), "ganforge": ganforge.__version__}
            for plugin in plugins_of(config, self.registry):
                here[f"plugin {plugin['name']}"] = plugin["version"]
            for name, digest in loop.game.live.hashes().items():
                here[f"frozen network {name}"] = digest[:12]
            now = {**surroundings(self.runtime, samples), **here}
        if self.runtime.is_main:
            folder.update_info({"data": said})
        loop.stamp = {"config": dump(config), "surroundings": now}
        loop.saver.records = (folder.metrics, folder.events)
        return loop, progress

    def _run(self, loop: Loop, progress: Progress, resumed: bool) -> Outcome:
        main, folder, stop = self.runtime.is_main, self.folder, self.stop
        mirrors = Mirrors.start(folder, self.config, self.registry, resumed) if main else Mirrors()
        well, finished, patience = False, False, MIRROR_PATIENCE_S
        try:
            finished = loop.run(stop)
            well = True
        except KeyboardInterrupt as error:
            patience = 0.0
            error.add_note(what_is_lost(folder, loop.images_seen))
            raise
        except OSError as error:
            if not folder.path.is_dir():
                error.add_note(f"run folder {folder.path} was moved or deleted while it was trained")
            if checkpoint.complete(folder.checkpoints):
                quoted = shlex.quote(str(folder.path))
                error.add_note(f"the checkpoints are intact; to continue:  ganforge resume {quoted}")
            raise
        finally:
            progress.close()
            records = mirrors.finish(patience, ok=finished or bool(stop.reason))
            self.runtime.close(together=well)
        ills = [] if loop.diagnosis is not None else loop.guard.lines()
        return Outcome(
            folder=folder.path,
            finished=finished,
            images_seen=loop.images_seen,
            stopped_by=None if finished else stop.reason,
            is_main=main,
            lines=[*ills, *records],
            diagnosis=loop.diagnosis,
            healthy_at=loop.guard.healthy_at,
        )


def _noting(said: list[str], say: Callable[[str], None]) -> Callable[[str], None]:
    """Like `say`, and keeps the line. File names may be bytes that are not text."""

    def both(line: str) -> None:
        said.append(line.encode(errors="backslashreplace").decode())
        say(said[-1])

    return both


def _silent(line: str) -> None:
    """Only the main process prints."""
