"""What an answer that is no success means: wait, no key, no calls left, or no such thing."""

from __future__ import annotations

import json
from typing import Any

from probe.api.expressions import search
from probe.api.http import Reply
from probe.api.json import excerpt
from probe.api.profile.records import Profile
from probe.api.response.waits import body_wait, header_wait
from probe.errors import AuthError, BackendError, ContractError, QuotaExhausted, Rejected
from probe.text import printable
from probe.types import Failure, FailureKind


def trouble(profile: Profile, reply: Reply, body: Any, count: int = 1) -> Failure:
    """The failure of every picture of the request, where asking again is of use; raises where it
    is not: AuthError, QuotaExhausted, Rejected, or BackendError for these pictures alone.

    body: the reply's as JSON, None where it is none. count: pictures of the request. The
    profile's codes come first, then its statuses, then what HTTP (RFC 9110) says of a status.
    """
    status, weather = reply.status, profile.weather
    code = code_of(profile, body)
    message = f"{profile.name} answered {status}: {error_of(profile, body) or excerpt(reply.body)}"
    if code in auth_codes(profile):
        raise AuthError(message)
    if code in weather.quota_codes:
        raise QuotaExhausted(message)
    if code in weather.codes or status in weather.statuses:
        wait = header_wait(reply.headers, weather.after_headers)
        if wait is None:
            wait = body_wait(body, weather.after_body)
        return Failure(_kind(status, code in weather.codes, wait), message, wait=wait)
    if status in profile.request.ok_status:
        raise BackendError(message)
    raise _error(reply, message, count)


def code_of(profile: Profile, body: Any) -> str | None:
    """The service's own code in a body or an element of it, as text."""
    found = _found(profile.response.code, body)
    return None if found is None or isinstance(found, dict | list) else str(found)


def error_of(profile: Profile, body: Any) -> str:
    """The service's own words, safe to print; empty where it has none."""
    found = _found(profile.response.error, body)
    if found in (None, "", [], {}):
        return ""
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        found = "; ".join(found)
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return printable(" ".join(text.split()), 200)


def auth_codes(profile: Profile) -> tuple[str, ...]:
    token = profile.request.token
    return (*profile.weather.auth_codes, *(token.renew_on if token else ()))


def _found(expression: str | None, body: Any) -> Any:
    if expression is None or body is None:
        return None
    try:
        return search(expression, body)
    except ContractError:
        return None


def _kind(status: int, by_code: bool, wait: float | None) -> FailureKind:
    busy = status == 503 and wait is not None
    return "throttled" if by_code or busy or (status < 500 and status != 408) else "unavailable"


def _error(reply: Reply, message: str, count: int) -> BackendError | QuotaExhausted:
    status = reply.status
    if status in (401, 403):
        return AuthError(message)
    if status == 402:
        return QuotaExhausted(message)
    if 300 <= status < 400:
        target = printable(str(reply.headers.get("Location", "nowhere")), 200)
        return Rejected(
            f"{message.partition(':')[0]}: it redirects to {target}; redirects are not followed, "
            "give the new address if you trust it"
        )
    if status in (404, 405, 410):
        return Rejected(f"{message} (is the address right, and the model's name?)")
    if status == 202:
        return Rejected(f"{message} (an asynchronous service; that is not supported)")
    if status == 413 or (count > 1 and "too many" in message.lower()):
        fewer = "fewer pictures a request (limits.max_batch) or " if count > 1 else ""
        return BackendError(f"{message} (too large for it: use {fewer}a smaller --side)")
    if status < 300:
        return ContractError(f"{message} (expected a status of request.ok_status)")
    return BackendError(message)
