"""What writes event files for TensorBoard, in a process of its own. The records are written as protocol
buffers, without torch's writer: it would load torch."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganforge.api import TrackedRun


class TensorBoardSink:
    """Event files in the tracker's folder; the step is the number of images seen."""

    purges = True
    by_hand = ""

    def __init__(self, folder: Path, images: bool) -> None:
        """Raises `RuntimeError` if TensorBoard is not installed."""
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise RuntimeError(f"{error}; pip install 'ganforge[tensorboard]'") from error
        self.images = images
        self.place = f"tensorboard --logdir {shlex.quote(str(folder))}"
        self._writer = EventFileWriter(str(folder))

    @classmethod
    def open(cls, settings: Mapping[str, Any], run: TrackedRun) -> TensorBoardSink:
        sink = cls(run.folder, bool(settings["images"]))
        if not run.resume:
            table = json.dumps(run.config, indent=2, ensure_ascii=False)
            sink._text("config", f"```\n{table}\n```", 0)
        return sink

    @classmethod
    def retreat(cls, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return None

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Numbers only; TensorBoard keeps them in single precision."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        for row in rows:
            values = [
                Summary.Value(tag=key, simple_value=float(value))
                for key, value in row.items()
                if key != "images_seen" and isinstance(value, int | float) and not isinstance(value, bool)
            ]
            self._add(Summary(value=values), row["images_seen"])
        self._writer.flush()

    def image(self, name: str, images_seen: int, path: Path) -> None:
        """The PNG as it is."""
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        if not self.images:
            return
        with Image.open(path) as picture:
            width, height = picture.size
        image = Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes()
        )
        self._add(Summary(value=[Summary.Value(tag=f"grids/{name}", image=image)]), images_seen)
        self._writer.flush()

    def event(self, event: Mapping[str, Any]) -> None:
        self._text(
            "events", f"{event.get('diagnosis', event['event'])}: {event['what']}", event["images_seen"]
        )
        self._writer.flush()

    def purge(self, images_seen: int) -> None:
        """Readers drop what earlier files have at this step and beyond (`purge_step`)."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        now, start = time.time(), SessionLog(status=SessionLog.START)
        self._writer.add_event(Event(step=images_seen, wall_time=now, file_version="brain.Event:2"))
        self._writer.add_event(Event(step=images_seen, wall_time=now, session_log=start))
        self._writer.flush()

    def close(self, ok: bool) -> None:
        self._writer.close()

    def _text(self, tag: str, text: str, images_seen: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=shape)
        plugin = SummaryMetadata.PluginData(plugin_name="text")
        value = Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=tensor)
        self._add(Summary(value=[value]), images_seen)

    def _add(self, summary: Any, images_seen: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(step=images_seen, wall_time=time.time(), summary=summary))
