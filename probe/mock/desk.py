"""What happens to a request of a service: let in, read, hit by weather, scored, answered."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from email.utils import formatdate
from typing import Any

from probe.errors import ProbeError
from probe.mock import answers
from probe.mock.answers import Context
from probe.mock.faults import Dice, Fault
from probe.mock.gate import Gate
from probe.mock.message import Asked, Broken, Refusal, Said, Sent
from probe.mock.scorer import Outcome, Scorer, Trouble
from probe.mock.services import Service
from probe.types import Scores

_log = logging.getLogger(__name__)

PAGE = b"<!DOCTYPE html><html><body><h1>Please log in</h1></body></html>"

_ALWAYS = ("429", "503", "reset", "cut", "truncated", "html", "nan")


class Desk:
    def __init__(
        self,
        scorer: Scorer,
        dice: Dice,
        gate: Gate,
        services: Mapping[str, Service],
        pause: Callable[[float], Any],
    ) -> None:
        self._scorer, self._dice, self._gate, self._pause = scorer, dice, gate, pause
        self._joined = {
            name: [one for one in services.values() if one.told.get("joins") == name]
            for name in services
        }

    def answer(
        self, service: Service, asked: Asked, found: Mapping[str, str], sent: list[Sent]
    ) -> Said:
        """The answer to a request that holds these pictures; never raises Refusal."""
        try:
            self._gate.check_key(service, asked)
            self._gate.check_rate(service)
            return self._weathered(service, asked, found, sent)
        except Refusal as refusal:
            return self.refused(service, refusal)

    def refused(self, service: Service, refusal: Refusal) -> Said:
        values = dict(refusal.values)
        wait = values.pop("wait", None)
        said = answers.error(service, refusal.case, refusal.detail, **values)
        if wait is None:
            return said
        return replace(said, headers={**said.headers, **_hint(service, "seconds", math.ceil(wait))})

    def _weathered(
        self, service: Service, asked: Asked, found: Mapping[str, str], sent: list[Sent]
    ) -> Said:
        fault, latency = self._dice.draw(
            [one.data or b"" for one in sent], _possible(service, sent)
        )
        if latency:
            self._pause(latency)
        kind = fault.kind if fault else ""
        broken: Broken | None = "reset" if kind == "reset" else "cut" if kind == "cut" else None
        if fault and kind.startswith("429"):
            return self._throttled(service, fault)
        if kind == "503":
            raise Refusal("busy")
        if kind == "html":
            return Said(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        said = self._scored(service, asked, found, sent, fault)
        if broken:
            return replace(said, broken=broken)
        if kind == "truncated":
            return replace(said, body=said.body[: len(said.body) // 2])
        return said

    def _throttled(self, service: Service, fault: Fault) -> Said:
        wait = self._dice.faults.wait
        loading = fault.hint == "body" and "loading" in service.told["errors"]
        said = answers.error(service, "loading" if loading else "throttled", "", wait=wait)
        return replace(said, headers={**said.headers, **_hint(service, fault.hint, wait)})

    def _scored(
        self,
        service: Service,
        asked: Asked,
        found: Mapping[str, str],
        sent: list[Sent],
        fault: Fault | None,
    ) -> Said:
        model, labels = service.model(asked, found)
        _check_request(service, asked, sent)
        if not self._dice.take(len(sent)):
            raise Refusal("quota")
        drifted = self._dice.drifted()
        formats = service.told.get("limits", {}).get("formats", ())
        scored, calls = self._score(service, sent, formats)
        if drifted:
            scored = [_drifted(outcome) for outcome in scored]
        question = self._scorer.question
        chosen = fault.turn % len(sent) if fault else 0
        if fault:
            scored[chosen] = _spoiled(scored[chosen], fault.kind, question)
        if service.template("failed_item") is None:
            _check_all(scored)
        version = self._scorer.identity + (" (another version)" if drifted else "")
        known = {**(service.profile.vars or {}), **found}
        joined = self._joined[service.name]
        context = Context(service, joined, asked, model, labels, question, version, known)
        items = answers.elements(context, scored, sent)
        if fault and fault.kind == "partial":
            del items[chosen]
        elif fault and fault.kind == "reorder":
            items = items[1:] + items[:1]
        return answers.answer(context, items, scored, calls)

    def _score(
        self, service: Service, sent: Sequence[Sent], formats: Sequence[str]
    ) -> tuple[list[Outcome], int]:
        try:
            return self._scorer.score(sent, service.limits, formats)
        except Refusal:
            raise
        except ProbeError as error:
            raise Refusal("crash", str(error)) from error
        except Exception as error:
            _log.exception("the backend failed")
            said = f"the backend failed with {type(error).__name__}"
            raise Refusal("crash", said) from error


def _check_request(service: Service, asked: Asked, sent: Sequence[Sent]) -> None:
    limits = service.limits
    if not sent:
        raise Refusal("request", "no picture in the request")
    if limits.max_request_bytes is not None and len(asked.body) > limits.max_request_bytes:
        raise Refusal("large", f"{len(asked.body)} bytes; at most {limits.max_request_bytes}")
    if len(sent) > limits.batch:
        detail = f"{len(sent)} images; at most {limits.batch} a request"
        raise Refusal("many", detail, n=len(sent), most=limits.batch)


def _check_all(scored: Sequence[Outcome]) -> None:
    """One bad picture fails the request of a service that has no word for it alone."""
    for outcome in scored:
        if isinstance(outcome, Trouble):
            raise Refusal(outcome.case, outcome.detail)


def _possible(service: Service, sent: Sequence[Sent]) -> tuple[str, ...]:
    """The kinds of faults that answers of this service can show."""
    told = service.told["answer"]
    several = "$items" in told["body"] and bool(sent)
    by_id = several and len(sent) > 1 and service.profile.response.id is not None
    return (
        *_ALWAYS,
        *(("missing",) if service.profile.scores.missing is None else ()),
        *(("partial",) if several else ()),
        *(("item",) if "failed_item" in told and sent else ()),
        *(("reorder",) if by_id else ()),
    )


def _spoiled(outcome: Outcome, kind: str, question: str) -> Outcome:
    if kind == "item":
        return Trouble("busy", "for a while")
    if isinstance(outcome, Trouble) or kind not in ("missing", "nan"):
        return outcome
    scores, size = outcome
    if kind == "nan":
        return Scores({**scores, question: math.nan}), size
    return Scores({label: value for label, value in scores.items() if label != question}), size


def _drifted(outcome: Outcome) -> Outcome:
    """The scores of a model that is less sure."""
    if isinstance(outcome, Trouble):
        return outcome
    return Scores({label: 0.8 * value + 0.1 for label, value in outcome[0].items()}), outcome[1]


def _hint(service: Service, hint: str, wait: float) -> dict[str, str]:
    """How the service says how long to wait, in a header."""
    named = service.profile.weather.after_headers
    if hint == "seconds":
        plain = [name for name in named if ":" not in name]
        return {(plain or ["Retry-After"])[0]: f"{wait:g}"}
    if hint == "date":
        return {"Retry-After": formatdate(int(time.time()) + max(1, math.ceil(wait)), usegmt=True)}
    if hint == "ms":
        timed = [name.removesuffix(":ms") for name in named if name.endswith(":ms")]
        return {(timed or ["retry-after-ms"])[0]: f"{wait * 1000:.0f}"}
    if hint == "ratelimit":
        return {"RateLimit": f'"api";r=0;t={wait:g}'}
    return {}
