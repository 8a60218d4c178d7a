"""The HTTP around a model: threads, bounds, a quiet end."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Event, Lock, Thread
from typing import Any

from probe.errors import ProbeError, UsageError
from probe.mock.contract import BadRequest, Model
from probe.text import printable
from probe.types import Backend

MAX_REQUEST = 64 * 2**20

_log = logging.getLogger(__name__)


class Server(ThreadingHTTPServer):
    """requests: how many came to /score. calls: pictures scored in them."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, backend: Backend, host: str, port: int) -> None:
        self.model = Model(backend)
        self.requests = 0
        self.calls = 0
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes | bytearray) else host
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of the host's name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def count(self, requests: int = 0, calls: int = 0) -> None:
        with self._lock:
            self.requests += requests
            self.calls += calls

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """Accept nothing more, let answers in the making go out, end all threads."""
        self.shutdown()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.info("connection of %s broke off", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "probe"
    sys_version = ""
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        if self.path.rstrip("/"):
            self._error(404, "GET / describes the model, POST /score scores pictures")
        else:
            self._send(200, self.server.model.describe())

    def do_POST(self) -> None:
        self.server.count(requests=self.path == "/score")
        body = self._body()
        if body is None:
            return
        if self.path != "/score":
            self._error(404, "GET / describes the model, POST /score scores pictures")
            return
        try:
            answer, calls = self.server.model.answer(body)
        except BadRequest as error:
            self._error(error.status, str(error))
        except ProbeError as error:
            self._error(500, str(error))
        except Exception as error:
            _log.exception("the backend failed")
            self._error(500, f"the backend failed with {type(error).__name__}")
        else:
            self.server.count(calls=calls)
            self._send(200, answer)

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or len(length) > 15:
            self.close_connection = True
            self._error(411, "a Content-Length is needed")
            return None
        if int(length) > MAX_REQUEST:
            self.close_connection = True
            self._error(413, f"a request may have {MAX_REQUEST} bytes; send fewer images")
            self._drain(int(length))
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return body

    def _drain(self, length: int) -> None:
        """Read on for a while, so that the client sees the status and not a reset."""
        self.wfile.flush()
        left = min(length, 4 * MAX_REQUEST)
        while left > 0 and (part := self.rfile.read(min(left, 1 << 20))):
            left -= len(part)

    def _error(self, status: int, message: str) -> None:
        self._send(status, {"error": {"message": printable(message, 300)}})

    def _send(self, status: int, document: dict[str, Any]) -> None:
        data = json.dumps(document, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server finds wrong, as JSON too."""
        self.close_connection = True
        self._error(code, message or "the request cannot be understood")

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("%s", printable(format % args, 300))


@contextmanager
def serve(backend: Backend, host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """Serve `backend` by the contract `probe/1` while the block runs; port 0 is any free one.

    The server has `.url`, `.requests` and `.calls`. There is no password: only loopback unless
    another `host` is asked for. Raises UsageError where it cannot listen.
    """
    try:
        server = Server(backend, host, port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on {host}:{port}: {reason.lower()}; choose another port, "
            "or 0 for any free one"
        ) from error
    thread = Thread(target=server.serve_forever, args=(0.05,), name="probe-serve")
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def serve_forever(
    backend: Backend,
    host: str = "127.0.0.1",
    port: int = 8000,
    ready: Callable[[Server], None] = lambda server: None,
) -> None:
    """Serve until interrupted (KeyboardInterrupt is passed on); `ready` is told the server."""
    with serve(backend, host, port) as server:
        ready(server)
        Event().wait()
