"""The JSON of the contract `probe/1`, read without trusting a word of it.

Every size, count and length is bounded, every type is checked, and an error names the place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from probe.api.json import load_json
from probe.backends.function import is_score
from probe.errors import ContractError
from probe.limits import Limits, Price, Rate
from probe.text import printable
from probe.types import WHOLE, Failure, Region, Scores

CONTRACT = "probe/1"
MAX_LABELS = 10_000
MAX_NAME = 200
DEAREST = 1e6
KINDS = ("refused", "invalid", "throttled", "unavailable")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Description:
    identity: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Answer:
    identity: str
    outcomes: Sequence[Scores | Failure]


def read_description(text: str, host: str) -> Description:
    """What a server says of itself, by the names of `Limits`.

    `identity` and `labels` must be there, the rest may be left out: one picture a request, one
    request at a time, the whole picture seen, no bounds, not repeatable. `max_bytes` is of one
    encoded picture, `max_request_bytes` of a request with its base64; `rate` is a list of
    `{"requests": n, "seconds": s}`.
    """
    fields = _contract(text)
    formats = _field(fields, "formats", _formats, ("jpeg", "png"))
    labels = _field(fields, "labels", _labels)
    question = _field(fields, "question", _optional(_name), None)
    if question is not None and question not in labels:
        raise ContractError(f"question {question!r} is not among its labels")
    min_side = _field(fields, "min_side", _whole(1, 10_000), 1)
    return Description(
        _field(fields, "identity", _identity),
        Limits(
            batch=_field(fields, "batch", _whole(1, 1024), 1),
            concurrency=_field(fields, "concurrency", _whole(1, 64), 1),
            formats=formats,
            min_side=min_side,
            max_side=_field(fields, "max_side", _optional(_whole(min_side, 1_000_000)), None),
            max_pixels=_field(fields, "max_pixels", _optional(_whole(1, 10**9)), None),
            max_bytes=_field(fields, "max_bytes", _optional(_whole(1000, 10**9)), None),
            max_request_bytes=_field(
                fields, "max_request_bytes", _optional(_whole(1000, 10**9)), None
            ),
            inflation=4 / 3,
            rate=_field(fields, "rate", _rates, ()),
            threshold=_field(fields, "threshold", _optional(_score), None),
            host=host,
            price=_field(fields, "price", _optional(_price), None),
            labels=labels,
            question=question,
            seen=_field(fields, "seen", _region, WHOLE),
            deterministic=_field(fields, "deterministic", _bool, False),
        ),
    )


def read_answer(body: bytes, described: Description, parts: int) -> Answer:
    """The outcomes of the `parts` pictures of a request, whose ids are "0", "1" and so on.

    What is wrong with one of them is a failure of that one alone, and keeps the body.
    """
    fields = _contract(body)
    items = fields.get("results")
    if not isinstance(items, list):
        raise ContractError("$.results: expected a list")
    numbers = {str(number): number for number in range(parts)}
    found: dict[int, Scores | Failure] = {}
    for item in items:
        name = item.get("id") if isinstance(item, dict) else None
        number = numbers.get(name) if isinstance(name, str) else None
        if number is not None:
            outcome = _outcome(item, described.limits.labels, body, (number, parts))
            if number in found and not _same(found[number], outcome):
                outcome = _unread(
                    "two different results with the id of this picture", body, (number, parts)
                )
            found[number] = outcome
    missing = "no result with the id of this picture in the answer"
    outcomes = [
        found.get(number, _unread(missing, body, (number, parts))) for number in range(parts)
    ]
    return Answer(_field(fields, "identity", _identity), outcomes)


def _contract(text: str | bytes) -> dict[str, Any]:
    fields = load_json(text)
    if not isinstance(fields, dict) or fields.get("contract") != CONTRACT:
        raise ContractError(f'expected an object with "contract": "{CONTRACT}"')
    return fields


def _outcome(
    item: dict[str, Any], labels: tuple[str, ...], body: bytes, part: tuple[int, int]
) -> Scores | Failure:
    error = item.get("error")
    if isinstance(error, dict):
        kind = error.get("kind")
        said = printable(str(error.get("message", "")), 200)
        return Failure(kind if kind in KINDS else "invalid", said or "the server gave no reason")
    scores = item.get("scores")
    if not isinstance(scores, dict) or len(scores) > MAX_LABELS:
        return _unread("a result without usable scores", body, part)
    for label in labels:
        if label not in scores:
            return _unread(f"no score for {label!r} in the answer", body, part)
    for label, value in scores.items():
        if len(label) > MAX_NAME or not is_score(value):
            shown = printable(repr(value), 40)
            return _unread(f"the score of {printable(label, 40)!r} is {shown}", body, part)
    return Scores(scores, body, part)


def _unread(message: str, body: bytes, part: tuple[int, int]) -> Failure:
    return Failure("invalid", message, raw=body, part=part)


def _same(one: Scores | Failure, other: Scores | Failure) -> bool:
    if isinstance(one, Scores) and isinstance(other, Scores):
        return dict(one) == dict(other)
    return one == other


_NEEDED: Any = object()


def _field(fields: dict[str, Any], key: str, read: Callable[[Any], T], default: Any = _NEEDED) -> T:
    if key not in fields and default is not _NEEDED:
        kept: T = default
        return kept
    try:
        return read(fields.get(key))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        expected = error.args[0] if type(error) is ValueError else "something else"
        raise ContractError(f"$.{key}: expected {expected}") from None


def _optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else read(value)


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return read


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise ValueError(f"a name of at most {MAX_NAME} characters")
    return value


def _identity(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 1000 or not value.isprintable():
        raise ValueError("a printable text of at most 1000 characters")
    return value


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_LABELS:
        raise ValueError(f"a list of 1 to {MAX_LABELS} names")
    labels = tuple(_name(label) for label in value)
    if len(set(labels)) != len(labels):
        raise ValueError("each name once")
    return labels


def _formats(value: Any) -> Any:
    known = tuple(f for f in value if f in ("jpeg", "png")) if isinstance(value, list) else ()
    if not known:
        raise ValueError("a list with jpeg or png")
    return known


def _region(value: Any) -> Region:
    if isinstance(value, list) and len(value) == 4 and all(is_score(v) for v in value):
        x0, y0, x1, y1 = value
        if 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1:
            return (float(x0), float(y0), float(x1), float(y1))
    raise ValueError("four fractions x0, y0, x1, y1")


def _score(value: Any) -> float:
    if not is_score(value):
        raise ValueError("a finite number")
    return float(value)


def _rates(value: Any) -> tuple[Rate, ...]:
    if not isinstance(value, list) or len(value) > 8 or not all(map(_is_rate, value)):
        raise ValueError("a list of objects with requests, and seconds up to a day")
    return tuple(Rate(window["requests"], float(window["seconds"])) for window in value)


def _is_rate(window: Any) -> bool:
    if not isinstance(window, dict) or not is_score(window.get("seconds")):
        return False
    requests, seconds = window.get("requests"), window["seconds"]
    return type(requests) is int and requests > 0 and 0 < seconds <= 86_400


def _price(value: Any) -> Price:
    expected = ValueError("an object with per_call, currency and as_of")
    if not isinstance(value, dict) or not is_score(value.get("per_call")):
        raise expected
    if not 0 <= value["per_call"] <= DEAREST:
        raise expected
    words = (value.get("currency"), value.get("as_of", ""))
    if not all(isinstance(word, str) and len(word) <= 40 and word.isprintable() for word in words):
        raise expected
    return Price(float(value["per_call"]), *map(str, words))
