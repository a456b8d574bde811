"""Saving in the background: a snapshot on the training thread, disk writes on another."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from ganforge.engine.checkpoint import checkpoint


class Snapshot:
    """Copies of tensors in host memory, in buffers that are reused each time."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, str], Tensor] = {}

    def take(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> checkpoint.Tensors:
        """The tensors' current values; valid until the next `take`."""
        taken = {
            group: {name: self._copied((group, name), tensor) for name, tensor in named.items()}
            for group, named in tensors.items()
        }
        if any(tensor.is_cuda for named in tensors.values() for tensor in named.values()):
            # The copies are only queued; training may overwrite their sources once they are done.
            torch.cuda.synchronize()
        return taken

    def _copied(self, key: tuple[str, str], tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        buffer = self._buffers.get(key)
        if buffer is None or (buffer.shape, buffer.dtype) != (tensor.shape, tensor.dtype):
            # In the tensor's own memory format, so that the copy is contiguous; pinned, so that it is async.
            buffer = torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda)
            self._buffers[key] = buffer
        return buffer.copy_(tensor, non_blocking=True)


class Saver:
    """Writes checkpoints, at most one at a time, while training continues.

    An error of the writing thread is raised on the training thread: at the next save, or on leaving
    the `with`. Leaving waits for the last save, except on a `KeyboardInterrupt`: a partial checkpoint
    left by that is removed when the run is resumed.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep
        self.records: tuple[Path, ...] = ()
        """Files to flush to disk before a checkpoint counts."""
        self._snapshot = Snapshot()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(self, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        """Takes a snapshot and returns; waits for the previous save if that is still in progress."""
        self.wait()
        taken = self._snapshot.take(tensors)
        # A daemon, so that a process told to exit at once does not wait for its disk.
        self._thread = threading.Thread(target=self._write, args=(taken, state), name="save", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Returns when nothing is being written; raises any error since the last call."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.wait()
        elif self._thread is not None and not isinstance(error, KeyboardInterrupt):
            self._thread.join()

    def _write(self, taken: checkpoint.Tensors, state: Mapping[str, Any]) -> None:
        try:
            checkpoint.save(self.folder, taken, state, self.keep, self.records)
        except BaseException as error:
            self._error = error
