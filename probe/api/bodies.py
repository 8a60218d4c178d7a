"""The bodies of requests: pictures in, bytes and their headers out. One function a kind of body.

multipart: RFC 7578, one part a picture, all with the same name, its number as file name. json,
form, base64: base64 of RFC 4648. oip_binary: the binary tensor extension of the Open Inference
Protocol: JSON, then each picture with its length before it (u32, little endian).
"""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

from probe.api.profile import templates
from probe.api.profile.records import Body, RequestForm
from probe.api.profile.settings import More, Settings
from probe.errors import MissingExtra, ProfileError

LARGEST = 64 * 2**20
"""Bytes of a body that a template makes."""

EXTENSIONS = {"image/jpeg": "jpg"}

Made = tuple[bytes, Mapping[str, str]]


def body(form: RequestForm, settings: Settings, images: Sequence[bytes], mime: str) -> Made:
    """The body for these pictures, and the headers that go with it.

    Raises ProfileError for more pictures than the body holds, MissingExtra for msgpack.
    """
    if len(images) != 1 and (form.body in ("raw", "base64", "form") or _is_single(form)):
        raise ProfileError(f"a body {form.body!r} without items holds 1 picture, not {len(images)}")
    made = _MAKERS[form.body](form, settings, images, mime)
    if form.body in ("json", "form"):
        _check_size(len(made[0]))
    return made


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise ProfileError(
            f"the body of a request is larger than {LARGEST >> 20} MiB: use request.template and "
            "request.item (or request.fields) that hold the picture once, fewer pictures a "
            "request (limits.max_batch), or a smaller --side"
        )


def filename(index: int, mime: str) -> str:
    """What a file is called in a multipart body: services that echo it can be matched."""
    return f"{index}.{EXTENSIONS.get(mime, mime.rpartition('/')[2])}"


def names(mime: str, count: int) -> More:
    """The values of `{mime}` and `{n}`."""
    return {"mime": mime, "n": str(count)}.get


def _is_single(form: RequestForm) -> bool:
    return form.body == "json" and form.item is None


def _picture(data: bytes, index: int, mime: str, count: int, used: list[int]) -> More:
    """used: how many bytes of pictures the request holds so far; it grows."""

    def value(name: str) -> str | None:
        if name in templates.PICTURE:
            used[0] += len(data) * 4 // 3
            _check_size(used[0])
            text = _base64(data)
            return text if name == "b64" else f"data:{mime};base64,{text}"
        return str(index) if name == "index" else names(mime, count)(name)

    return value


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _tree(
    text: str | None, settings: Settings, more: More, marks: Mapping[str, Callable[[], Any]]
) -> Any:
    def leaf(text: str) -> Any:
        return marks[text]() if text in marks else settings.fill(text, more)

    return templates.filled(templates.parse(text or "null"), leaf)


def _json(form: RequestForm, settings: Settings, images: Sequence[bytes], mime: str) -> Made:
    count = len(images)
    used = [0]

    def item(index: int, text: str | None, marks: Mapping[str, Callable[[], Any]]) -> Any:
        data = images[index]
        more = _picture(data, index, mime, count, used)
        return _tree(text, settings, more, {**marks, "$pixels": lambda: _pixels(data)})

    marks: dict[str, Callable[[], Any]] = {"$n": lambda: count}
    if _is_single(form):
        tree = item(0, form.template, marks)
    else:
        marks["$items"] = lambda: [item(i, form.item, {}) for i in range(count)]
        tree = _tree(form.template, settings, names(mime, count), marks)
    return json.dumps(tree).encode("ascii"), {"Content-Type": "application/json"}


def _pixels(data: bytes) -> Any:
    """Rows of pixels of R, G, B from 0 to 255."""
    import numpy as np

    from probe.image import open_image

    return np.asarray(open_image(BytesIO(data)).image).tolist()


def _multipart(form: RequestForm, settings: Settings, images: Sequence[bytes], mime: str) -> Made:
    more = names(mime, len(images))
    fields = {name: settings.fill(text, more) for name, text in (form.fields or {}).items()}
    parts: list[tuple[str, bytes]] = [
        (f'Content-Disposition: form-data; name="{_quoted(name)}"\r\n', text.encode())
        for name, text in fields.items()
    ]
    parts += [
        (
            f'Content-Disposition: form-data; name="{_quoted(form.file_field or "")}"; '
            f'filename="{filename(index, mime)}"\r\nContent-Type: {mime}\r\n',
            image,
        )
        for index, image in enumerate(images)
    ]
    digest = blake2b(digest_size=16)
    for head, content in parts:
        digest.update(head.encode() + content)
    boundary = digest.hexdigest()
    out = bytearray()
    for head, content in parts:
        out += f"--{boundary}\r\n{head}\r\n".encode() + content + b"\r\n"
    out += f"--{boundary}--\r\n".encode()
    return bytes(out), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _form(form: RequestForm, settings: Settings, images: Sequence[bytes], mime: str) -> Made:
    more = _picture(images[0], 0, mime, 1, [0])
    fields = {name: settings.fill(text, more) for name, text in (form.fields or {}).items()}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return urlencode(fields).encode("ascii"), headers


def _raw(form: RequestForm, settings: Settings, images: Sequence[bytes], mime: str) -> Made:
    return images[0], {"Content-Type": mime}


def _as_text(form: RequestForm, settings: Settings, images: Sequence[bytes], mime: str) -> Made:
    return b64encode(images[0]), {"Content-Type": "text/plain"}


def _msgpack(form: RequestForm, settings: Settings, images: Sequence[bytes], mime: str) -> Made:
    try:
        import msgpack
    except ImportError:
        raise MissingExtra("msgpack", "msgpack") from None
    return msgpack.packb(list(images)), {"Content-Type": "application/msgpack"}


def _oip_binary(form: RequestForm, settings: Settings, images: Sequence[bytes], mime: str) -> Made:
    blob = b"".join(struct.pack("<I", len(image)) + image for image in images)
    count = len(images)
    marks = {"$n": lambda: count, "$size": lambda: len(blob)}
    head = json.dumps(_tree(form.template, settings, names(mime, count), marks)).encode("ascii")
    return head + blob, {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }


_MAKERS: dict[Body, Callable[[RequestForm, Settings, Sequence[bytes], str], Made]] = {
    "json": _json,
    "multipart": _multipart,
    "form": _form,
    "raw": _raw,
    "base64": _as_text,
    "msgpack": _msgpack,
    "oip_binary": _oip_binary,
}
