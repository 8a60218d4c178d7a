"""One row of the ledger: a question, its answer, and how they are packed and checked."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any

from probe.types import Scores


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
    """One answer with where it came from (None: this process) and when, in ms since 1970 (UTC)."""

    question: Question
    scores: Scores
    host: str | None
    at: int


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
    asked: Subject,
    change: str,
    labels: bytes,
    scores: bytes,
    body: bytes | None,
    host: str | None,
    at: int,
) -> bytes:
    """Eight bytes over all that a row says; `labels` and `body` are digests."""
    text = "\x1f".join(map(str, (*asked, change, host, at)))
    content = b"\x1f".join((text.encode(), labels, body or b"", scores))
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


def pack(record: Record) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    """The columns of an answer (all but its subject's number) and the contents it refers to."""
    asked, change = subject(record.question), record.question.change
    labels, body = pack_labels(record.scores), record.scores.raw
    contents = {digest(content): content for content in (labels, body) if content is not None}
    names = digest(labels), None if body is None else digest(body)
    scores, host, at = pack_values(record.scores), record.host, record.at
    return {
        "change": change,
        "labels": names[0],
        "scores": scores,
        "body": names[1],
        "host": host,
        "at": at,
        "checksum": checksum(asked, change, names[0], scores, names[1], host, at),
    }, contents


def to_line(record: Record) -> str:
    """The record as one line of JSON, from which `from_line` makes it again bit for bit."""
    q, scores = record.question, record.scores
    return json.dumps(
        {
            **dict(zip(FIELDS, subject(q), strict=True)),
            "change": q.change,
            "host": record.host,
            "at": record.at,
            "scores": dict(scores),
            "raw": None if scores.raw is None else base64.b64encode(scores.raw).decode(),
        }
    )


def from_line(line: str) -> Record:
    """Raises ValueError, KeyError or TypeError for a line that `to_line` did not write."""
    told = json.loads(line)
    raw = None if told["raw"] is None else base64.b64decode(told["raw"])
    question = question_of([told[name] for name in FIELDS], told["change"])
    record = Record(question, Scores(told["scores"], raw), told["host"], told["at"])
    if to_line(record) != json.dumps(told):
        raise ValueError("not a line of to_line")
    hash(record.question)
    return record


def question_of(asked: Sequence[Any], change: str) -> Question:
    image, backend, fill, width, height, codec, render = asked
    return Question(image, change, fill, (width, height), codec, render, backend)
