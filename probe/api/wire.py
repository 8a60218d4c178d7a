"""Connections that keep one deadline for a whole exchange, and that look at whom they reach.

The timeout of a socket bounds each single read, so that a server which drips bytes holds a client
for ever. Here every read and every write gets the time that is left. The exchange in progress is
found by its thread: the libraries in between have no place to hand it through.
"""

from __future__ import annotations

import http.client
import math
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from probe.api.addresses import check_host
from probe.api.transport.purse import Oversized
from probe.errors import Unreachable, UsageError
from probe.text import printable

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 30.0
MAX_HEAD = 64 * 2**10
CHUNK = 64 * 2**10

_thread = threading.local()


class TooLarge(Oversized):
    """An answer without an end; another request to this server is likely to get another."""


@dataclass(slots=True)
class Exchange:
    """One request on its way, and what is known of it.

    deadline: on the monotonic clock. trusted: the user typed the address. head: bytes that may
    still come before the end of the headers, None behind them. connected: a connection stands,
    TLS and tunnel included. sent: the whole request was handed to the operating system.
    acked: bytes that the server had acknowledged on a connection kept from an earlier exchange.
    unread: the server closed that connection before it had taken a byte of this request.
    """

    deadline: float
    trusted: bool
    head: int | None = MAX_HEAD
    connected: bool = False
    sent: bool = False
    acked: int | None = None
    unread: bool = False

    def left(self) -> float:
        """Seconds until the deadline; TimeoutError when it has passed."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        return seconds

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self.deadline


@contextmanager
def exchanging(exchange: Exchange) -> Iterator[Exchange]:
    """What this thread's connections do meanwhile belongs to `exchange`."""
    _thread.exchange = exchange
    try:
        yield exchange
    finally:
        del _thread.exchange


def _current() -> Exchange:
    exchange: Exchange = _thread.exchange
    return exchange


class _Bounded(socket.socket):
    def recv_into(self, *args: Any) -> int:
        exchange = _current()
        self.settimeout(exchange.left())
        size = super().recv_into(*args)
        if exchange.head is not None:
            if size == 0:
                if exchange.head == MAX_HEAD and exchange.acked is not None:
                    exchange.unread = _acknowledged(self) == exchange.acked
                raise http.client.RemoteDisconnected("closed before the end of the headers")
            exchange.head -= size
            if exchange.head < 0:
                raise TooLarge(f"more than {MAX_HEAD} bytes before the start of an answer")
        return size


class _Plain(_Bounded):
    """A server that has answered and takes nothing more is not waited for: it is read."""

    def sendall(self, data: Any, flags: int = 0) -> None:
        rest = memoryview(data)
        while rest:
            with selectors.DefaultSelector() as selector:
                selector.register(self, selectors.EVENT_READ | selectors.EVENT_WRITE)
                ready = [event for _, event in selector.select(_current().left())]
            if ready and ready[0] & selectors.EVENT_WRITE:
                rest = rest[self.send(rest, flags) :]
            elif ready:
                raise BrokenPipeError("answered before it was asked")


class _Secure(_Bounded, ssl.SSLSocket):
    def sendall(self, data: Any, flags: int = 0) -> None:
        whole = memoryview(data)
        for start in range(0, len(whole), CHUNK):
            self.settimeout(_current().left())
            try:
                super().sendall(whole[start : start + CHUNK], flags)
            except ssl.SSLEOFError as error:  # an answer may have come before
                raise BrokenPipeError("closed while it was asked") from error


def _acknowledged(connection: socket.socket) -> int | None:
    """How many bytes the other side has acknowledged, where the operating system can tell.

    tcpi_bytes_acked of struct tcp_info in linux/tcp.h.
    """
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        acknowledged: int = struct.unpack_from("=Q", info, 120)[0]
    except (AttributeError, OSError, struct.error):
        return None
    return acknowledged


class _Response(http.client.HTTPResponse):
    """Skips every interim answer (103 and the like), as RFC 9110, 15.2 asks, not only 100.

    Taken for an answer, it would leave the real one to be read as that of the next request.
    """

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _Connection(HTTPConnection):
    response_class = _Response
    used = 0.0

    def connect(self) -> None:
        super().connect()
        _current().connected = True

    @property
    def is_connected(self) -> bool:
        """Whether it may be used again. One that was idle for long may be gone unnoticed."""
        return super().is_connected and time.monotonic() - self.used < IDLE_SECONDS

    def request(self, *args: Any, **options: Any) -> None:
        exchange = _current()
        if self.sock is not None and not exchange.connected:
            exchange.connected = True
            exchange.acked = _acknowledged(self.sock)
        super().request(*args, **options)
        exchange.sent = True

    def getresponse(self) -> Any:
        """The answer; the connection serves again only where nothing is left to go wrong on it:
        all of the request was sent, and the server's code did not fail (uvicorn, for one, hangs
        up after that without having said so)."""
        response = super().getresponse()
        exchange = _current()
        exchange.head = None
        good = exchange.sent and response.status < 500
        self.used = time.monotonic() if good else -math.inf
        return response

    def _new_conn(self) -> socket.socket:
        """Connect to the first address of the host that answers; the number that was checked
        is the one that is connected to, so that a name cannot change in between."""
        exchange = _current()
        host = f"[{self.host}]" if ":" in self.host else self.host
        place = f"the proxy {host}:{self.port}" if self.proxy else f"{host}:{self.port}"
        problem: OSError | UnicodeError = OSError("it has no address")
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            found, problem = [], error
        for family, kind, protocol, _, peer in found:
            if not self.proxy:
                check_host(str(peer[0]), exchange.trusted)
            connection = _Plain(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    connection.setsockopt(*option)
                connection.settimeout(min(CONNECT_SECONDS, exchange.left()))
                connection.connect(peer)
            except OSError as error:
                connection.close()
                problem = error
            else:
                return connection
        if isinstance(problem, TimeoutError):
            raise Unreachable(f"no connection to {place}: no answer in time")
        said = getattr(problem, "strerror", None) or str(problem)
        raise Unreachable(f"no connection to {place}: {printable(said, 100).lower()}")


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Adapter(HTTPAdapter):
    """requests' adapter with these connections; nothing is retried."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=_context())
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options, ssl_context=_context())
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager


@cache
def check_certificates(file: str) -> None:
    """Raise UsageError where it holds none; a whole bundle takes long enough to look once only."""
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        said = "none in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise UsageError(f"no certificates in {printable(file)!r}: {said}") from error


def _context() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.sslsocket_class = _Secure
    return context
