"""How long a service asks to wait: in headers, by whichever name, or in its body."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from probe.api.expressions import search
from probe.api.http import LONGEST_WAIT, retry_after
from probe.api.json import is_number
from probe.errors import ContractError


def header_wait(headers: Mapping[str, str], hints: Sequence[str]) -> float | None:
    """Seconds by the first hint that is there and usable, else None.

    hints: `name` (seconds, or a date), `name:ms`, or `ratelimit:t`: the time to the next window
    of a RateLimit header (an IETF draft), that of the spent policies if it says which.
    """
    given = {name.lower(): value for name, value in headers.items()}
    for hint in hints:
        name, _, unit = hint.lower().partition(":")
        value = given.get(name)
        if value is None:
            continue
        if unit == "t":
            seconds = _window(value)
        elif unit == "ms":
            seconds = _usable(float(value) / 1000) if _is_plain(value) else None
        else:
            seconds = retry_after(value, given.get("date"))
        if seconds is not None:
            return seconds
    return None


def body_wait(body: Any, expression: str | None) -> float | None:
    """Seconds that the body asks for, else None."""
    if expression is None:
        return None
    try:
        found = search(expression, body)
    except ContractError:
        return None
    return _usable(float(found)) if is_number(found) else None


def _window(value: str) -> float | None:
    policies = [dict(re.findall(r";\s*([rt])\s*=\s*(\d{1,9})", one)) for one in value.split(",")]
    timed = [one for one in policies if "t" in one]
    spent = [one for one in timed if int(one.get("r", 0)) == 0]
    return _usable(max((float(one["t"]) for one in spent or timed), default=0.0))


def _is_plain(value: str) -> bool:
    return re.fullmatch(r"\s*\d{1,12}(\.\d{1,9})?\s*", value, re.ASCII) is not None


def _usable(seconds: float) -> float | None:
    return seconds if 0 < seconds <= LONGEST_WAIT else None
