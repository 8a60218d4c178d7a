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

EXTENSIONS = {"image/jpeg": "jpg"}

Made = tuple[bytes, Mapping[str, str]]


def body(form: RequestForm, settings: Settings, images: Sequence[bytes], mime: str) -> Made:
    """The body for these pictures, and the headers that go with it.

    Raises ProfileError for more pictures than the body holds, MissingExtra for msgpack.
    """
    if len(images) != 1 and (form.body in ("raw", "base64", "form") or _is_single(form)):
        raise ProfileError(f"a body {form.body!r} without items holds 1 picture, not {len(images)}")
    return _MAKERS[form.body](form, settings, images, mime)


def filename(index: int, mime: str) -> str:
    """What a file is called in a multipart body: services that echo it can be matched."""
    return f"{index}.{EXTENSIONS.get(mime, mime.rpartition('/')[2])}"


def names(mime: str, count: int) -> More:
    """The values of `{mime}` and `{n}`."""
    return {"mime": mime, "n": str(count)}.get


def _is_single(form: RequestForm) -> bool:
    return form.body == "json" and form.item is None


def _picture(data: bytes, index: int, mime: str, count: int) -> More:
    def value(name: str) -> str | None:
        if name == "b64":
            return _base64(data)
        if name == "data_url":
            return f"data:{mime};base64,{_base64(data)}"
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

    def item(index: int, text: str | None, marks: Mapping[str, Callable[[], Any]]) -> Any:
        data = images[index]
        more = _picture(data, index, mime, count)
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
    more = _picture(images[0], 0, mime, 1)
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
