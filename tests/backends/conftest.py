from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image

from probe.testing.backends import Sample
from probe.types import Codec

Script = Callable[["Wild", socket.socket, bytes], None]


class Wild:
    """A server that answers each request by `script(server, connection, request)`, raw bytes."""

    def __init__(self, script: Script) -> None:
        self.requests: list[bytes] = []
        self.stop = threading.Event()
        self._script = script
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
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while request := read_request(connection):
                self.requests.append(request)
                self._script(self, connection, request)

    def close(self) -> None:
        self.stop.set()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
            while len(body) < length:
                body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def wild() -> Iterator[Callable[[Script], Wild]]:
    servers: list[Wild] = []

    def start(script: Script) -> Wild:
        servers.append(Wild(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def reply() -> Callable[..., bytes]:
    def make(body: Any = b"", status: str = "200 OK", **headers: str) -> bytes:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = {"Content-Length": str(len(data))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + data

    return make


@pytest.fixture
def sample() -> Callable[..., Sample]:
    def make(image: Image.Image | None = None, codec: Codec | None = None) -> Sample:
        return Sample(image or Image.new("RGB", (32, 24), "gray"), codec or Codec(), [])

    return make
