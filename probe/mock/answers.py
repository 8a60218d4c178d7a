"""Scores turned back into a service's own answer, and its errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probe.mock.fill import fill, text
from probe.mock.message import Asked, Said, Sent
from probe.mock.scorer import Outcome, Trouble
from probe.mock.services import ANY, Labels, Service
from probe.mock.shown import labelled, values
from probe.text import printable

_ALL_WELL = {"status": 200}


@dataclass(frozen=True)
class Context:
    """What a request is about, beside its pictures.

    joined: services whose elements are laid into this one's. question: the backend's label that
    the service's own question stands for. version: the backend's identity. vars: those of the
    path.
    """

    service: Service
    joined: Sequence[Service]
    asked: Asked
    model: str
    labels: Labels
    question: str
    version: str
    vars: Mapping[str, str]


def elements(context: Context, scored: Sequence[Outcome], sent: Sequence[Sent]) -> list[Any]:
    """One element a picture, in order."""
    pairs = zip(scored, sent, strict=True)
    return [_element(context, index, outcome, one) for index, (outcome, one) in enumerate(pairs)]


def _element(context: Context, index: int, outcome: Outcome, sent: Sent) -> Any:
    about = _about(context, index, sent)
    if isinstance(outcome, Trouble):
        case = context.service.case(outcome.case)
        message = text(str(case.values.get("message", "")), {"detail": outcome.detail})
        told = {**about, **case.values, "message": printable(message, 300)}
        return fill(context.service.template("failed_item"), told)
    scores, size = outcome
    about |= {"width": size[0], "height": size[1]}
    whole: Any = None
    for part in (context.service, *context.joined):
        if part.wanted(sent.item):
            labels = context.labels if part is context.service else part.models[ANY]
            shown = labelled(labels, context.question, scores)
            one = fill(part.template("item"), {**about, **values(part, shown, context.asked)})
            whole = {**whole, **one} if isinstance(whole, dict) else one
    return {} if whole is None else whole


def _about(context: Context, index: int, sent: Sent) -> dict[str, Any]:
    return {
        **context.vars,
        "index": index,
        "id": sent.id or str(index),
        "model": context.model,
        "version": context.version,
    }


def answer(context: Context, items: list[Any], scored: Sequence[Outcome], calls: int) -> Said:
    """The whole answer around its elements."""
    service = context.service
    failed = sum(isinstance(outcome, Trouble) for outcome in scored)
    how = "ok" if not failed else "mixed" if failed < len(scored) else "failed"
    told = service.told["answer"]
    outcome = told.get(how) or told.get("ok") or _ALL_WELL
    known = {
        **context.vars,
        **{key: value for key, value in outcome.items() if key != "status"},
        "model": context.model,
        "version": context.version,
        "items": items,
        "item": items[0] if items else None,
        "flat": [value for item in items if isinstance(item, list) for value in item],
        "shape": [len(items), len(items[0]) if items and isinstance(items[0], list) else 0],
        "n": len(items),
    }
    document = fill(service.template("body"), known)
    return Said(outcome.get("status", 200), *packed(service, document), calls=calls)


def error(service: Service, case: str, detail: str, **values: Any) -> Said:
    """The error of the service's own form."""
    told = service.case(case)
    known = {**told.values, **values, "detail": printable(detail, 300)}
    message = text(str(told.values.get("message", "{detail}")), known)
    known["message"] = printable(message, 400)
    headers = {name: text(value, known) for name, value in told.headers.items()}
    if isinstance(told.body, str):
        body = text(told.body, known).encode()
        return Said(told.status, body, {"Content-Type": "text/plain; charset=utf-8", **headers})
    data, kind = packed(service, fill(told.body, known))
    return Said(told.status, data, {**kind, **headers})


def packed(service: Service, document: Any) -> tuple[bytes, dict[str, str]]:
    if service.profile.request.body == "msgpack":
        import msgpack

        return msgpack.packb(document), {"Content-Type": "application/msgpack"}
    kind = service.told["answer"].get("content_type", "application/json")
    return json.dumps(document).encode(), {"Content-Type": kind}
