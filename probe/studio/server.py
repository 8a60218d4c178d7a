"""The studio's server: on loopback, until it is told to end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_urlsafe
from threading import Thread

import uvicorn

from probe.backends.connection import Connection
from probe.errors import UsageError
from probe.studio.app import make
from probe.studio.desk import Desk
from probe.studio.folder import held

HOST = "127.0.0.1"
PATIENCE = 3
"""Seconds that open pages have to hear that the studio ends."""


class Server:
    """url: opens the page, with the token."""

    def __init__(self, desk: Desk, listener: socket.socket) -> None:
        token, port = token_urlsafe(24), listener.getsockname()[1]
        self.port: int = port
        self.url = f"http://{HOST}:{port}/?token={token}"
        self.desk = desk
        self.doorway = desk.folder.doorway(self.url)
        self._listener = listener
        config = uvicorn.Config(
            make(desk, token, port, lambda: self._uvicorn.should_exit),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=PATIENCE,
        )
        self._uvicorn = uvicorn.Server(config)

    def run(self) -> None:
        """Returns when it is told to end, and raises KeyboardInterrupt when a signal did so."""
        try:
            self._uvicorn.run(sockets=[self._listener])
        finally:
            self._listener.close()
            self.desk.close()

    def end(self) -> None:
        self._uvicorn.should_exit = True


@contextmanager
def _opened(ledger: Path, port: int, connection: Connection | None) -> Iterator[Server]:
    with held(ledger) as folder, _listening(port) as listener:
        yield Server(Desk(folder, ledger, connection or Connection()), listener)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(64)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on {HOST}:{port}: {reason.lower()}; choose another --port, or 0 for "
            "any free one"
        ) from error
    with listener:
        yield listener


@contextmanager
def serve(ledger: Path, port: int = 0, connection: Connection | None = None) -> Iterator[Server]:
    """As `probe.studio.serve`."""
    with _opened(ledger, port, connection) as server:
        thread = Thread(target=server.run, name="probe-studio")
        thread.start()
        try:
            yield server
        finally:
            server.end()
            thread.join()


def serve_forever(
    ledger: Path,
    port: int,
    connection: Connection | None,
    ready: Callable[[Server], None],
) -> None:
    """As `probe.studio.serve_forever`."""
    with _opened(ledger, port, connection) as server:
        ready(server)
        server.run()
