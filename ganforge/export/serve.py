"""A page over HTTP, on this machine only unless told otherwise. Importable without torch."""

from __future__ import annotations

import errno
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
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

    def send_head(self) -> Any:
        """The file that is named, no listing of a folder, and nothing that a link leads to elsewhere."""
        assert isinstance(self.server, _Server)
        name = self.headers.get("Host", "")
        if not self.server.answers_to(name.rpartition(":")[0] or name):
            self.send_error(403, "Unknown host", f"expected {self.server.host} in the address, see --host")
            return None
        if not self._is_in_folder():
            self.send_error(404)
            return None
        return super().send_head()

    def _is_in_folder(self) -> bool:
        try:
            named = Path(self.translate_path(self.path))
            real = (named / "index.html" if named.is_dir() else named).resolve()
            return real.is_file() and real.is_relative_to(Path(self.directory).resolve())
        except (OSError, ValueError):
            return False


class _Server(ThreadingHTTPServer):
    """Forgives a browser that leaves in the middle of a file."""

    host = LOOPBACK

    def answers_to(self, name: str) -> bool:
        """Whether a request may call this server so. On loopback only by its own names: otherwise any page
        of the web could have its name point here, and read what is served (DNS rebinding)."""
        address = str(self.server_address[0])
        own = (self.host.lower(), address, LOOPBACK, "localhost")
        return not ip_address(address).is_loopback or name.lower() in own

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(folder: Path, host: str, port: int) -> ThreadingHTTPServer:
    """A server for `folder`, bound to `host` and `port` (0 = any free one).

    Raises `UserError` if it cannot have them.
    """
    try:
        found = _Server((host, port), partial(_Handler, directory=str(folder)))
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
    found.host = host
    return found


def _user_error(message: str) -> UserError:
    from ganforge.api.errors import UserError

    return UserError(message)
