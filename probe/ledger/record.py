"""One row of the ledger: a question, its answer, and how they are packed and checked."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b, sha256
from typing import Any

from probe.types import Failure, Scores


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked of whom: the key of an answer. Its fields are text and numbers, no pixels.

    image: hex digest of the upright picture's pixels. change: the perturbation in canonical form,
    "box 16 24 48 64". fill, codec: in canonical form. send: width, height in pixels of what was
    sent. render: version of the renderer. backend: identity of who was asked, never a key.
    """

    image: str
    change: str
    fill: str
    send: tuple[int, int]
    codec: str
    render: int
    backend: str


Subject = tuple[str, str, str, int, int, str, int]
"""image, backend, fill, width, height, codec, render: all of a question but its change."""


@dataclass(frozen=True, slots=True)
class Record:
    """One answer, or a Failure whose body is kept; where it came from (None: this process) and
    when, in ms since 1970 (UTC). reading: digest of what its body was read by."""

    question: Question
    outcome: Scores | Failure
    host: str | None
    at: int
    reading: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What an answer, or a body that is none yet, came from; `body` is a digest."""

    body: bytes | None
    host: str | None
    at: int
    reading: str | None
    part: int
    parts: int


FIELDS = ("image", "backend", "fill", "width", "height", "codec", "render")
"""The names of what a subject holds."""


def subject(question: Question) -> Subject:
    q = question
    return (q.image, q.backend, q.fill, *q.send, q.codec, q.render)


def pack_labels(labels: Iterable[str]) -> bytes:
    return json.dumps(list(labels)).encode()


def unpack_labels(data: bytes) -> tuple[str, ...]:
    return tuple(json.loads(data))


def pack_values(scores: Scores) -> bytes:
    """Little-endian doubles, so that every bit of a score survives."""
    return struct.pack(f"<{len(scores)}d", *scores.values())


def unpack_values(data: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(data) // 8}d", data)


def digest(data: bytes) -> bytes:
    return sha256(data).digest()


def checksum(
    asked: Subject, change: str, origin: Origin, labels: bytes = b"", scores: bytes = b""
) -> bytes:
    """Eight bytes over all that a row says; `labels` is a digest.

    What has no reading of its own is summed as it was before there were readings.
    """
    o = origin
    later = (o.reading, o.part, o.parts)
    told = (*asked, change, o.host, o.at, *(() if later == (None, 0, 1) else later))
    text = "\x1f".join(map(str, told))
    content = b"\x1f".join((text.encode(), labels, o.body or b"", scores))
    return blake2b(content, digest_size=8).digest()


def pack_blob(data: bytes) -> bytes:
    return zlib.compress(data)


def unpack_blob(name: bytes, data: bytes) -> bytes | None:
    """The content of a blob, None when it is not what its digest says."""
    try:
        content = zlib.decompress(data)
    except (zlib.error, TypeError):
        return None
    return content if digest(content) == name else None


def origin_of(record: Record) -> Origin:
    raw, (part, parts) = record.outcome.raw, record.outcome.part
    body = None if raw is None else digest(raw)
    return Origin(body, record.host, record.at, record.reading, part, parts)


def columns(question: Question, origin: Origin, scores: Scores | None) -> dict[str, Any]:
    """A row's columns but its subject and its number; without scores, of a body kept unread."""
    asked, change = subject(question), question.change
    row = {"change": change, **asdict(origin)}
    if scores is None:
        return {**row, "checksum": checksum(asked, change, origin)}
    labels, values = digest(pack_labels(scores)), pack_values(scores)
    check = checksum(asked, change, origin, labels, values)
    return {**row, "labels": labels, "scores": values, "checksum": check}


def contents(record: Record) -> Iterator[tuple[bytes, bytes]]:
    """The contents that the row of a record refers to, by digest."""
    if isinstance(record.outcome, Scores):
        labels = pack_labels(record.outcome)
        yield digest(labels), labels
    if record.outcome.raw is not None:
        yield digest(record.outcome.raw), record.outcome.raw


def is_worth_keeping(record: Record) -> bool:
    """An answer, or a body that may become one."""
    return isinstance(record.outcome, Scores) or record.outcome.raw is not None


def to_line(record: Record) -> str:
    """The record as one line of JSON, from which `from_line` makes it again bit for bit.

    The scores of a body that is kept unread are null.
    """
    q, outcome = record.question, record.outcome
    return json.dumps(
        {
            **dict(zip(FIELDS, subject(q), strict=True)),
            "change": q.change,
            "host": record.host,
            "at": record.at,
            "reading": record.reading,
            "part": outcome.part[0],
            "parts": outcome.part[1],
            "scores": dict(outcome) if isinstance(outcome, Scores) else None,
            "raw": None if outcome.raw is None else base64.b64encode(outcome.raw).decode(),
        }
    )


_EARLIER = {"reading": None, "part": 0, "parts": 1}
"""What lines did not say before there were readings."""

_TYPES: dict[str, tuple[type, ...]] = {
    "host": (str, type(None)),
    "reading": (str, type(None)),
    "at": (int,),
    "part": (int,),
    "parts": (int,),
}


def from_line(line: str) -> Record:
    """Raises ValueError, KeyError or TypeError for a line that `to_line` did not write."""
    told = _EARLIER | json.loads(line)
    raw = None if told["raw"] is None else base64.b64decode(told["raw"])
    part = told["part"], told["parts"]
    scores = told["scores"]
    outcome = unreadable(raw, part) if scores is None else Scores(scores, raw, part)
    question = question_of([told[name] for name in FIELDS], told["change"])
    record = Record(question, outcome, told["host"], told["at"], told["reading"])
    again = json.dumps(json.loads(to_line(record)), sort_keys=True)
    if again != json.dumps(told, sort_keys=True) or raw is scores is None:
        raise ValueError("not a line of to_line")
    for name, types in _TYPES.items():
        if type(told[name]) not in types:
            raise TypeError(f"not a line of to_line: {name}")
    hash(record.question)
    return record


def unreadable(raw: bytes | None, part: tuple[int, int]) -> Failure:
    """What a body that is kept unread was received as."""
    return Failure("invalid", "could not be read", billed=True, raw=raw, part=part)


def question_of(asked: Sequence[Any], change: str) -> Question:
    image, backend, fill, width, height, codec, render = asked
    return Question(image, change, fill, (width, height), codec, render, backend)
