"""Requests of a service read back into pictures, by its profile turned around.

A JSON template says where the pictures are: at the leaves with `{b64}` or `{data_url}`, in the
list that stands for `"$items"`. What else the request holds is left alone, lists may be longer
than the template's, and a lone item may stand for a list of one: vendors' clients differ there.
"""

from __future__ import annotations

import binascii
import json
import re
import struct
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl

from probe.api.profile.records import RequestForm
from probe.mock.message import Asked, Refusal, Sent
from probe.mock.multipart import parts

Reader = Callable[[Asked], list[Sent] | None]
"""The pictures of a request, None where it is not of this form at all."""
Path = tuple[str | None, ...]
"""Keys from the top; None stands for every element of a list."""

BY_URL = "pictures are not fetched by their URL here: send the bytes"

_PICTURE = re.compile(r"\{(b64|data_url)\}")
_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


def reader(form: RequestForm) -> Reader:
    """How requests of this form are read; the pictures come in the order of the request."""
    if form.body == "json":
        return _json(form.template or "", form.item)
    if form.body == "multipart":
        return _multipart(form.file_field or "")
    if form.body == "form":
        return _form(form.fields or {})
    return {"raw": _raw, "base64": _base64, "msgpack": _msgpack, "oip_binary": _oip_binary}[
        form.body
    ]


def template_reader(template: str, item: str | None = None) -> Reader:
    """How JSON of another form than the profile's is read."""
    return _json(template, item)


def leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All leaves of a JSON value, each with the way to it."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from leaves(child, (*path, key))
    elif isinstance(node, list):
        for child in node:
            yield from leaves(child, (*path, None))
    else:
        yield path, node


def _json(template: str, item: str | None) -> Reader:
    where = [(path, leaf) for path, leaf in leaves(json.loads(template)) if isinstance(leaf, str)]
    lists = [path for path, leaf in where if leaf == "$items"]
    if lists and item is not None:
        inner = _picture_path(json.loads(item))
        return lambda asked: _items(asked.document, lists[0], inner)
    whole = _picture_path(json.loads(template))
    return lambda asked: _single(asked.document, whole)


def _picture_path(template: Any) -> Path:
    for path, leaf in leaves(template):
        if isinstance(leaf, str) and _PICTURE.search(leaf):
            return path
    raise ValueError("a template without a picture")


def _items(document: Any, outer: Path, inner: Path) -> list[Sent] | None:
    found = list(_walk(document, outer))
    if not found:
        return None
    elements = found[0] if isinstance(found[0], list) else [found[0]]
    sent = [_element(element, inner) for element in elements]
    return sent if not sent or any(one.data is not None or one.why for one in sent) else None


def _element(element: Any, inner: Path) -> Sent:
    name = element.get("id") if isinstance(element, dict) else None
    texts = list(_walk(element, inner))
    if not texts:
        return Sent(None, BY_URL if _has_url(element) else "", name, element)
    data = _decoded(texts[0])
    return Sent(data, "" if data is not None else "not base64", _text(name), element)


def _single(document: Any, path: Path) -> list[Sent] | None:
    texts = [text for text in _walk(document, path) if text is not None]
    if not texts:
        return [Sent(None, BY_URL, item=document)] if _has_url(document) else None
    found = []
    for text in texts:
        data = _decoded(text)
        why = "" if data is not None else BY_URL if _is_url(text) else "not base64"
        found.append(Sent(data, why, item=document))
    return found


def _walk(node: Any, path: Path) -> Iterator[Any]:
    if not path:
        yield node
    elif path[0] is None:
        for child in node if isinstance(node, list) else [node]:
            yield from _walk(child, path[1:])
    elif isinstance(node, dict) and path[0] in node:
        yield from _walk(node[path[0]], path[1:])


def _decoded(text: Any) -> bytes | None:
    if not isinstance(text, str):
        return None
    head = _DATA_URL.match(text)
    plain = text[head.end() :] if head else text
    if "-" in plain or "_" in plain:
        plain = plain.translate({45: "+", 95: "/"})
    try:
        return b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_url(text: Any) -> bool:
    return isinstance(text, str) and text.startswith(("http://", "https://", "gs://"))


def _has_url(node: Any) -> bool:
    return any(_is_url(leaf) for _, leaf in leaves(node))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _multipart(field: str) -> Reader:
    def read(asked: Asked) -> list[Sent] | None:
        found = parts(asked.body, asked.headers.get("content-type", ""))
        files = [part for part in found or () if part.name == field]
        return [Sent(part.data, id=part.filename) for part in files] or None

    return read


def _form(fields: Any) -> Reader:
    named = [name for name, text in fields.items() if _PICTURE.search(text)]

    def read(asked: Asked) -> list[Sent] | None:
        pairs = parse_qsl(asked.body.decode("latin-1"), keep_blank_values=True)
        texts = [text for name, text in pairs if name in named]
        return [Sent(_decoded(text), "not base64") for text in texts] or None

    return read


def _raw(asked: Asked) -> list[Sent] | None:
    kind = asked.headers.get("content-type", "")
    if kind.startswith(("application/json", "multipart/")) or not asked.body:
        return None
    return [Sent(asked.body)]


def _base64(asked: Asked) -> list[Sent] | None:
    data = _decoded(asked.body.decode("latin-1").strip())
    return [Sent(data, "not base64")] if asked.body else None


def _msgpack(asked: Asked) -> list[Sent] | None:
    import msgpack

    try:
        document = msgpack.unpackb(asked.body)
    except Exception:  # a parser fed with anything may raise anything
        return None
    if not isinstance(document, list):
        return None
    return [
        Sent(element) if isinstance(element, bytes) else Sent(None, "not bytes")
        for element in document
    ]


def _oip_binary(asked: Asked) -> list[Sent] | None:
    """The binary tensor extension: JSON, then for each element its length (u32) and bytes."""
    stated = asked.headers.get("inference-header-content-length", "")
    if not stated.isascii() or not stated.isdigit() or int(stated) > len(asked.body):
        return None
    head, rest = asked.body[: int(stated)], asked.body[int(stated) :]
    try:
        inputs = json.loads(head)["inputs"]
        datatype, size = inputs[0]["datatype"], inputs[0]["parameters"]["binary_data_size"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    if datatype != "BYTES" or size != len(rest):
        raise Refusal("request", "expected one input of BYTES, as long as it says")
    return [Sent(element) for element in _elements(rest)]


def _elements(blob: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(blob):
        if at + 4 > len(blob):
            raise Refusal("request", "the binary tensor is cut short")
        (length,) = struct.unpack_from("<I", blob, at)
        at += 4 + length
        if at > len(blob):
            raise Refusal("request", "the binary tensor is cut short")
        yield blob[at - length : at]


def first_read(readers: Sequence[Reader], asked: Asked) -> list[Sent] | None:
    """The pictures by the first form that the request has; Refusal only where none has it."""
    refusal: Refusal | None = None
    for read in readers:
        try:
            found = read(asked)
        except Refusal as error:
            refusal = refusal or error
        else:
            if found is not None:
                return found
    if refusal is not None:
        raise refusal
    return None
