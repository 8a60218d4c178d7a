"""Servers and networks that misbehave, on this machine: raw sockets, no HTTP library in between.

`Wild` answers each request by a script that may send any bytes at any time; `Toxic` says what a
`TcpProxy` does to the bytes that pass it. Both count what reached them, and nothing here sleeps:
what must last is held until the test is over.
"""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

CERTIFICATES = Path(__file__).parent / "certificates"

Script = Callable[["Wild", socket.socket, bytes], None]


class Listener(ABC):
    """A port of this machine; `_serve` gets each connection in a thread of its own."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                if self.stop.is_set():
                    connection.close()
                    return
                self.connections += 1
                self._open.append(connection)
                self._start(self._guarded, connection)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=args))
        self._threads[-1].start()

    def _guarded(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self._serve(connection)

    @abstractmethod
    def _serve(self, connection: socket.socket) -> None:
        """Whatever it does with a connection."""

    def close(self) -> None:
        self.stop.set()
        with suppress(OSError), socket.socket() as last:
            last.connect(("127.0.0.1", self.port))
        self._threads[0].join()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()


class Wild(Listener):
    """A server that answers each request by `script(server, connection, request)`, raw bytes.

    certificate: one of the files in `certificates`; the server then speaks TLS. early: the script
    is called with the head of the request as soon as that is there; the body is its to read.
    """

    def __init__(
        self, script: Script, *, certificate: str | None = None, early: bool = False
    ) -> None:
        self.requests: list[bytes] = []
        self._script = script
        self._read = read_head if early else read_request
        self._context: ssl.SSLContext | None = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(CERTIFICATES / certificate)
        super().__init__()
        if certificate:
            self.url = self.url.replace("http", "https")

    def _serve(self, connection: socket.socket) -> None:
        if self._context:
            connection = self._context.wrap_socket(connection, server_side=True)
            self._open.append(connection)
        with connection:
            while request := self._read(connection):
                self.requests.append(request)
                self._script(self, connection, request)


@dataclass(frozen=True)
class Toxic:
    """What happens to the bytes of one direction of one connection.

    delay: seconds before each piece. piece: bytes that are passed on at once. limit: bytes after
    which `then` comes: the connection is closed, reset, or held open in silence. lingers: it is
    kept open after the other side has closed.
    """

    delay: float = 0.0
    piece: int = 65536
    limit: int | None = None
    then: Literal["close", "reset", "silence"] = "close"
    lingers: bool = False


class TcpProxy(Listener):
    """Passes connections on to a port; `up` is for what clients send, `down` for the answers."""

    def __init__(self, port: int, up: Toxic | None = None, down: Toxic | None = None) -> None:
        self._target = port
        self.up, self.down = up or Toxic(), down or Toxic()
        self.passed = {"up": 0, "down": 0}
        super().__init__()

    def _serve(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._target)) as behind:
            self._open.append(behind)
            back = threading.Thread(target=self._pass, args=(behind, connection, "down"))
            back.start()
            self._pass(connection, behind, "up")
            back.join()

    def _pass(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        toxic: Toxic = getattr(self, way)
        left = sys.maxsize if toxic.limit is None else toxic.limit
        with suppress(OSError):
            while left and (data := source.recv(min(toxic.piece, left))):
                if toxic.delay and self.stop.wait(toxic.delay):
                    break
                sink.sendall(data)
                self.passed[way] += len(data)
                left -= len(data)
        if toxic.lingers or (left == 0 and toxic.then == "silence"):
            self.stop.wait()
        if left == 0 and toxic.then == "reset":
            reset(source)
            reset(sink)
        else:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
            if left == 0:
                with suppress(OSError):
                    source.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    """Close it by RST, so that the other side sees a reset; a thread that reads it is woken."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
    connection.close()


def read_head(connection: socket.socket) -> bytes:
    """The head of a request, its last blank line included, and what came along with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    return data


def read_request(connection: socket.socket) -> bytes:
    """A whole request; nothing where the connection ends before one."""
    data = read_head(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
            while len(body) < length:
                part = connection.recv(65536)
                if not part:
                    return b""
                body += part
    return head + b"\r\n\r\n" + body if data else b""


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer as it travels; Content_Length="" leaves the length out."""
    lines = {"Content-Length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body


def says(*answers: bytes) -> Script:
    """A script that sends these, one a request, and the last of them from then on."""
    left = list(answers)

    def script(server: Wild, connection: socket.socket, request: bytes) -> None:
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return script
