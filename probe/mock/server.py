"""The HTTP around the services: threads, bounds, broken connections, a quiet end."""

from __future__ import annotations

import json
import logging
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Event, Lock, Thread
from typing import Any

from probe.errors import ProbeError, UsageError
from probe.limits import Rate
from probe.mock.faults import Dice, Faults
from probe.mock.message import MAX_REQUEST, Asked, Said
from probe.mock.router import Router
from probe.mock.scorer import Scorer
from probe.text import printable
from probe.types import Backend

_log = logging.getLogger(__name__)


class Server(ThreadingHTTPServer):
    """requests: how many came to be scored. calls: pictures scored, and paid for, in them."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(
        self,
        backend: Backend,
        host: str,
        port: int,
        faults: Faults | None = None,
        key: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        rates: Sequence[Rate] | None = None,
    ) -> None:
        self.requests = 0
        self.calls = 0
        self.key = key
        self._closing = Event()
        self._scorer = Scorer(backend)
        self._ways: dict[str, Any] = {"key": key, "clock": clock, "rates": rates}
        self.weather(faults or Faults())
        self._lock = Lock()
        self._resets: set[socket.socket] = set()
        self._connections: set[socket.socket] = set()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes | bytearray) else host
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    @property
    def faults(self) -> Mapping[str, int]:
        """How often each kind of fault has hit."""
        return dict(self._dice.counts)

    def weather(self, faults: Faults) -> None:
        """These faults from now on, counted anew."""
        self._dice = Dice(faults)
        self.router = Router(self._scorer, self._dice, pause=self._closing.wait, **self._ways)

    def serve_instead(self, backend: Backend) -> None:
        """Another backend from now on, under the same faults."""
        self._scorer = Scorer(backend)
        self.router = Router(self._scorer, self._dice, pause=self._closing.wait, **self._ways)

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

    def reset(self, connection: socket.socket) -> None:
        """End this connection by a reset as soon as its handler is done."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with self._lock:
            self._resets.add(connection)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
            reset = request in self._resets
            self._resets.discard(request)
        if reset:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def close(self) -> None:
        """Accept nothing more, let answers in the making go out, end all threads."""
        self.shutdown()
        self._closing.set()
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
        self._answer(self.server.router.get, self._asked(b""))

    def do_POST(self) -> None:
        router, asked = self.server.router, self._asked(b"")
        self.server.count(requests=not router.is_token(asked))
        body = self._body()
        if body is not None:
            self._answer(router.post, self._asked(body))

    def _asked(self, body: bytes) -> Asked:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Asked(self.command, self.path, headers, body)

    def _answer(self, answer: Callable[[Asked], Said], asked: Asked) -> None:
        try:
            said = answer(asked)
        except ProbeError as error:
            self._error(500, str(error))
        except Exception as error:
            _log.exception("the backend failed")
            self._error(500, f"the backend failed with {type(error).__name__}")
        else:
            self.server.count(calls=said.calls)
            self._say(said)

    def _body(self) -> bytes | None:
        """The whole body, of a stated length or in chunks; None after an answer that refuses it."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or len(length) > 15:
            self.close_connection = True
            self._error(411, "a Content-Length is needed")
            return None
        if int(length) > MAX_REQUEST:
            self._too_large()
            self._drain(int(length))
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return body

    def _chunks(self) -> bytes | None:
        body = bytearray()
        while True:
            size = self.rfile.readline(100).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", size):
                self.close_connection = True
                self._error(400, "a chunk without its size")
                return None
            if len(body) + int(size, 16) > MAX_REQUEST:
                self._too_large()
                return None
            chunk = self.rfile.read(int(size, 16))
            body += chunk
            if len(chunk) < int(size, 16) or self.rfile.readline(100).strip():
                self.close_connection = True
                return None
            if not chunk:
                return bytes(body)

    def _too_large(self) -> None:
        self.close_connection = True
        self._error(413, f"a request may have {MAX_REQUEST} bytes; send fewer images")

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
        self._say(Said(status, data, {"Content-Type": "application/json"}))

    def _say(self, said: Said) -> None:
        if said.broken is not None:
            self.close_connection = True
            self.server.reset(self.connection)
        if said.broken == "reset":
            return
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said.body)))
        if self.close_connection and said.broken is None:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(said.body[: len(said.body) // 2] if said.broken else said.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server finds wrong, as JSON too."""
        self.close_connection = True
        self._error(code, message or "the request cannot be understood")

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("%s", printable(format % args, 300))


@contextmanager
def serve(
    backend: Backend,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    faults: Faults | None = None,
    key: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    rates: Sequence[Rate] | None = None,
) -> Iterator[Server]:
    """Serve `backend` as every service that is known, while the block runs; port 0 is any free.

    The contract `probe/1` is spoken at the root, every service at its own path (see
    `probe.mock.environment`). The server has `.url`, `.requests`, `.calls` and `.faults`.

    key: what every credential of a service must be, None for any or none; the contract
    `probe/1` knows no keys. faults: what goes wrong on purpose. rates: windows instead of each
    service's own, `()` for none. clock: seconds, for the windows. Only loopback unless another
    `host` is asked for. Raises UsageError where it cannot listen.
    """
    try:
        server = Server(backend, host, port, faults, key, clock, rates)
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
    **ways: Any,
) -> None:
    """Serve until interrupted (KeyboardInterrupt is passed on); `ready` is told the server.

    ways: faults, key and the like, as `serve` has them.
    """
    with serve(backend, host, port, **ways) as server:
        ready(server)
        Event().wait()
