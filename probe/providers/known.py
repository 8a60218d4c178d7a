"""The services that are known by name, and what is known of each without asking it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from probe.api.addresses import checked_url
from probe.api.http import proxies
from probe.api.profile import catalogue
from probe.api.profile.records import Profile
from probe.api.profile.settings import Settings, Variable, known_names
from probe.backends import rekognition
from probe.errors import ProfileError, nearest
from probe.limits import Limits
from probe.text import printable


@dataclass(frozen=True, slots=True)
class Provider:
    """A service by its name. where: its profile's file. wrong: why that cannot be used."""

    name: str
    what: str = ""
    limits: Limits | None = None
    variables: tuple[Variable, ...] = ()
    where: Path | None = None
    profile: Profile | None = None
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """What a service needs and what goes where, known without asking it.

    url: where pictures go, with what of it is not set left as `${NAME}`. places: for each secret
    variable where in a request it stands. proxies: those that requests go through, by scheme.
    settings: what `--set` replaces, with its value. text: the profile as it is written, empty for
    a service without one.
    """

    provider: Provider
    url: str
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


def providers(environ: Mapping[str, str] = os.environ) -> list[Provider]:
    """All of them by name: the profiles shipped, those in the config folder, and Rekognition."""
    found = [_named(name, {}, environ) for name in (*catalogue.names(), rekognition.NAME)]
    return sorted(found, key=lambda one: one.name)


def details(
    spec: str, vars: Mapping[str, str] | None = None, environ: Mapping[str, str] = os.environ
) -> Details:
    """One of them, or a profile's file. Raises ProfileError where that cannot be used."""
    if spec == rekognition.NAME:
        return _rekognition(vars or {}, environ)
    known = (*catalogue.names(), rekognition.NAME)
    if spec not in known and not spec.endswith(".toml"):
        raise ProfileError(
            f"no service is called {printable(spec, 60)!r}.{nearest(spec, known)} "
            "`probe providers` lists them; or give the path of a .toml file"
        )
    profile = catalogue.load(spec, vars or {})
    where = Path(spec) if spec.endswith(".toml") else catalogue.source_of(spec)
    settings = Settings(profile, environ)
    provider = Provider(spec, profile.doc, profile.limits, settings.variables, where, profile)
    try:
        url = settings.address(profile.request.url)
    except ProfileError:
        url = profile.request.url
    return Details(
        provider,
        url,
        {one.name: tuple(_places(profile, one.name)) for one in settings.variables if one.secret},
        proxies(url) if "${" not in url else {},
        profile.vars or {},
        where.read_text("utf-8"),
    )


def _rekognition(vars: Mapping[str, str], environ: Mapping[str, str]) -> Details:
    """An endpoint that only a file in ~/.aws names is not looked for."""
    ignored = environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").strip().lower() == "true"
    names = () if ignored else rekognition.ENDPOINTS
    url = next(filter(None, (environ.get(name, "").strip() for name in names)), "")
    return Details(
        _named(rekognition.NAME, {}, environ),
        checked_url(url) if url else "the region's endpoint of AWS, over https",
        proxies=proxies(url) if url else {},
        settings=rekognition.Rekognition(vars).vars,
    )


def _named(name: str, vars: Mapping[str, str], environ: Mapping[str, str]) -> Provider:
    if name == rekognition.NAME:
        what = "AWS Rekognition: moderation labels, or labels (extra aws)"
        return Provider(name, what, rekognition.LIMITS, rekognition.variables(environ))
    where = catalogue.source_of(name)
    try:
        profile = catalogue.load(name, vars)
    except ProfileError as error:
        return Provider(name, where=where, wrong=str(error))
    variables = Settings(profile, environ).variables
    return Provider(name, profile.doc, profile.limits, variables, where, profile)


def _places(profile: Profile, variable: str) -> Iterator[str]:
    """Where in a request a variable stands."""
    request = profile.request
    token = request.token.form if request.token else {}
    spots = [
        *((f"header {name}", text) for name, text in request.headers.items()),
        *((f"query {name}", text) for name, text in request.query.items()),
        *(("header Authorization (basic)", text) for text in request.basic or ()),
        *((f"field {name}", text) for name, text in (request.fields or {}).items()),
        *((f"field {name} of the token's form", text) for name, text in token.items()),
        ("body", request.template or ""),
        ("body", request.item or ""),
    ]
    for place, text in spots:
        if variable in known_names(text)[0]:
            yield place
