"""The variables of a profile: `{var}` from its [vars], `${ENV}` from the environment.

An environment variable in an address is part of what is asked, and is shown; anywhere else it is
a secret, and no error, identity or log ever holds its value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from probe.api.profile.records import Profile
from probe.errors import ProfileError
from probe.text import printable

ENV = r"\$\{(?P<env>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}"
_ENV = re.compile(ENV)
_HOLE = re.compile(ENV + r"|\{(?P<name>[a-z_][a-z0-9_]*)\}")

More = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Variable:
    """needed: there is no default. secret: never shown. set: the environment has it."""

    name: str
    needed: bool
    secret: bool
    set: bool


class Settings:
    """A profile's variables with their values from `environ`; nothing is read before use."""

    def __init__(self, profile: Profile, environ: Mapping[str, str] = os.environ) -> None:
        self._profile = profile
        self._environ = environ

    def __repr__(self) -> str:
        return f"Settings({self._profile.name!r})"

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The environment variables that the profile names, in its order."""
        addresses = {match["env"] for text in _addresses(self._profile) for match in _envs(text)}
        found: dict[str, Variable] = {}
        for text in _texts(self._profile):
            for match in _envs(text):
                name, needed = match["env"], match["default"] is None
                if name in found:
                    needed = needed or found[name].needed
                there = bool(self._environ.get(name, "").strip())
                found[name] = Variable(name, needed, name not in addresses, there)
        return tuple(found.values())

    @property
    def secrets(self) -> frozenset[str]:
        """The values that must be shown nowhere."""
        return frozenset(self._env(one.name) for one in self.variables if one.secret and one.set)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.variables if one.needed and not one.set)

    def check(self) -> None:
        """ProfileError that names the variables that are not set, or cannot be sent."""
        if self.missing:
            raise _not_set(self._profile.name, self.missing)
        for text in _texts(self._profile):
            self.fill(text)

    def fill(self, text: str, more: More = lambda name: None, escape: More = str) -> str:
        """`text` with its variables replaced, once: what comes in is not looked at again.

        more: values of further `{name}`s; one that nobody knows stays as it is. escape: applied to
        the values of [vars]. Raises ProfileError for an environment variable that is not set.
        """

        def value(match: re.Match[str]) -> str:
            if match["env"]:
                return self._env(match["env"], match["default"])
            known = more(match["name"])
            if known is None and match["name"] in (self._profile.vars or {}):
                known = escape((self._profile.vars or {})[match["name"]])
            return match[0] if known is None else known

        return _HOLE.sub(value, text)

    def address(self, text: str) -> str:
        """`text`, a URL of the profile, filled in; ProfileError where that is no http(s) URL."""
        filled = self._filled_address(text)
        names = ", ".join(match["env"] for match in _envs(text)) or "the profile"
        try:
            parts = urlsplit(filled)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise ProfileError(f"{self._profile.name}: no URL comes out of {names}") from None
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ProfileError(
                f"{self._profile.name}: the address in {names} must not hold a user, a query or a "
                "fragment: they end up in logs"
            )
        if not fits or not filled.isascii() or not filled.isprintable() or " " in filled:
            raise ProfileError(
                f"{self._profile.name}: {printable(filled, 100)!r} is no http(s) URL; "
                f"it comes from {names}"
            )
        return filled

    def _filled_address(self, text: str) -> str:
        def slashless(match: re.Match[str]) -> str:
            return self._env(match["env"], match["default"]).rstrip("/")

        parts = _ENV.split(text)
        outside = [self.fill(part, escape=_quoted) for part in parts[::3]]
        inside = [slashless(match) for match in _envs(text)]
        return "".join(a + b for a, b in zip(outside, [*inside, ""], strict=True))

    def _env(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name, "").strip() or default
        if value is None:
            raise _not_set(self._profile.name, (name,))
        if not value.isascii() or not value.isprintable():
            raise ProfileError(
                f"{name} holds a character that no header may hold (its value is not shown): "
                "set it again, without line breaks and accents"
            )
        return value


def known_names(text: str) -> tuple[set[str], set[str]]:
    """The environment variables and the `{name}`s in `text`."""
    matches = list(_HOLE.finditer(text))
    return {m["env"] for m in matches if m["env"]}, {m["name"] for m in matches if m["name"]}


def malformed(text: str) -> bool:
    """Whether a `${` in the text begins no variable."""
    return "${" in _ENV.sub("", text)


def _envs(text: str) -> Iterator[re.Match[str]]:
    return _ENV.finditer(text)


def _addresses(profile: Profile) -> Iterator[str]:
    yield profile.request.url
    if profile.request.token:
        yield profile.request.token.url


def _texts(profile: Profile) -> Iterator[str]:
    request = profile.request
    yield from _addresses(profile)
    yield from request.headers.values()
    yield from request.query.values()
    yield from request.basic or ()
    yield from (request.fields or {}).values()
    yield from (request.token.form if request.token else {}).values()
    yield request.template or ""
    yield request.item or ""


def _quoted(value: str) -> str:
    return quote(value, safe="/:@!$&'()*+,;=~")


def _not_set(profile: str, names: tuple[str, ...]) -> ProfileError:
    listed = " and ".join(names)
    several = len(names) > 1
    return ProfileError(
        f"{profile} needs the environment variable{'s' if several else ''} {listed}, "
        f"{'which are' if several else 'which is'} not set"
    )
