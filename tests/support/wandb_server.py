"""A W&B server on the loopback address."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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
