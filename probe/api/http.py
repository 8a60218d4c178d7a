"""The one place that speaks HTTP: one request, bounded in time and size, errors named once.

Redirects are never followed (they would carry picture and key to another host), `.netrc` is never
read, cookies are neither kept nor sent back, and nothing is sent twice, except where a server
closed a kept connection before it took a byte of the request. Proxies are those of the
environment. Certificates are trusted by `ca_file`, else by the file or folder that
REQUESTS_CA_BUNDLE or SSL_CERT_FILE names, else by those that come with certifi.
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
from urllib.parse import urlsplit

import requests
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError

from probe.api.addresses import address, check_host, checked_url, is_loopback
from probe.api.problems import Lost, problem
from probe.api.secrets import masked, masked_bytes, redact_logs, remember
from probe.api.wire import (
    CONNECT_SECONDS,
    Adapter,
    Exchange,
    TooLarge,
    check_certificates,
    exchanging,
)
from probe.errors import ProbeError, UsageError
from probe.text import printable

__all__ = [
    "MAX_BYTES",
    "Lost",
    "Reply",
    "TooLarge",
    "address",
    "checked_url",
    "fetch",
    "is_loopback",
    "proxies",
    "retry_after",
]

MAX_BYTES = 8 * 2**20
LONGEST_WAIT = 7 * 24 * 3600.0
LONGEST_HEADER = 500
HEADERS = {"User-Agent": "probe", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}

_KEPT = re.compile(
    r"content-(type|length|encoding)|inference-header-content-length|date|location"
    r"|.*(retry|rate-?limit|throttl|wait|back-?off|quota|remaining|reset|request-?id).*",
    re.IGNORECASE,
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")

_thread = threading.local()

redact_logs(
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, without secrets.

    headers: those about the content, waiting, quotas and the request's id, and where a redirect
    leads, without its query; the others (cookies among them) are dropped.
    bounded: its end was stated, so that a cut would have been noticed.
    """

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
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float,
    max_bytes: int = MAX_BYTES,
    secrets: frozenset[str] = frozenset(),
    ca_file: str | None = None,
    deadline: float | None = None,
    trusted: bool = False,
    allow_http: bool = False,
) -> Reply:
    """One request to `url`; the reply's body is at most `max_bytes`, counted after decompression.

    timeout: seconds for the whole of it, from the connection to the last byte; a connection must
    stand within 10 s. deadline: on the monotonic clock, ends it earlier. secrets: keys that the
    request holds; they are replaced by ``***`` in the reply and in what libraries log. trusted:
    the user typed this address, so that it may be one of a private network. allow_http: send
    secrets unencrypted to another machine. The lookup of a name takes what the system takes.

    Raises UsageError for an address or a header that is not sent, before anything is; Unreachable
    when no connection was made, Rejected when it would not be a safe one, Lost when no whole
    answer came to what may have been sent, TooLarge (a ContractError) for headers or a body
    without an end, ContractError for what is no HTTP. No message shows a query, a header or a key.
    """
    seconds = min(timeout, deadline - time.monotonic()) if deadline is not None else timeout
    headers = {**HEADERS, **(headers or {})}
    try:
        _check(url, headers, bool(secrets), trusted, allow_http)
        secrets |= _credentials(headers)
        remember(secrets)
        verify = _certificates(ca_file)
        return _sent(
            _prepared(method, url, headers, body), verify, seconds, trusted, max_bytes, secrets
        )
    except ProbeError as error:
        failure = error.with_traceback(None)
        failure.__context__ = None
    del url, headers, body, secrets  # tools that show a traceback show its variables too
    raise failure


def proxies(url: str) -> dict[str, str]:
    """The proxy of the environment that a request to `url` goes through, by the URL's scheme,
    without user and password; empty where there is none, as for this machine itself."""
    chosen = select_proxy(url, _proxies(url))
    if not chosen:
        return {}
    parts = urlsplit(chosen if "://" in chosen else f"http://{chosen}")
    return {urlsplit(url).scheme: f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"}


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


def _sent(
    prepared: requests.PreparedRequest,
    verify: str | bool,
    seconds: float,
    trusted: bool,
    max_bytes: int,
    secrets: frozenset[str],
) -> Reply:
    deadline = time.monotonic() + seconds
    for attempt in range(2):
        exchange = Exchange(deadline, trusted)
        try:
            with exchanging(exchange):
                return _exchange(prepared, exchange, verify, max_bytes, secrets)
        except (ProbeError, RequestException, HTTPError, OSError) as error:
            if not exchange.unread or attempt:
                found = problem(error, exchange, address(prepared.url or ""), seconds)
                raise found from found.__cause__
    raise AssertionError


def _exchange(
    prepared: requests.PreparedRequest,
    exchange: Exchange,
    verify: str | bool,
    max_bytes: int,
    secrets: frozenset[str],
) -> Reply:
    left = exchange.left()
    with _adapter(verify).send(
        prepared,
        timeout=(min(left, CONNECT_SECONDS), left),
        verify=verify,
        proxies=_proxies(prepared.url or ""),
    ) as response:
        raw = response.raw
        framed = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        bounded = framed or raw.length_remaining is not None
        body = bytearray()
        while part := raw.read1(65536, decode_content=True):
            body += part
            if len(body) > max_bytes:
                raise TooLarge(f"an answer of more than {max_bytes} bytes")
        kept = {
            name: masked(value.partition("?")[0] if name.lower() == "location" else value, secrets)
            for name, value in response.headers.items()
            if _KEPT.fullmatch(name) and len(value) <= LONGEST_HEADER
        }
        return Reply(
            response.status_code,
            CaseInsensitiveDict(kept),
            masked_bytes(bytes(body), secrets),
            bounded,
        )


def _check(
    url: str, headers: Mapping[str, str], secret: bool, trusted: bool, allow_http: bool
) -> None:
    """UsageError for what is not to be sent; nothing has been yet."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        place = address(url)
    except ValueError:
        usable = None
    if not usable:
        raise UsageError("the URL of a request must be http:// or https://, without a user")
    check_host(parts.hostname or "", trusted)
    if secret and parts.scheme == "http" and not is_loopback(url) and not allow_http:
        raise UsageError(
            f"a key would travel unencrypted to {place}: use https://, or --allow-http if the "
            "network in between is yours"
        )
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise UsageError(
                f"the header {printable(name, 40)!r} for {place} holds a line break or a letter "
                "that HTTP does not carry: look at the variable that it is made of"
            )


def _prepared(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> requests.PreparedRequest:
    try:
        return requests.Request(method, url, headers=headers, data=body).prepare()
    except RequestException:
        raise UsageError(f"the URL for {address(url)} cannot be used: look at its host") from None


def _credentials(headers: Mapping[str, str]) -> frozenset[str]:
    """What Authorization headers hold, as it is sent: a token, or user and password together."""
    return frozenset(
        value.rpartition(" ")[2]
        for name, value in headers.items()
        if name.lower() in ("authorization", "proxy-authorization")
    )


def _certificates(ca_file: str | None) -> str | bool:
    """What certificates are checked against: a file, a folder, or True for certifi's."""
    names = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"))
    return ca_file or next(filter(None, names), None) or True


def _adapter(verify: str | bool) -> Adapter:
    """This thread's connections, those of each set of certificates apart; a forked process
    makes its own."""
    if getattr(_thread, "pid", None) != os.getpid():
        _thread.adapters, _thread.pid = {}, os.getpid()
    adapters: dict[str | bool, Adapter] = _thread.adapters
    if verify not in adapters:
        if isinstance(verify, str) and not os.path.isdir(verify):
            check_certificates(verify)
        adapters[verify] = Adapter()
    return adapters[verify]


def _proxies(url: str) -> dict[str, str]:
    return {} if is_loopback(url) else get_environ_proxies(url)
