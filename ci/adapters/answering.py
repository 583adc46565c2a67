"""The door for those who ask by HTTP: GET alone, answered in JSON, a bounded number at a time."""

from __future__ import annotations

import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Answer = tuple[int, Mapping[str, Any]]
    Answering = Callable[[str, Mapping[str, str]], Answer]

AT_A_TIME = 32
SECONDS = 10  # that a question may take to arrive
HEALTH = "/healthz"


def serve(host: str, port: int, answering: Answering, ready: Callable[[int], None]) -> None:
    """Answer each GET with the status and the JSON that `answering` gives for its path and query, until SIGTERM.

    `ready` is told the port once it listens (0 takes a free one). Raises OSError where the port is taken.
    """
    places = threading.BoundedSemaphore(AT_A_TIME)

    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS
        server_version = "trunkline"
        sys_version = ""

        def do_GET(self) -> None:
            if self.path == HEALTH:  # whoever is busy is well
                self._send(200, {"ok": True})
                return
            if not places.acquire(blocking=False):
                self._send(503, {"error": "too much is being asked at once; ask again"})
                return
            try:
                asked = urlsplit(self.path)
                self._send(*answering(unquote(asked.path), dict(parse_qsl(asked.query))))
            except Exception as fault:  # noqa: BLE001 - whatever it is, who asked is told, and the next is answered
                print(f"trunkline: {type(fault).__name__}: {fault}", file=sys.stderr)
                self._send(500, {"error": "this could not be answered; the log of the analyzer says why"})
            finally:
                places.release()

        def _send(self, status: int, message: Mapping[str, Any]) -> None:
            content = json.dumps(message, allow_nan=False).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
            self._send(code, {"error": explain or message or f"status {code}"})

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            print(f"{self.address_string()} {format % args}", file=sys.stderr)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = AT_A_TIME

    with Server((host, port), Handler) as server:
        before = signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        try:
            ready(server.server_address[1])
            server.serve_forever(poll_interval=0.1)
        finally:
            signal.signal(signal.SIGTERM, before)
