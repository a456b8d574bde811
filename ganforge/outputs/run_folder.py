"""The folder of a run: where each thing lies, and how it is made and opened.

Importable without torch, so `UserError` is imported where it is raised.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

import ganforge
from ganforge.outputs.atomic import write_bytes, write_json

if TYPE_CHECKING:
    from ganforge.api import DataSpec, UserError

_PUT_BACK = "put back the file that 'ganforge run' wrote"


@dataclass(frozen=True)
class RunFolder:
    """The paths in a run folder; `create` makes one, `open` finds one."""

    path: Path
    made: tuple[Path, ...] = field(default=(), compare=False)
    """The folders that `create` had to make, deepest first."""

    @property
    def config(self) -> Path:
        """The run file with every default filled in."""
        return self.path / "config.toml"

    @property
    def info(self) -> Path:
        """What ran, where and with which versions."""
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        """One JSON row a line: losses, scores, rates, metrics."""
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """What happened besides training, one JSON object a line; absent where nothing did."""
        return self.path / "events.jsonl"

    @property
    def grids(self) -> Path:
        return self.path / "grids"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def wandb(self) -> Path:
        return self.path / "wandb"

    @property
    def plots(self) -> Path:
        return self.path / "plots"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @classmethod
    def create(cls, path: Path, resolved_config: Mapping[str, Any], info: Mapping[str, Any]) -> RunFolder:
        """Makes the folder with its config.toml and run.json; an empty folder will do.

        Raises `UserError` where a run is there already, or where the folder cannot be made; then
        nothing of it is left.
        """
        cls.refuse_existing(path)
        run = cls(path, tuple(folder for folder in (path, *path.parents) if not folder.exists()))
        try:
            for folder in (path, run.grids, run.checkpoints, run.wandb):
                folder.mkdir(parents=True, exist_ok=True)
            run.write_config(resolved_config)
            write_json(run.info, info)
        except OSError as error:
            run.unmake()
            raise _user_error(
                f"cannot make run folder {path} in {path.absolute().parent}: {error.strerror}; "
                "choose another with --out"
            ) from error
        return run

    def unmake(self) -> None:
        """Takes back what `create` made, for a run that cannot start after all."""
        for file in (self.config, self.info):
            with contextlib.suppress(OSError):
                file.unlink()
        for folder in (self.grids, self.checkpoints, self.wandb, *self.made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    @classmethod
    def clear_unsaved(cls, path: Path) -> None:
        """Empties the folder of a run that was killed before its first checkpoint; leaves alone
        any other. Raises `UserError` where another process is at work in it."""
        run = cls(path)
        if not path.is_dir() or (run.checkpoints.is_dir() and any(run.checkpoints.glob("[0-9]*"))):
            return
        parts = [run.config, run.info, run.metrics, run.events, run.grids, run.checkpoints, run.wandb]
        names = {part.name for part in (*parts, run.plots, run.report)}
        if any(each.name not in names and not _is_half_made(each) for each in path.iterdir()):
            return
        with run.claimed():
            for each in list(path.iterdir()):
                if each.is_dir():
                    shutil.rmtree(each)
                else:
                    each.unlink()

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Keeps other processes from training in the folder; the claim ends with the process.

        Raises `UserError` where another one has it.
        """
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _user_error(
                    f"run folder {self.path} is in use: another process trains in it; stop that one first"
                ) from None
            except OSError:
                # A file system without locks.
                pass
            yield
        finally:
            os.close(descriptor)

    def sweep(self) -> None:
        """Removes the half-made files that a killed process left."""
        for folder in (self.path, self.grids, *self.grids.glob("*/")):
            for each in folder.glob(".*.tmp"):
                each.unlink()

    @classmethod
    def refuse_existing(cls, path: Path) -> None:
        """Raises `UserError` where the folder holds anything, or is a file."""
        try:
            taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
        except OSError as error:
            raise _user_error(f"run folder {path} cannot be looked into: {error.strerror}") from error
        if taken and not cls(path).config.is_file():
            raise _user_error(f"{path} exists already and is no run folder; choose another with --out")
        if taken:
            raise _user_error(
                f"run folder {path} exists already; continue it with 'ganforge resume {path}', "
                "or choose another with --out"
            )

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The run in an existing folder. Raises `UserError` where there is none."""
        run = cls(path)
        missing = [file.name for file in (run.config, run.info) if not file.is_file()]
        if missing:
            raise _user_error(
                f"{path} is not a run folder: it has no {' and no '.join(missing)}; "
                "name the folder that 'ganforge run' wrote"
            )
        return run

    def write_config(self, resolved: Mapping[str, Any]) -> None:
        """Puts config.toml in place, or a new one in place of the old."""
        header = f"# Resolved by ganforge {ganforge.__version__}: every default filled in.\n\n"
        write_bytes(self.config, (header + tomli_w.dumps(_without_none(resolved))).encode())

    def read_config(self) -> dict[str, Any]:
        """The resolved run file as tables."""
        return tomllib.loads(self.config.read_text(encoding="utf-8"))

    def read_info(self) -> dict[str, Any]:
        """run.json. Raises `UserError` where it is damaged."""
        try:
            info = json.loads(self.info.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise _user_error(f"{self.info}: not JSON: {error}; {_PUT_BACK}") from None
        if not isinstance(info, dict):
            raise _user_error(f"{self.info}: not a JSON object; {_PUT_BACK}")
        return info

    def read_data_spec(self) -> DataSpec:
        """What the data were when the run began. Raises `UserError` where run.json does not say."""
        from ganforge.api import DataSpec

        try:
            return DataSpec.model_validate_json(json.dumps(self.read_info()["data_spec"]))
        except (KeyError, ValueError):
            raise _user_error(f"{self.info}: 'data_spec' is missing or damaged; {_PUT_BACK}") from None

    def misfit(self, reason: str) -> UserError:
        """What to raise where config.toml and the checkpoints do not belong together."""
        return _user_error(
            f"{self.config} does not fit the run's newest checkpoint: {reason:.200}; undo what was changed "
            f"in the file, or install the plugins that {self.info} lists"
        )

    def update_info(self, changes: Mapping[str, Any]) -> None:
        """Sets some keys of run.json, such as `finished` or `warnings`, in one step."""
        write_json(self.info, self.read_info() | dict(changes))

    def grid(self, images_seen: int, name: str = "samples") -> Path:
        """The picture made after so many images; names sort as numbers do. Pictures of anything
        but plain samples have a folder of their own."""
        folder = self.grids if name == "samples" else self.grids / name
        return folder / f"{images_seen:010d}.png"

    def grid_files(self) -> list[tuple[int, Path]]:
        """(images seen, picture), oldest first."""
        return sorted(
            (int(file.stem), file)
            for file in self.grids.glob("*.png")
            if file.stem.isascii() and file.stem.isdigit()
        )


def _is_half_made(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".tmp")


def _without_none(value: Any) -> Any:
    """TOML has no null: a key that is None is left out, as its default will be None again."""
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value if item is not None]
    return str(value) if isinstance(value, Path) else value


def _user_error(message: str) -> UserError:
    from ganforge.api import UserError

    return UserError(message)
