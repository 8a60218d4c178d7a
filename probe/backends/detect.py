"""Which contract an unknown server speaks: by what it says of itself, then by one picture each.

What is found is a starting profile that reads the answer it was found by; what of it was only
guessed is said. No key leaves this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from probe.api import request
from probe.api.grammar import parse
from probe.api.http import Reply, checked_url, fetch, is_loopback
from probe.api.json import load_json
from probe.api.profile import Profile
from probe.api.response import Reader
from probe.api.settings import Settings
from probe.backends import drafts
from probe.backends.candidates import Try, candidates
from probe.backends.connection import Connection
from probe.backends.contract import read_description
from probe.backends.facts import facts_of
from probe.backends.guess import guess
from probe.errors import BackendError, ContractError, LimitReached, ProfileError, Unreachable
from probe.text import printable
from probe.types import Codec, Failure, Scores, Variant

QUICK = 10.0
OWN = "probe/1"


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
    url: str,
    picture: Variant,
    connection: Connection | None = None,
    most: int = 8,
    environ: Mapping[str, str] = os.environ,
) -> Detection:
    """Find out what the server at `url` speaks, sending the picture at most `most` times.

    Raises UsageError for a URL that cannot be one, Unreachable where nobody listens.
    """
    return _Detector(checked_url(url), picture, connection or Connection(), environ).run(most)


class _Detector:
    def __init__(
        self, url: str, picture: Variant, connection: Connection, environ: Mapping[str, str]
    ) -> None:
        self._url, self._picture, self._connection = url, picture, connection
        self._environ = environ
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
            if one.needs and not self._may_use_keys():
                found.said.append(
                    f"its path is that of {one.name}, which needs {' and '.join(one.needs)}: "
                    f"not tried, for keys are not sent to find out; try --api {self._url}"
                )
            elif found.calls >= most:
                found.said.append(f"stopped after {most} calls; --max-calls allows more")
                break
            elif self._fits(one):
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
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> Reply:
        return fetch(
            method,
            url,
            headers=headers,
            body=body,
            timeout=min(seconds, self._connection.timeout),
            ca_file=self._connection.ca_file,
            trusted=True,
        )

    def _may_use_keys(self) -> bool:
        return is_loopback(self._url)

    def _fits(self, one: Try) -> bool:
        """Send the picture by this contract; True when its answer can be read."""
        try:
            profile = parse(one.text, one.name)
            reply = self._sent(profile)
        except (BackendError, ProfileError) as error:
            self._found.tried.append((one.name, str(error)))
            return False
        said = ""
        for text, guessed in _readings(one, reply):
            scores, problem = _read(text, reply)
            if scores is not None:
                self._found.tried.append((one.name, "its answer was read"))
                self._found.said += [*one.said, *guessed]
                self._found.contract, self._found.profile = one.name, text
                self._found.scores = scores
                return True
            said = said or problem
        self._found.tried.append((one.name, said))
        return False

    def _sent(self, profile: Profile) -> Reply:
        secret = {one.name for one in Settings(profile).variables if one.secret}
        kept = self._may_use_keys()
        environ = {k: v for k, v in self._environ.items() if kept or k not in secret}
        codec = Codec(profile.limits.formats[0])
        picture, mime = self._picture.encode(codec), f"image/{codec.format}"
        asked = request.render(profile, Settings(profile, environ), [picture], mime)
        self._found.calls += 1
        return self._send(
            asked.method, asked.url, asked.headers, asked.body, self._connection.timeout
        )


def _read(text: str, reply: Reply) -> tuple[Scores | None, str]:
    """The scores by this profile, or why there are none."""
    try:
        outcome = Reader(parse(text, "the starting profile")).outcomes(reply, 1)[0]
    except (BackendError, LimitReached, ProfileError) as error:
        return None, str(error)
    return (None, outcome.message) if isinstance(outcome, Failure) else (outcome, "")


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
