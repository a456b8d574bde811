"""A W&B server on the loopback address, and a reader of the records that W&B writes."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

Record: Any = vars(wandb_internal_pb2)["Record"]  # made at import, so unknown to a type checker


class Server(ThreadingHTTPServer):
    """A W&B server that does as it is told: works, denies, fails, never answers, or hangs up."""

    daemon_threads = True

    def __init__(self, manner: str) -> None:
        self.manner = manner
        self.history: list[dict[str, Any]] = []
        self.asked = 0
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        self.server.asked += 1
        if self.server.manner == "dies":
            self.close_connection = True
            return None
        if self.server.manner == "hangs":
            self.server.over.wait()
        if self.server.manner == "works":
            return self.answer(200, self.reply(body))
        return self.answer(401 if self.server.manner == "denies" else 500, {})

    do_PUT = do_POST

    def do_GET(self) -> None:
        self.answer(404, {})

    def reply(self, body: dict[str, Any]) -> dict[str, Any]:
        history = body.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        self.server.history += [json.loads(line) for line in history]
        query = body.get("query", "")
        if "upsertBucket" in query:
            project = {"id": "cA==", "name": "p", "entity": {"id": "ZQ==", "name": "e"}}
            name = body["variables"].get("name") or "unnamed"
            bucket = {
                "id": "aWQ=",
                "name": name,
                "displayName": name,
                "historyLineCount": 0,
                "project": project,
            }
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        if "createRunFiles" in query:
            return {"data": {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": []}}}
        return {"data": {"model": None, "viewer": {"id": "v", "entity": "e", "teams": {"edges": []}}}}

    def answer(self, code: int, data: dict[str, Any]) -> None:
        text = json.dumps(data).encode()
        with contextlib.suppress(OSError):
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def records(folder: Path) -> list[Any]:
    """What a .wandb file holds: LevelDB's log format, 32 KiB blocks of fragments."""
    (file,) = folder.glob("*.wandb")
    data = file.read_bytes()
    found, position, whole = [], 7, b""
    while position + 7 <= len(data):
        room = 32768 - position % 32768
        if room < 7:
            position += room
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            found.append(Record.FromString(whole))
            whole = b""
    return found


def history(folder: Path) -> list[dict[str, Any]]:
    """The logged rows, without what W&B adds to them."""
    rows = []
    for record in records(folder):
        if record.HasField("history"):
            items = {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
            rows.append({key: value for key, value in items.items() if not key.startswith("_")})
    return rows
