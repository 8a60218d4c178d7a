"""Any HTTP service by its profile: one request, its answer read, errors named once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from probe.api import request
from probe.api.addresses import PrivateAddress, how_to_type
from probe.api.expressions import search
from probe.api.http import Lost, Reply, address, fetch
from probe.api.json import load_json
from probe.api.profile.records import Profile
from probe.api.profile.settings import Settings, Variable, known_names
from probe.api.request import Request
from probe.api.response.items import unpacked
from probe.api.response.reader import Reader
from probe.backends.connection import Connection, Generation, Versioned
from probe.backends.token import Tokens
from probe.errors import AuthError, BackendError, ContractError, Unreachable, UsageError
from probe.limits import Limits
from probe.types import Codec, Failure, Scores, Variant


class Service(Versioned):
    """The service that `profile` describes, with keys from `environ`.

    trusted: the user knows this profile's address, so that it may be one of a private network;
    one that comes out of `environ` is known. hint: what to say where the service does not speak as
    the profile says.

    Nothing is read from `environ` and nothing is sent before use. Raises ProfileError that names
    every variable that is needed and not set, before anything is sent.
    """

    def __init__(
        self,
        profile: Profile,
        environ: Mapping[str, str] = os.environ,
        *,
        connection: Connection | None = None,
        trusted: bool = False,
        hint: str = "",
    ) -> None:
        self.profile = profile
        self.reading = Reader(profile)
        self._settings = Settings(profile, environ)
        self._environ = environ
        self._connection = connection or Connection()
        self._trusted = trusted
        self._hint = hint
        self.generation = Generation(profile.name)
        token = profile.request.token
        self._tokens = (
            Tokens(token, self._settings, partial(self._fetch, template=token.url))
            if token
            else None
        )

    def __repr__(self) -> str:
        return f"Service({self.profile.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Without its environment: a worker has its own, and keys do not travel."""
        return _unpickled, (self.profile, self._connection, self._trusted)

    @property
    def service_identity(self) -> str:
        return request.identity(self.profile, self._settings)

    @property
    def limits(self) -> Limits:
        return replace(self.profile.limits, host=address(self.endpoint))

    @property
    def endpoint(self) -> str:
        """Where pictures go, without its query."""
        return self._settings.address(self.profile.request.url)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The environment variables that the profile uses."""
        return self._settings.variables

    def score(self, variants: Sequence[Variant], codec: Codec) -> list[Scores | Failure]:
        self._settings.check()
        pictures = [variant.encode(codec) for variant in variants]
        asked = request.render(self.profile, self._settings, pictures, f"image/{codec.format}")
        try:
            return self._answers(asked, len(pictures))
        except Lost as error:
            return [error.failure] * len(pictures)
        except AuthError as error:
            raise AuthError(f"{error}; {self._keys()}") from error
        except Unreachable as error:
            raise Unreachable(f"{error}{self._base()}") from error
        except BackendError as error:
            error.args = (f"{error}{self._hint}",)
            raise

    def _answers(self, asked: Request, count: int) -> list[Scores | Failure]:
        """The outcomes of a request, which is sent once: where its token is refused, whoever
        counts the calls sends it again, with a new one."""
        url = self.profile.request.url
        if self._tokens is None:
            return self._read(self._fetch(asked, template=url), count)
        signed = self._tokens.signed(asked)
        try:
            outcomes = self._read(self._fetch(signed, template=url), count)
        except AuthError as error:
            if not self._tokens.drop(signed):
                raise
            said = f"{error}; the token was refused, a new one is asked for"
            return [Failure("unavailable", said, wait=0.0)] * count
        if any(isinstance(outcome, Scores) for outcome in outcomes):
            self._tokens.accept(signed)
        return outcomes

    def _read(self, reply: Reply, count: int) -> list[Scores | Failure]:
        outcomes = self.reading.outcomes(reply, count)
        if any(isinstance(outcome, Scores) for outcome in outcomes):
            self.generation.check(self._version(reply.body))
        return outcomes

    def _version(self, raw: bytes) -> str | None:
        """The version of the model that an answer names, None where none can be read."""
        expression = self.profile.response.version
        if expression is None:
            return None
        packed = self.profile.request.body == "msgpack" and raw[:1] not in (b"{", b"[")
        try:
            found = search(expression, unpacked(raw) if packed else load_json(raw))
            return None if found is None else str(found)
        except (ContractError, RecursionError):
            return None

    def _fetch(self, asked: Request, *, template: str) -> Reply:
        """template: the URL of the profile that `asked` goes to."""
        try:
            return fetch(
                asked.method,
                asked.url,
                headers=asked.headers,
                body=asked.body,
                timeout=self._connection.timeout,
                secrets=self._settings.secrets,
                ca_file=self._connection.ca_file,
                trusted=self._is_trusted(template),
                allow_http=self._connection.allow_http,
            )
        except PrivateAddress as error:
            raise UsageError(f"{error}; {how_to_type(template)}") from error
        except UsageError as error:
            raise UsageError(f"{error}{self._base()}") from error

    def _is_trusted(self, template: str) -> bool:
        """Whether the user knows the host of this URL of the profile: typed it, or trusts the one
        that pictures go to, and it is the same."""
        if self._typed(template):
            return True
        same = address(self._settings.address(template)) == address(self.endpoint)
        return same and (self._trusted or self._typed(self.profile.request.url))

    def _typed(self, template: str) -> bool:
        """Whether the host of this URL of the profile is one that a variable of the user names."""
        names, _ = known_names(template)
        values = [self._environ.get(name, "").strip() for name in names]
        host = address(self._settings.address(template))
        return host in [address(value) for value in values if "://" in value]

    def _keys(self) -> str:
        """Which variables hold the keys, for the message that one of them is wrong."""
        names = [one.name for one in self.variables if one.secret and one.set]
        if not names:
            return "its profile sends no key"
        return f"the key is that of {' and '.join(names)}: is it right, and may it do this?"

    def _base(self) -> str:
        """Which variable holds the address, for the message that nobody is there."""
        names = sorted(known_names(self.profile.request.url)[0])
        return f"; {' and '.join(names)} names the address" if names else ""


def _unpickled(profile: Profile, connection: Connection, trusted: bool) -> Service:
    return Service(profile, connection=connection, trusted=trusted)
