"""JSON from a server, read without trusting a word of it."""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeGuard

from probe.errors import ContractError
from probe.text import printable


class CutShort(ContractError):
    """It begins as JSON and is not finished."""


def load_json(text: str | bytes) -> Any:
    """JSON, with or without a byte order mark. An object with a key twice is read as null.

    Raises ContractError for what is no JSON, or is nested too deep; CutShort where the end is
    missing.
    """
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.lstrip("\ufeff")
        return json.loads(decoded, object_pairs_hook=_unambiguous)
    except RecursionError:
        raise ContractError("JSON nested too deep") from None
    except ValueError as error:
        kind = CutShort if _ends_early(error) else ContractError
        raise kind(f"expected JSON, got {excerpt(text)}") from None


def excerpt(text: str | bytes) -> str:
    """The start of an answer, safe to print."""
    shown = text[:800].decode("utf-8", "replace") if isinstance(text, bytes) else text[:800]
    return printable(" ".join(shown.split()), 200) or "an empty answer"


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether `value`, out of JSON, is a finite number; true and false are none."""
    if type(value) not in (int, float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _ends_early(error: ValueError) -> bool:
    if not isinstance(error, json.JSONDecodeError) or error.pos == 0:
        return False
    unfinished = re.fullmatch(r"[\w.+\\-]*\s*", error.doc[error.pos :])
    return bool(unfinished) or error.msg.startswith("Unterminated string")


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else None
