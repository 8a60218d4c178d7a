"""Every error of the HTTP libraries as one of ours, in words that hold no query and no key."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

from requests import exceptions
from urllib3.exceptions import DecodeError

from probe.api.wire import Exchange, TooLarge
from probe.errors import (
    BackendError,
    ContractError,
    ProbeError,
    Rejected,
    Unreachable,
    UsageError,
)
from probe.text import printable
from probe.types import Failure


class Lost(BackendError):
    """A request began and no whole answer came.

    billed: all of it was sent, so that the service may have charged for it.
    """

    def __init__(self, message: str, billed: bool = True) -> None:
        super().__init__(message)
        self.billed = billed

    @property
    def failure(self) -> Failure:
        """The same as the outcome of a variant; not charged for is as good as not sent."""
        return Failure("lost" if self.billed else "unavailable", str(self), billed=self.billed)


class Cause(Exception):
    """The names of a library's errors, the outermost first. Their texts repeat what the server
    sent, in ever new quotes, and they carry the request along."""


def problem(error: Exception, exchange: Exchange, host: str, seconds: float) -> ProbeError:
    """What to raise for `error`, which ended this exchange with `host` within `seconds`."""
    if isinstance(error, TooLarge):
        return TooLarge(f"{host} sent {error}")
    if isinstance(error, ProbeError):
        return error
    causes = list(_causes(error))
    if isinstance(error, exceptions.InvalidSchema | exceptions.InvalidURL):
        found: ProbeError = UsageError(
            f"the proxy of the environment for {host} cannot be used (http and https ones can): "
            "unset it, or set no_proxy"
        )
    elif not exchange.connected:
        found = _unconnected(causes, exchange, host)
    elif exchange.expired:
        what = "answer" if exchange.head is not None else "finish its answer"
        found = Lost(f"{host} did not {what} within {seconds:.3g} s", exchange.sent)
    elif any(_is_no_http(cause) for cause in causes):
        found = ContractError(f"{host} sent what is no HTTP, or is broken; is it https://?")
    elif exchange.head is None:
        found = Lost(f"{host} broke off in the middle of its answer", exchange.sent)
    elif exchange.sent:
        found = Lost(f"{host} closed the connection without an answer")
    else:
        found = Lost(f"{host} closed the connection before the request was sent", billed=False)
    found.__cause__ = Cause(" < ".join(map(_named, causes)))
    return found


def _unconnected(causes: list[BaseException], exchange: Exchange, host: str) -> ProbeError:
    """No request was sent: no connection, or none that is safe."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Rejected(
                f"no safe connection to {host}: {printable(cause.verify_message, 150)}; "
                "a certificate that you know is trusted by --ca-file FILE"
            )
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            said = printable(cause.reason or str(cause), 100).lower().replace("_", " ")
            return Rejected(f"no safe connection to {host}: {said}; is it http://?")
    for cause in causes:
        if isinstance(cause, exceptions.ProxyError):
            said = next((str(c) for c in causes if str(c).startswith("Tunnel")), "it fails")
            return Unreachable(
                f"no connection to {host} by the proxy of the environment: {printable(said, 100)}"
            )
    if exchange.expired or any(isinstance(cause, TimeoutError) for cause in causes):
        return Unreachable(f"no connection to {host}: it did not answer in time")
    return Unreachable(f"no connection to {host}: it was closed at once; is it http://?")


def _named(error: BaseException) -> str:
    said = f" ({error.strerror})" if isinstance(error, ConnectionError) and error.strerror else ""
    return f"{type(error).__name__}{said}"


def _is_no_http(error: BaseException) -> bool:
    if isinstance(error, RemoteDisconnected | IncompleteRead):
        return False
    return isinstance(error, HTTPException | DecodeError | exceptions.InvalidHeader)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that is wrapped in it, by whichever way."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
