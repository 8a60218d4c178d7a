"""Scores turned back into a service's own answer, and its errors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from probe.mock.fill import fill, text
from probe.mock.message import Asked, Said, Sent
from probe.mock.scorer import Outcome, Trouble
from probe.mock.services import Labels, Service
from probe.text import printable
from probe.types import Scores

_ALL_WELL = {"status": 200}


@dataclass(frozen=True)
class Context:
    """What a request is about, beside its pictures.

    question: the backend's label that the service's own question stands for. version: the
    backend's identity. vars: those of the path, and the model.
    """

    asked: Asked
    model: str
    labels: Labels
    question: str
    version: str
    vars: Mapping[str, str]


def elements(
    service: Service, joined: Sequence[Service], context: Context, scored: Sequence[Outcome],
    sent: Sequence[Sent],
) -> list[Any]:  # fmt: skip
    """One element a picture, in order."""
    return [
        _element(service, joined, context, index, outcome, one)
        for index, (outcome, one) in enumerate(zip(scored, sent, strict=True))
    ]


def _element(
    service: Service, joined: Sequence[Service], context: Context, index: int, outcome: Outcome,
    sent: Sent,
) -> Any:  # fmt: skip
    about = _about(context, index, sent)
    if isinstance(outcome, Trouble):
        case = service.case(outcome.case)
        message = text(str(case.values.get("message", "")), {"detail": outcome.detail})
        values = {**about, **case.values, "message": printable(message, 300)}
        return fill(_template(service, "failed_item"), values)
    scores, size = outcome
    about |= {"width": size[0], "height": size[1], "size": len(sent.data or b"")}
    whole: Any = None
    for part in (service, *joined):
        if part.wanted(sent.item):
            labels = context.labels if part is service else part.models["*"]
            shown = _labelled(part, labels, context.question, scores)
            one = fill(_template(part, "item"), {**about, **_values(part, shown, context.asked)})
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


def _labelled(service: Service, labels: Labels, question: str, scores: Scores) -> dict[str, float]:
    """The service's labels with probabilities; a score that is no probability is cut to one."""
    own = {name.casefold(): name for name in scores}
    asked = scores.get(question)
    if labels == "raw":
        return dict(scores)
    if isinstance(labels, str):
        return {name: _bounded(value) for name, value in scores.items()}
    found = {}
    for label, stands_for in labels.items():
        if label.casefold() in own:
            found[label] = _bounded(scores[own[label.casefold()]])
        elif not isinstance(stands_for, str):
            found[label] = float(stands_for)
        elif asked is not None:
            found[label] = _bounded(asked if stands_for == "question" else 1 - asked)
    return found


def _bounded(score: float) -> float:
    return min(max(score, 0.0), 1.0) if math.isfinite(score) else score


def _values(service: Service, shown: Mapping[str, float], asked: Asked) -> dict[str, Any]:
    """What an item's template may name: of each label its value, flag and confidence."""
    told = service.told.get("scores", {})
    ranked = (
        sorted(shown.items(), key=lambda pair: -pair[1]) if told.get("sorted") else shown.items()
    )
    kept = [(label, score) for label, score in ranked if not score < _floor(told, asked)]
    kept = kept[: _top(told, asked)]
    value = {label: _own_kind(service, score, asked) for label, score in kept}
    pair = _template(service, "pair") if "pair" in service.told["answer"] else None
    extra = service.told["answer"].get("extra", {})
    over = [label for label, score in kept if score >= 0.5]
    question = (service.profile.nsfw.labels if service.profile.nsfw else ("",))[0]
    return {
        "value": value,
        "labels": list(value),
        "flagged": question in over,
        "violations": [label for label in over if label == question],
        "decision": "KO" if question in over else "OK",
        "as_text": json.dumps(value),
        "object": value,
        "values": list(value.values()),
        "flag": {label: score >= 0.5 for label, score in kept},
        "confidence": {label: max(score, 1 - score) for label, score in kept},
        "flags": {label: score >= 0.5 for label, score in kept},
        "first": next(iter(value), None),
        "highest": next(iter(value.values()), None),
        "safe": question not in over,
        "pairs": [
            fill(
                pair,
                {"label": label, "value": one, "rank": rank, "place": rank - 1}
                | extra.get(label, {}),
            )
            for rank, (label, one) in enumerate(value.items(), 1)
        ],
    }


def _floor(told: Mapping[str, Any], asked: Asked) -> float:
    """The lowest score that is shown, by the request where that can say it."""
    stated = _stated(told.get("floor_key"), asked)
    return (
        stated / told.get("floor_of", 1)
        if stated is not None
        else float(told.get("floor", -math.inf))
    )


def _top(told: Mapping[str, Any], asked: Asked) -> int | None:
    stated = _stated(told.get("top_key"), asked)
    top = stated if stated is not None else told.get("top")
    return int(top) if top else None


def _stated(key: str | None, asked: Asked) -> float | None:
    """A number that the request's JSON gives under this key, wherever."""
    if key is None or asked.body.lstrip()[:1] != b"{":
        return None
    return _find(asked.document, key)


def _find(node: Any, key: str) -> float | None:
    if isinstance(node, dict):
        value = node.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return next((found for child in children if (found := _find(child, key)) is not None), None)


def _own_kind(service: Service, score: float, asked: Asked) -> Any:
    """A probability as the service says it: percent, a level, a word."""
    told, form = service.told.get("scores", {}), service.profile.scores
    if not math.isfinite(score):
        return score
    if words := told.get("words"):
        ordinal = form.ordinal or {}
        word = min(words, key=lambda word: abs(ordinal[word] - score))
        return words[word] if "enum-encoding=int" in str(asked.query) else word
    if levels := told.get("levels"):
        return min(levels, key=lambda level: abs(level - score * form.divide))
    return score * form.divide


@lru_cache(maxsize=256)
def _parsed(template: str) -> Any:
    return json.loads(template)


def _template(service: Service, name: str) -> Any:
    return _parsed(service.told["answer"][name])


def answer(
    service: Service, context: Context, items: list[Any], scored: Sequence[Outcome], calls: int
) -> Said:
    """The whole answer around its elements."""
    failed = sum(isinstance(outcome, Trouble) for outcome in scored)
    how = "ok" if not failed else "mixed" if failed < len(scored) else "failed"
    told = service.told["answer"]
    outcome = told.get(how) or told.get("ok") or _ALL_WELL
    values = {
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
    document = fill(_template(service, "body"), values)
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
