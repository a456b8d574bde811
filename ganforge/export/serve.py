"""A page over HTTP, on this machine only unless told otherwise. Importable without torch."""

from __future__ import annotations

import errno
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.export.page_parts import FOLDER_POLICY

if TYPE_CHECKING:
    from ganforge.api.errors import UserError

LOOPBACK = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, with the page's policy."""

    extensions_map = {  # noqa: RUF012
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".mjs": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".wasm": "application/wasm",
        "": "application/octet-stream",
    }

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", f"{FOLDER_POLICY}; frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests of one's own browser are no news."""

    def list_directory(self, path: Any) -> None:
        """Only files that are named."""
        self.send_error(404)


class _Server(ThreadingHTTPServer):
    """Forgives a browser that leaves in the middle of a file."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(folder: Path, host: str, port: int) -> ThreadingHTTPServer:
    """A server for `folder`, bound to `host` and `port` (0 = any free one).

    Raises `UserError` if it cannot have them.
    """
    try:
        return _Server((host, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"port {port} is in use; choose another with --port, or leave it out for any free one"
        elif error.errno in (errno.EACCES, errno.EPERM):
            reason = f"port {port} is not allowed: {error.strerror}; choose one from 1024 with --port"
        else:
            reason = (
                f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --host or --port"
            )
        raise _user_error(reason) from error
    except OverflowError as error:
        raise _user_error(f"expected --port 0 to 65535, got {port}") from error


def _user_error(message: str) -> UserError:
    from ganforge.api.errors import UserError

    return UserError(message)
