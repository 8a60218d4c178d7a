"""The kinds of values that keys of a profile hold; a ValueError says what was expected."""

from __future__ import annotations

import re
from datetime import date
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from probe.api.expressions import fault
from probe.api.json import is_number

FORMATS = ("png", "jpeg", "webp", "gif", "bmp", "tiff", "avif", "heic")
LONGEST_PATTERN = 200
_REPEATS = (_parser.MAX_REPEAT, _parser.MIN_REPEAT, _parser.POSSESSIVE_REPEAT)


def name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,79}", value):
        raise ValueError("a name of small letters, digits, dots, dashes and underscores")
    return value


def some_text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 2000 or not value.isprintable():
        raise ValueError("a text of one line")
    return value


def day(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", value):
        raise ValueError("a date like 2026-10-07, 2026-10 or 2026")
    return value


def pair(value: Any) -> tuple[str, str]:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value):
        return (value[0], value[1])
    raise ValueError("a list of user and password")


def expression(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a JMESPath expression")
    if wrong := fault(value):
        raise ValueError(f"a JMESPath expression ({wrong})")
    return value


def labels(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return expression(value)
    if (
        isinstance(value, list)
        and 0 < len(value) <= 10_000
        and len(set(map(str, value))) == len(value)
    ):
        return tuple(some_text(one) for one in value)
    raise ValueError("a JMESPath expression, or a list of names, each once")


def decode(value: Any) -> str:
    if value in ("none", "json"):
        return str(value)
    pattern = value.removeprefix("regex:") if isinstance(value, str) else ""
    if not pattern or pattern == value or len(pattern) > LONGEST_PATTERN:
        raise ValueError("none, json, or regex: and a regular expression")
    try:
        re.compile(pattern)
        if _explodes(_parser.parse(pattern).data, False):
            raise ValueError(
                "a regular expression after regex: without quantifiers or alternatives inside "
                "a repeated group: these can take for ever"
            )
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"a regular expression after regex: ({error})") from None
    return str(value)


def _explodes(node: Any, repeated: bool) -> bool:
    """Whether a part that may match in several ways is within one that may come several times."""
    if isinstance(node, _parser.SubPattern):
        return any(_explodes(one, repeated) for one in node.data)
    if not isinstance(node, list | tuple):
        return False
    if len(node) == 2 and node[0] in _REPEATS:
        low, high, inside = node[1]
        return (repeated and low != high) or _explodes(inside, repeated or high > 1)
    if node and node[0] is _parser.BRANCH and repeated:
        return True
    return any(_explodes(one, repeated) for one in node)


def missing(value: Any) -> float | None:
    if value == "error":
        return None
    if not is_number(value) or not 0 <= value <= 1:
        raise ValueError('a number from 0 to 1, or "error"')
    return float(value)


def codes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(one, str) or type(one) is int for one in value
    ):
        raise ValueError("a list of codes")
    return tuple(map(str, value))


def hints(value: Any) -> tuple[str, ...]:
    known = r"[A-Za-z0-9-]+(:ms)?|ratelimit:t"
    if not isinstance(value, list) or not all(
        isinstance(one, str) and re.fullmatch(known, one) for one in value
    ):
        raise ValueError("a list of header names, name:ms, or ratelimit:t")
    return tuple(value)


def formats(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list) or not value or not all(one in FORMATS for one in value):
        raise ValueError(f"a list of {', '.join(FORMATS)}")
    sendable = tuple(dict.fromkeys(one for one in value if one in ("png", "jpeg")))
    if not sendable:
        raise ValueError("a list with png or jpeg in it: others cannot be sent")
    return sendable
