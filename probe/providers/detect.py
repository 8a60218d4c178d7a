"""Which contract an unknown server speaks: by what it says of itself, then by one picture each.

What is found is a starting profile that reads the answer it was found by; what of it was only
guessed is said. No key of the environment is sent, whoever listens: a stand-in goes out instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from probe.api import request
from probe.api.http import Reply, checked_url, fetch
from probe.api.json import load_json
from probe.api.profile.grammar import parse
from probe.api.profile.records import Profile
from probe.api.profile.settings import Settings
from probe.api.response.reader import Reader
from probe.backends.connection import Connection
from probe.backends.contract import read_description
from probe.errors import (
    AuthError,
    BackendError,
    ContractError,
    LimitReached,
    MissingExtra,
    ProfileError,
    Unreachable,
)
from probe.providers import drafts
from probe.providers.candidates import Try, candidates
from probe.providers.facts import facts_of
from probe.providers.guess import guess
from probe.text import count, printable
from probe.types import Codec, Failure, Scores, Variant

QUICK = 10.0
OWN = "probe/1"
NO_KEY = "no-key-to-find-out"
"""Stands in for every key that a contract needs."""


@dataclass(slots=True)
class Detection:
    """What was found out.

    contract: `probe/1`, the name of the profile that fits, `guessed`, or None. profile: a
    starting profile as TOML, None where none is needed or nothing was found. said: facts and
    guesses, in sentences. tried: by which contracts IMG was sent, and what came of it.
    """

    url: str
    contract: str | None = None
    profile: str | None = None
    scores: Scores | None = None
    said: list[str] = field(default_factory=list)
    tried: list[tuple[str, str]] = field(default_factory=list)
    calls: int = 0


def detect(
    url: str, picture: Variant, connection: Connection | None = None, most: int = 8
) -> Detection:
    """Find out what the server at `url` speaks, sending the picture at most `most` times.

    Raises UsageError for a URL that cannot be one, Unreachable where nobody listens.
    """
    return _Detector(checked_url(url), picture, connection or Connection()).run(most)


class _Detector:
    def __init__(self, url: str, picture: Variant, connection: Connection) -> None:
        self._url, self._picture, self._connection = url, picture, connection
        self._found = Detection(url)

    def run(self, most: int) -> Detection:
        found = self._found
        if self._speaks_own():
            found.contract = OWN
            found.said.append("it speaks the project's own contract: no profile is needed")
            return found
        parts = urlsplit(self._url)
        origin = f"{parts.scheme}://{parts.netloc}"
        facts = facts_of(origin, self._ask)
        found.said += facts.said
        for one in candidates(self._url, origin, facts, self._is_there):
            if found.calls >= most:
                found.said.append(f"stopped after {count(most, 'call')}; --max-calls allows more")
                break
            if self._fits(one):
                break
        return found

    def _speaks_own(self) -> bool:
        try:
            reply = self._ask("GET", self._url)
            read_description(reply.body.decode("utf-8", "replace"), "")
        except Unreachable:
            raise
        except BackendError:
            return False
        return reply.status == 200

    def _is_there(self, url: str) -> bool:
        """Whether a path exists, by a request without a picture."""
        try:
            return self._ask("GET", url).status not in (404, 501)
        except BackendError:
            return False

    def _ask(self, method: str, url: str) -> Reply:
        return self._send(method, url, {}, b"" if method == "POST" else None, QUICK)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        secrets: frozenset[str] = frozenset(),
    ) -> Reply:
        return fetch(
            method,
            url,
            headers=headers,
            body=body,
            timeout=min(seconds, self._connection.timeout),
            ca_file=self._connection.ca_file,
            trusted=True,
            secrets=secrets,
            allow_http=True,  # stand-ins may go unencrypted
        )

    def _fits(self, one: Try) -> bool:
        """Send the picture by this contract; True when its answer can be read."""
        found = self._found
        try:
            reply = self._sent(parse(one.text, one.name))
        except (BackendError, ProfileError, MissingExtra) as error:
            found.tried.append((one.name, str(error)))
            return False
        said = f"answered {reply.status}: {reply.excerpt}"
        for text, guessed in _readings(one, reply):
            keys = one.keys
            try:
                found.scores = _read(text, reply)
            except AuthError as error:
                guessed, keys = [f"it wants a key: {error}"], _keys(text)
            except (BackendError, LimitReached, ProfileError) as error:
                said = str(error)
                continue
            found.tried.append((one.name, "its answer was read" if found.scores else "wants a key"))
            needed = [f"its keys are taken from {' and '.join(keys)}"] if keys else []
            found.said += [*one.said, *guessed, *needed]
            found.contract, found.profile = one.name, text
            return True
        found.tried.append((one.name, said))
        return False

    def _sent(self, profile: Profile) -> Reply:
        """The picture, sent by this profile; nothing of the environment goes into it."""
        variables = Settings(profile, {}).variables
        needed = [one.name for one in variables if one.secret and one.needed]
        settings = Settings(profile, dict.fromkeys(needed, NO_KEY))
        formats = profile.limits.formats
        codec = Codec("png" if "png" in formats else formats[0])
        picture, mime = self._picture.encode(codec), f"image/{codec.format}"
        asked = request.render(profile, settings, [picture], mime)
        self._found.calls += 1
        return self._send(
            asked.method,
            asked.url,
            asked.headers,
            asked.body,
            self._connection.timeout,
            settings.secrets,
        )


def _keys(text: str) -> tuple[str, ...]:
    """The variables that hold keys, also those that not every server wants."""
    variables = Settings(parse(text, "the starting profile"), {}).variables
    return tuple(one.name for one in variables if one.secret)


def _read(text: str, reply: Reply) -> Scores:
    """The scores by this profile; raises what says why there are none."""
    outcome = Reader(parse(text, "the starting profile")).outcomes(reply, 1)[0]
    if isinstance(outcome, Failure):
        raise BackendError(outcome.message)
    return outcome


def _readings(one: Try, reply: Reply) -> Iterator[tuple[str, list[str]]]:
    """Profiles that may read the answer: the contract's own, then with what the answer lets guess;
    each with what was guessed."""
    if not one.guessed:
        yield one.text, []
    answer = _json(reply)
    found = guess(answer) if answer is not None else None
    if found is None:
        return
    said = [found.said] if found.said else []
    if one.guessed:
        yield (
            drafts.made_up(one.base, one.path, one.guessed, found),
            [
                "the server's contract is none that is known: labels and scores were found in its "
                "answer",
                *said,
            ],
        )
    elif isinstance(found.labels, tuple):
        named = drafts.relabelled(one.text, found.labels)
        yield named, said
        yield drafts.softmaxed(named), [*said, "the scores are taken for logits: softmax"]


def _json(reply: Reply) -> Any:
    try:
        return load_json(reply.body) if reply.status < 300 else None
    except ContractError:
        return None


def shown(detection: Detection) -> str:
    """The scores found, the highest first, in one line."""
    scores: Mapping[str, float] = detection.scores or {}
    rows = sorted(scores.items(), key=lambda row: -row[1])[:5]
    return ", ".join(f"{printable(label, 40)} {score:.3g}" for label, score in rows)
