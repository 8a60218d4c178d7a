"""Contracts that an unknown server may speak, the likeliest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from probe.api.profile import catalogue
from probe.api.profile.records import Profile
from probe.api.profile.settings import Settings
from probe.errors import ProfileError
from probe.providers import drafts
from probe.providers.facts import Facts

FORMS: tuple[Mapping[str, str], ...] = (
    {"body": "json", "template": '{"image": "{b64}"}'},
    {"body": "multipart", "file_field": "image"},
    {"body": "multipart", "file_field": "file"},
    {"body": "raw"},
)
USUAL_PATH = "/predict"


@dataclass(frozen=True, slots=True)
class Try:
    """One contract, led to the server: its profile as TOML and what was changed in it.

    keys: variables that hold its keys. guessed: the request of a contract that is none of the
    known, at `base` + `path`; how its answer is read must be guessed as well.
    """

    name: str
    text: str
    said: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    base: str = ""
    path: str = ""
    guessed: Mapping[str, str] | None = None


def candidates(
    url: str, origin: str, facts: Facts, is_there: Callable[[str], bool]
) -> Iterator[Try]:
    """What to try at `url`. is_there: whether a path exists, without sending a picture.

    By path first, then by what the server says of itself; a URL without a path is tried by every
    contract whose server can be anybody's, then by guessing.
    """
    seen: set[tuple[str, str]] = set()
    path, absent = urlsplit(url).path, list[Try]()
    for place in _places(url, origin, facts):
        for profile in _speaking(place):
            if (profile.name, place) not in seen:
                seen.add((profile.name, place))
                yield _led_here(profile, origin, facts)
    for profile in [] if path else _profiles():
        place = url + Settings(profile, {}).fill(drafts.path_of(profile.request.url))
        if (profile.name, place) not in seen:
            one = _led_here(profile, origin, facts)
            if is_there(place):
                yield one
            elif not one.keys:
                absent.append(one)
    for place in (path,) if path else (*facts.paths, USUAL_PATH):
        yield from _made_up(origin, place, facts.paths.get(place, {}))
    yield from absent


def _profiles() -> Iterator[Profile]:
    for name in catalogue.names():
        with suppress(ProfileError):  # a broken one of the user's says nothing here
            yield catalogue.load(name)


def _speaking(place: str) -> list[Profile]:
    """The profiles that know the path, whoever's server it is: no key is sent to find out. Those
    that answer the question of the project first, then those of plain JSON."""
    known = catalogue.at("http://127.0.0.1" + urlsplit(place).path)
    return sorted(known, key=lambda one: (one.nsfw is None, one.request.body != "json"))


def _places(url: str, origin: str, facts: Facts) -> Iterator[str]:
    yield url
    for model in facts.models:
        yield f"{url}/v2/models/{model}/infer"
        yield f"{url}/v1/models/{model}:predict"
    for path in facts.paths:
        yield origin + path


def _led_here(profile: Profile, origin: str, facts: Facts) -> Try:
    text = catalogue.source_of(profile.name).read_text("utf-8")
    text = drafts.led_to(text, origin, drafts.path_of(profile.request.url), profile.vars or {})
    said = []
    if len(facts.inputs) == 1:
        name = next(iter(facts.inputs))
        text, before = drafts.with_input(text, name), text
        said += [f"its input is called {name}"] if text != before else []
    settings = Settings(profile, {})
    keys = tuple(one.name for one in settings.variables if one.secret and one.needed)
    return Try(profile.name, text, tuple(said), keys)


def _made_up(origin: str, path: str, bodies: Mapping[str, Mapping[str, object]]) -> Iterator[Try]:
    forms = [*_forms(bodies), *FORMS]
    for form in [one for i, one in enumerate(forms) if one not in forms[:i]]:
        text = drafts.made_up(origin, path, form, drafts.UNREAD)
        field = form.get("file_field", "")
        yield Try(f"guessed {form['body']} {field}".rstrip(), text, (), (), origin, path, form)


def _forms(bodies: Mapping[str, Mapping[str, object]]) -> Iterator[Mapping[str, str]]:
    """What an OpenAPI document says of the bodies that a path takes."""
    for kind, properties in bodies.items():
        for name, schema in properties.items():
            about = schema if isinstance(schema, dict) else {}
            inner = about.get("items") if about.get("type") == "array" else about
            binary = isinstance(inner, dict) and (
                inner.get("format") == "binary" or "contentMediaType" in inner
            )
            if kind == "multipart/form-data" and binary:
                yield {"body": "multipart", "file_field": name}
            if kind == "application/json" and about.get("type") == "string" and name.isascii():
                yield {"body": "json", "template": f'{{"{name}": "{{b64}}"}}'}
