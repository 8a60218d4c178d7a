"""The one place that speaks HTTP: one request, bounded in time and size, errors named once.

Redirects are never followed (they would carry the picture to another host), `.netrc` is never
read, nothing is retried here.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

import requests
from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError

from probe.errors import BackendError, ContractError, Unreachable, UsageError
from probe.text import printable

MAX_BYTES = 8 * 2**20
CONNECT_SECONDS = 10.0
LONGEST_WAIT = 7 * 24 * 3600.0

_thread = threading.local()


class Lost(BackendError):
    """The request was sent and no whole answer came; the service may have charged for it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `bounded`: its end was stated, so that a cut would have been noticed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    bounded: bool

    @property
    def wait(self) -> float | None:
        """Seconds that Retry-After asks for, or None where it says nothing usable."""
        return retry_after(self.headers.get("Retry-After"), self.headers.get("Date"))

    @property
    def excerpt(self) -> str:
        """The start of the body, for a message."""
        return printable(" ".join(self.body[:800].decode("utf-8", "replace").split()), 200)


def fetch(
    method: str, url: str, *, json: Any = None, timeout: float, max_bytes: int = MAX_BYTES
) -> Reply:
    """One request to `url`; the reply's body is at most `max_bytes`, counted after decompression.

    timeout: seconds until the first byte, and as many again for the whole of the body.

    Raises Unreachable when no connection was made, Lost when no whole answer came to what may
    have been sent, ContractError for a body too large, BackendError where TLS fails.
    """
    host = address(url)
    try:
        response = _session().request(
            method,
            url,
            json=json,
            timeout=(min(timeout, CONNECT_SECONDS), timeout),
            stream=True,
            allow_redirects=False,
            proxies=_proxies(url),
        )
    except (exceptions.RequestException, HTTPError, OSError) as error:
        _raise(error, host, timeout)
    with response:
        try:
            body = _read(response, host, time.monotonic() + timeout, max_bytes)
        except (exceptions.RequestException, HTTPError, OSError) as error:
            raise Lost(f"{host} broke off in the middle of its answer") from error
        headers = response.headers
        bounded = "Content-Length" in headers or "Transfer-Encoding" in headers
        return Reply(response.status_code, headers, body, bounded)


def checked_url(url: str) -> str:
    """`url` without its last slash; UsageError for what is no plain http(s) address.

    Keys do not belong into a URL, where every log and error message shows them; a URL that may
    hold one is refused without repeating it.
    """
    try:
        parts = urlsplit(url.strip())
        port_is_sane = parts.port != 0
    except ValueError:
        parts, port_is_sane = SplitResult("", "", "", "", ""), False
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            "the URL of a service must not hold a user, a query or a fragment: they end up in "
            "logs; give keys by environment variables"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_sane:
        raise UsageError(
            f"{printable(url, 100)!r} is not the URL of a service; "
            "expected something like http://127.0.0.1:8000"
        )
    return parts.geturl().rstrip("/")


def address(url: str) -> str:
    """host:port of a URL."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds to wait by a Retry-After header: a number, or a date against the server's own.

    None for what is missing, past, negative, absurd (over a week) or not to be understood.
    """
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", value, re.ASCII):
        seconds = float(value)
    else:
        try:
            now = parsedate_to_datetime(date) if date else datetime.now(UTC)
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return seconds if math.isfinite(seconds) and 0 < seconds <= LONGEST_WAIT else None


def _session() -> requests.Session:
    """This thread's session; a forked process makes its own."""
    if getattr(_thread, "pid", None) != os.getpid():
        session = requests.Session()
        session.trust_env = False
        session.headers["User-Agent"] = "probe"
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=0))
        _thread.session, _thread.pid = session, os.getpid()
    current: requests.Session = _thread.session
    return current


def _proxies(url: str) -> dict[str, str]:
    return {} if is_loopback(url) else get_environ_proxies(url)


def _read(response: requests.Response, host: str, deadline: float, max_bytes: int) -> bytes:
    """The body by single reads: neither a drip nor a bomb goes on for long."""
    body = bytearray()
    while part := response.raw.read1(65536, decode_content=True):
        body += part
        if len(body) > max_bytes:
            raise ContractError(f"{host} sent an answer of more than {max_bytes} bytes")
        if time.monotonic() > deadline:
            raise Lost(f"{host} did not finish its answer in time")
    return bytes(body)


def _raise(error: Exception, host: str, timeout: float) -> NoReturn:
    """Every foreign error before the first byte of an answer, as one of ours."""
    reason = getattr(error.args[0] if error.args else None, "reason", error)
    if isinstance(error, exceptions.SSLError) or isinstance(reason, SSLError):
        raise BackendError(
            f"no safe connection to {host}: {printable(str(reason), 150)}; "
            "is it https, with a valid certificate?"
        ) from error
    if isinstance(error, exceptions.ConnectTimeout):
        raise Unreachable(f"no connection to {host} within {timeout:g} s") from error
    if isinstance(error, exceptions.ProxyError):
        raise Unreachable(f"no connection to {host}: the proxy of the environment fails") from error
    if isinstance(reason, NewConnectionError):
        raise Unreachable(f"no connection to {host}: {_cause(reason)}") from error
    if isinstance(error, exceptions.Timeout):
        raise Lost(f"{host} did not answer within {timeout:g} s") from error
    if isinstance(error, exceptions.ConnectionError | HTTPError | OSError):
        raise Lost(f"{host} closed the connection without an answer") from error
    raise BackendError(f"the request to {host} failed: {type(error).__name__}") from error


def _cause(error: NewConnectionError) -> str:
    """What the operating system said, without urllib3's wrapping."""
    inner = error.__cause__ or error.__context__
    said = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(error)
    return printable(said.rsplit(": ", 1)[-1], 100).lower()
