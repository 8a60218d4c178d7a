"""multipart/form-data, read as liberally as servers do (RFC 7578)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message

MAX_PARTS = 2000

_NAMED = re.compile(r';\s*(name|filename)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    data: bytes
    filename: str | None = None


def parts(body: bytes, content_type: str) -> list[Part] | None:
    """The parts of a body, None where the header or the body is no multipart."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if not content_type.lower().startswith("multipart/form-data") or not boundary:
        return None
    mark = b"--" + boundary.encode("latin-1", "replace")
    if not body.startswith(mark):
        return None
    pieces = (b"\r\n" + body).split(b"\r\n" + mark, MAX_PARTS + 1)[1:]
    found: list[Part] = []
    for piece in pieces:
        if piece.startswith(b"--"):
            return found
        head, _, data = piece.partition(b"\r\n\r\n")
        part = _part(head.decode("utf-8", "replace"), data)
        if part is not None:
            found.append(part)
    return None


def _part(head: str, data: bytes) -> Part | None:
    for line in head.split("\r\n"):
        title, _, value = line.partition(":")
        if title.strip().lower() == "content-disposition":
            named = {key.lower(): _unquoted(text) for key, text in _NAMED.findall(value)}
            return Part(named.get("name", ""), data, named.get("filename"))
    return None


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
