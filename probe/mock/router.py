"""Which service a request is for: by its path, its headers, and what its body can be read as."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from probe.limits import Rate
from probe.mock import answers, contract, services
from probe.mock.desk import Desk
from probe.mock.faults import Dice
from probe.mock.fill import fill
from probe.mock.gate import Gate
from probe.mock.message import Asked, Refusal, Said, Sent
from probe.mock.paths import Pattern, path_of
from probe.mock.scorer import Scorer
from probe.mock.services import Service

HELP = "GET / describes the model, POST /score scores pictures; services answer at their own paths"

Match = tuple[Service, dict[str, str]]


class Router:
    def __init__(
        self,
        scorer: Scorer,
        dice: Dice,
        *,
        key: str | None,
        clock: Callable[[], float],
        pause: Callable[[float], Any],
        rates: Sequence[Rate] | None,
    ) -> None:
        known = dict(services.load())
        known[contract.NAME] = contract.as_behind(known[contract.NAME], scorer)
        self._scorer = scorer
        self._services = [one for one in known.values() if "joins" not in one.told]
        self._gate = Gate(key, clock, rates)
        self._desk = Desk(scorer, dice, self._gate, known, pause)
        self._tokens = [
            (Pattern.of(path_of(token.url)), service)
            for service in self._services
            if (token := service.profile.request.token) is not None
        ]

    def is_token(self, asked: Asked) -> bool:
        """Whether this asks for a token and not for scores."""
        return any(pattern.match(asked.path) is not None for pattern, _ in self._tokens)

    def get(self, asked: Asked) -> Said:
        if not asked.path.rstrip("/"):
            return _said(200, contract.describe(self._scorer))
        for service in self._services:
            for page in service.told.get("pages", ()):
                found = Pattern.of(page["path"], service.profile.vars).match(asked.path)
                if found is not None:
                    return self._page(service, page, found)
        return self._nowhere(asked)

    def post(self, asked: Asked) -> Said:
        for pattern, service in self._tokens:
            if pattern.match(asked.path) is not None:
                return self._token(service, asked)
        matches = [
            (service, found)
            for service in self._services
            if (found := service.match(asked)) is not None
        ]
        if not matches:
            return self._nowhere(asked)
        (service, found), read = _first_read(matches, asked)
        if isinstance(read, Refusal):
            return self._desk.refused(service, read)
        return self._desk.answer(service, asked, found, read)

    def _page(self, service: Service, page: Mapping[str, Any], found: dict[str, str]) -> Said:
        """What GET answers at a path: that a model is there, what it takes."""
        name = found.get(service.told.get("model_var", "model"))
        known = services.ANY in service.models or name is None or name in service.models
        if not known:
            return answers.error(service, "model", "", model=name)
        if "text" in page:
            return Said(200, page["text"].encode(), {"Content-Type": "text/plain"})
        values = {**found, "version": self._scorer.identity, "batch": service.limits.batch}
        return _said(200, fill(json.loads(page["body"]), values))

    def _token(self, service: Service, asked: Asked) -> Said:
        try:
            self._gate.check_client(service, asked)
        except Refusal as refusal:
            return self._desk.refused(service, refusal)
        template = json.loads(service.told["token"]["body"])
        return _said(200, fill(template, {"token": self._gate.token}))

    def _nowhere(self, asked: Asked) -> Said:
        """404 in the form of the service whose paths begin alike."""
        shared = [
            (max(pattern.shared(asked.path) for pattern in service.patterns), service)
            for service in self._services
        ]
        most, nearest = max(shared, key=lambda pair: pair[0])
        if most:
            return answers.error(nearest, "path", f"nothing at {asked.path}")
        return _said(404, {"error": {"message": HELP}})


def _first_read(matches: Sequence[Match], asked: Asked) -> tuple[Match, list[Sent] | Refusal]:
    """The first service that can read the request, and what it read."""
    refusal: Refusal | None = None
    for match in matches:
        try:
            sent = match[0].read(asked)
        except Refusal as error:
            refusal = refusal or error
        else:
            if sent is not None:
                return match, sent
    return matches[0], refusal or Refusal("request", "no picture where the service takes one")


def _said(status: int, document: Any) -> Said:
    return Said(status, json.dumps(document).encode(), {"Content-Type": "application/json"})
