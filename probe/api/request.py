"""A profile and pictures in, one HTTP request out. Nothing is sent here."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlencode

from probe.api import bodies
from probe.api.profile import templates
from probe.api.profile.records import Profile
from probe.api.profile.settings import Settings


@dataclass(frozen=True, slots=True)
class Request:
    """url: with its query. Query, headers and body may hold keys, and are not shown."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def render(profile: Profile, settings: Settings, images: Sequence[bytes], mime: str) -> Request:
    """The request about these encoded pictures of one media type (`image/png`).

    The same pictures give the same bytes. A header that comes out empty is left out. A token
    (`request.token`) is not in it. Raises ProfileError for a variable that is not set, an address
    that is no URL, or more pictures than the body holds; MissingExtra for msgpack.
    """
    form = profile.request
    body, headers = bodies.body(form, settings, images, mime)
    more = bodies.names(mime, len(images))
    stated = {name: settings.fill(text, more).strip() for name, text in form.headers.items()}
    if form.basic:
        user, password = map(settings.fill, form.basic)
        credentials = b64encode(f"{user}:{password}".encode()).decode("ascii")
        stated["Authorization"] = f"Basic {credentials}"
    names = {name.lower() for name, text in stated.items() if text}
    kept = {name: text for name, text in headers.items() if name.lower() not in names}
    kept |= {name: text for name, text in stated.items() if text}
    query = urlencode({name: settings.fill(text, more) for name, text in form.query.items()})
    url = settings.address(form.url)
    return Request(form.method, f"{url}?{query}" if query else url, kept, body)


def identity(profile: Profile, settings: Settings) -> str:
    """What is asked, and whom: the service's name, its address with the variables filled in, and
    a digest of the rest of the request side. No key is in it, nor how answers are read."""
    form = profile.request
    asked = {
        "method": form.method,
        "headers": form.headers,
        "query": form.query,
        "basic": form.basic,
        "body": form.body,
        "template": form.template and templates.parse(form.template),
        "item": form.item and templates.parse(form.item),
        "file_field": form.file_field,
        "fields": form.fields,
        "vars": profile.vars,
    }
    said = json.dumps({key: value for key, value in asked.items() if value}, sort_keys=True)
    digest = sha256(said.encode()).hexdigest()[:12]
    return f"{profile.name} {settings.address(form.url)} {digest}"
