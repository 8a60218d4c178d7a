"""A page on this machine: drop a picture, see the cost, watch the map settle.

It asks what the command line asks, by the same functions, and keeps pictures and runs in a folder
beside the ledger. `serve_forever` is the command, `serve` the same in a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from probe.errors import MissingExtra

if TYPE_CHECKING:
    from probe.backends.connection import Connection
    from probe.studio.server import Server

__all__ = ["serve", "serve_forever"]


def serve(
    ledger: Path, port: int = 0, connection: Connection | None = None
) -> AbstractContextManager[Server]:
    """A studio on loopback while the block runs; `.url` opens it. port 0: any free one.

    ledger: the file with the answers; the studio's folder is that name with `.studio` behind it.
    Raises UsageError where it cannot listen, OutputError where another studio has the folder or
    nothing can be written there, MissingExtra without the extra `studio`.
    """
    _check_installed()
    from probe.studio import server

    return server.serve(ledger, port, connection)


def serve_forever(
    ledger: Path,
    port: int = 0,
    connection: Connection | None = None,
    ready: Callable[[Server], None] = lambda server: None,
) -> None:
    """As `serve`, until interrupted: what runs then is stopped and saved, and KeyboardInterrupt
    is passed on. `ready` is told the server when it listens."""
    _check_installed()
    from probe.studio import server

    server.serve_forever(ledger, port, connection, ready)


def _check_installed() -> None:
    if any(find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise MissingExtra("starlette or uvicorn (for the studio)", "studio")
