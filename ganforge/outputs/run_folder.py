"""The folder of a run: its layout, and how it is created and opened.

Importable without torch, so `UserError` is imported where it is raised.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

import ganforge
from ganforge.files import read_regular, within
from ganforge.outputs.atomic import write_bytes, write_json
from ganforge.outputs.claim import claimed

if TYPE_CHECKING:
    from ganforge.api import DataSpec, UserError

_PUT_BACK = "restore the file that 'ganforge run' wrote"


_TABLE, _LIST, _TEXT = ((dict,), "a table"), ((list,), "an array"), ((str,), "a text")
INFO = {
    "git": _TABLE, "parameters": _TABLE, "packages": _TABLE, "cpu": _TABLE, "data_spec": _TABLE,
    "plugins": _LIST, "metrics": _LIST, "warnings": _LIST, "resumes": _LIST, "data": _LIST,
    "started": _TEXT, "device": _TEXT, "ganforge": _TEXT, "run_command": _TEXT,
}  # fmt: skip
"""Types of the keys of run.json that are read again."""
MIRROR_FILES = ("mirror.json", "mirror.log", "mirror.lock", "status.json")


@dataclass(frozen=True)
class RunFolder:
    """The paths in a run folder; `create` makes one, `open` finds one."""

    path: Path
    made: tuple[Path, ...] = field(default=(), compare=False)
    """The folders that `create` made, deepest first."""

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
        """One JSON row per line: losses, scores, rates, metrics."""
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """Events other than training, one JSON object per line; absent if nothing did."""
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
    def trackers(self) -> Path:
        """One folder for each of `[[trackers]]`."""
        return self.path / "trackers"

    @property
    def plots(self) -> Path:
        return self.path / "plots"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @classmethod
    def create(cls, path: Path, resolved_config: Mapping[str, Any], info: Mapping[str, Any]) -> RunFolder:
        """Creates the folder with config.toml and run.json; an existing empty folder is accepted.

        Raises `UserError` if it already holds a run or cannot be created; nothing is left behind.
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
                f"cannot create run folder {path} in {path.absolute().parent}: {error.strerror}; "
                "choose another with --out"
            ) from error
        return run

    def unmake(self) -> None:
        """Removes what `create` made, for a run that fails to start."""
        for file in (self.config, self.info):
            with contextlib.suppress(OSError):
                file.unlink()
        for folder in (self.grids, self.checkpoints, self.wandb, *self.made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def refuse_links_out(self) -> None:
        """Raises `UserError` if a symbolic link leads out of the folder from a place where files are written,
        deleted or locked."""
        folders = (self.path, self.grids, self.checkpoints, self.plots)
        inner = [each for folder in folders[1:] for each in within(folder, self.path).glob("*")]
        mirrors = [self.wandb, *within(self.trackers, self.path).glob("*")]
        named = [within(mirror, self.path) / name for mirror in mirrors for name in MIRROR_FILES]
        for each in (*self.path.iterdir(), *inner, *named):
            if each.is_symlink():
                within(each, self.path)

    def has_saved(self) -> bool:
        """Whether there is a checkpoint, intact or not."""
        return self.checkpoints.is_dir() and any(self.checkpoints.glob("[0-9]*"))

    def foreign(self) -> list[str]:
        """The names of what is in the folder and not part of a run before its first checkpoint."""
        parts = (
            self.config, self.info, self.metrics, self.events, self.grids, self.checkpoints, self.wandb,
            self.trackers, self.plots, self.report, self.path / "evaluations.jsonl",
        )  # fmt: skip
        names = {part.name for part in parts}
        return sorted(
            each.name for each in self.path.iterdir() if each.name not in names and not is_half_made(each)
        )

    @contextlib.contextmanager
    def claimed(self) -> Iterator[bool]:
        """Locks the folder against other training processes; the lock ends with the process. Gives whether
        there is a lock: some file systems have none.

        Raises `UserError` if another process holds it, or if links lead out of it.
        """
        with claimed(self.path) as locked:
            self.refuse_links_out()
            yield locked

    def remove_leftovers(self) -> None:
        """Removes temporary files that a killed process left."""
        for folder in (self.path, self.grids, *self.grids.glob("*/")):
            for each in folder.glob(".*.tmp"):
                remove(each)

    @classmethod
    def refuse_existing(cls, path: Path) -> None:
        """Raises `UserError` if the folder is not empty, or is a file."""
        try:
            taken = path.exists() and (
                not path.is_dir() or not all(is_half_made(each) for each in path.iterdir())
            )
        except OSError as error:
            raise _user_error(f"run folder {path} cannot be read: {error.strerror}") from error
        if taken and not cls(path).config.is_file():
            raise _user_error(f"{path} already exists and is not a run folder; choose another with --out")
        foreign = cls(path).foreign() if taken and not cls(path).has_saved() else []
        if foreign:
            raise _user_error(
                f"run folder {path} has no checkpoint to continue from, and holds '{foreign[0]}', which is "
                "not part of a run; move that elsewhere and try again, or choose another with --out"
            )
        if taken and not cls(path).has_saved():
            raise _user_error(
                f"run folder {path} has no checkpoint to continue from; delete it and try again, or choose "
                "another with --out"
            )
        if taken:
            raise _user_error(
                f"run folder {path} already exists; continue it with 'ganforge resume {path}', "
                "or choose another with --out"
            )

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The run in an existing folder. Raises `UserError` if there is none."""
        run = cls(path)
        missing = [file.name for file in (run.config, run.info) if not file.is_file()]
        if missing:
            raise _user_error(
                f"{path} is not a run folder: it has no {' and no '.join(missing)}; "
                "pass the folder that 'ganforge run' wrote"
            )
        return run

    def write_config(self, resolved: Mapping[str, Any]) -> None:
        """Writes or replaces config.toml."""
        header = f"# Resolved by ganforge {ganforge.__version__}: every default filled in.\n\n"
        write_bytes(self.config, (header + tomli_w.dumps(_without_none(resolved))).encode())

    def read_config(self) -> dict[str, Any]:
        """The resolved run file as tables."""
        return tomllib.loads(read_regular(self.config).decode())

    def read_info(self) -> dict[str, Any]:
        """run.json. Raises `UserError` if it is damaged."""
        try:
            info = json.loads(read_regular(self.info))
        except (ValueError, RecursionError) as error:
            raise _user_error(f"{self.info}: not JSON: {error}; {_PUT_BACK}") from None
        if not isinstance(info, dict):
            raise _user_error(f"{self.info}: not a JSON object; {_PUT_BACK}")
        for key, (types, words) in INFO.items():
            if not isinstance(info.get(key), (*types, type(None))):
                value = json.dumps(info[key])
                raise _user_error(f"{self.info}: '{key}' is {value:.60}; expected {words}; {_PUT_BACK}")
            # Written by an older version, or by hand: as if it were not there.
            if key in info and info[key] is None and dict in types and key != "git":
                del info[key]
        return info

    def read_data_spec(self) -> DataSpec:
        """The data spec recorded at the start of the run. Raises `UserError` if run.json lacks it."""
        from ganforge.api import DataSpec

        try:
            return DataSpec.model_validate_json(json.dumps(self.read_info()["data_spec"]))
        except (KeyError, ValueError):
            raise _user_error(f"{self.info}: 'data_spec' is missing or damaged; {_PUT_BACK}") from None

    def misfit(self, reason: str) -> UserError:
        """The error for a config.toml that does not match the checkpoints."""
        return _user_error(
            f"{self.config} does not match the run's newest checkpoint: {reason:.200}; revert the changes "
            f"to the file, or install the plugins that {self.info} lists"
        )

    def update_info(self, changes: Mapping[str, Any]) -> None:
        """Sets some keys of run.json, such as `finished` or `warnings`, atomically."""
        write_json(self.info, self.read_info() | dict(changes))

    def grid(self, images_seen: int, name: str = "samples") -> Path:
        """The grid after this many images; names sort numerically. Grids other than plain samples
        have a folder of their own."""
        folder = self.grids if name == "samples" else self.grids / name
        return folder / f"{images_seen:010d}.png"

    def grid_files(self) -> list[tuple[int, Path]]:
        """(images seen, file), oldest first."""
        return sorted(
            (int(file.stem), file)
            for file in self.grids.glob("*.png")
            if file.stem.isascii() and file.stem.isdigit()
        )


def remove(path: Path) -> None:
    """A file, a link (not where it leads) or a whole folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_half_made(path: Path) -> bool:
    """A temporary file or folder of a process that may have been killed."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def _without_none(value: Any) -> Any:
    """TOML has no null: a key that is None is omitted, since its default is None as well."""
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value if item is not None]
    return str(value) if isinstance(value, Path) else value


def _user_error(message: str) -> UserError:
    from ganforge.api import UserError

    return UserError(message)
