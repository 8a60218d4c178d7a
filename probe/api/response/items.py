"""The elements of an answer: cut to one a picture, matched to the pictures, and taken apart."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from probe.api import bodies
from probe.api.expressions import search
from probe.api.json import load_json
from probe.api.profile import templates
from probe.api.profile.records import Profile, ResponseForm
from probe.api.response.numbers import BadItem, shown
from probe.errors import ContractError, MissingExtra
from probe.text import printable
from probe.types import Failure

log = logging.getLogger(__name__)

LONGEST_TEXT = 10_000
LONGEST_SEARCHED = 1000
"""Characters that a regular expression of a profile is tried on."""
MOST_SIDES = 8
LONGEST_SIDE = 10**9
MIMES = ("image/png", "image/jpeg")
ABSENT = Failure("invalid", "no result with the id of this picture in the answer", billed=True)
TWICE = Failure("invalid", "two different results with the id of this picture", billed=True)


class Matching:
    """Which picture each element is about: by the id that the service echoes, where it does, else
    by the order of the request."""

    def __init__(self, profile: Profile) -> None:
        self._expression = profile.response.id
        form = profile.request
        self._files = form.body == "multipart"
        item = templates.parse(form.item) if form.item is not None else None
        self._leaves = [leaf for leaf in templates.leaves(item) if "{index}" in leaf]

    def matched(self, items: Sequence[Any], count: int) -> list[Any]:
        """An element, or a Failure, for each picture; ContractError where they do not add up."""
        ids = [self._id(item) for item in items] if self._expression is not None else []
        known = self._names(count)
        if not any(one in known for one in ids):
            if len(items) != count:
                raise ContractError(f"{len(items)} results for {count} pictures")
            return list(items)
        slots: list[Any] = [ABSENT] * count
        strangers = [one for one in ids if one not in known]
        if strangers:
            log.warning(
                "results with unknown ids are ignored: %d, the first is %s",
                len(strangers),
                printable(str(strangers[0])[:100], 60),
            )
        for one, item in zip(ids, items, strict=True):
            if one not in known:
                continue
            if slots[known[one]] is ABSENT:
                slots[known[one]] = item
            elif slots[known[one]] != item:
                slots[known[one]] = TWICE
        return slots

    def _id(self, item: Any) -> str | None:
        try:
            found = search(self._expression or "", item)
        except ContractError:
            return None
        return str(found) if type(found) in (str, int) else None

    def _names(self, count: int) -> Mapping[str | None, int]:
        """The names that were sent with the pictures."""
        if self._files:
            return {bodies.filename(i, mime): i for i in range(count) for mime in MIMES}
        return {leaf.replace("{index}", str(i)): i for i in range(count) for leaf in self._leaves}


def rows_of(response: ResponseForm, item: Any) -> Iterator[tuple[Any, ...]]:
    """(label, score) or (label, confidence, flag), as the element says; BadItem, ContractError."""
    item = _decoded(response.decode, item)
    if response.pairs is not None:
        pairs = search(response.pairs, item)
        if not isinstance(pairs, list):
            raise BadItem(f"no pairs at {printable(response.pairs, 60)!r} (response.pairs)")
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) not in (2, 3):
                raise BadItem(f"{shown(pair)} is no pair of label and score (response.pairs)")
            yield tuple(pair)
        return
    static = isinstance(response.labels, tuple)
    labels = response.labels if static else search(str(response.labels), item)
    scores = search(response.scores or "", item)
    if not isinstance(labels, list | tuple) or not isinstance(scores, list):
        key = "scores" if isinstance(labels, list | tuple) else "labels"
        raise BadItem(f"no list at response.{key}")
    if len(labels) != len(scores):
        raise BadItem(f"{len(scores)} scores for {len(labels)} labels")
    yield from zip(labels, scores, strict=True)


def reshaped(found: list[Any], shape: Any) -> list[Any]:
    """The numbers of `found`, flat or nested, in rows as `shape` says: [n] or [n, ...]."""
    if (
        not isinstance(shape, list)
        or not 0 < len(shape) <= MOST_SIDES
        or not all(type(side) is int and 0 <= side <= LONGEST_SIDE for side in shape)
    ):
        raise ContractError(f"the shape is {shown(shape)} (response.shape)")
    flat = list(_flat(found))
    if prod(shape) != len(flat):
        said = f"{len(flat)} numbers do not fill the shape {shown(shape)}"
        raise ContractError(f"{said} (response.shape)")
    if len(shape) == 1 or not flat:
        return flat
    width = prod(shape[1:])
    return [flat[i * width : (i + 1) * width] for i in range(shape[0])]


def is_true(value: Any) -> bool:
    """JMESPath's truth: everything but null, false and what is empty; 0 is true."""
    return value is not None and value is not False and value not in ("", [], {})


def unpacked(raw: bytes) -> Any:
    """MessagePack from a server; ContractError for what is none."""
    try:
        import msgpack
    except ImportError:
        raise MissingExtra("msgpack", "msgpack") from None
    try:
        return msgpack.unpackb(raw)
    except Exception:
        raise ContractError(f"expected MessagePack, got {printable(repr(raw[:60]))}") from None


def _decoded(decode: str, item: Any) -> Any:
    if decode == "none":
        return item
    if not isinstance(item, str):
        raise BadItem(f"{shown(item)} is no text (response.decode)")
    if decode == "json":
        return load_json(item[:LONGEST_TEXT])
    match = re.search(decode.removeprefix("regex:"), item[:LONGEST_SEARCHED])
    if match is None:
        raise BadItem(f"nothing matches response.decode in {printable(item, 80)!r}")
    return match.groupdict() or match[0]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    else:
        yield value
