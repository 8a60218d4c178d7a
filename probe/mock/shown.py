"""Scores of the backend behind as a service says them: its labels, percents, levels, words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from probe.mock.fill import fill
from probe.mock.message import Asked
from probe.mock.services import Labels, Service
from probe.types import Scores


def labelled(labels: Labels, question: str, scores: Scores) -> dict[str, float]:
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


def values(service: Service, shown: Mapping[str, float], asked: Asked) -> dict[str, Any]:
    """What an item's template may name: of each label its value, flag and confidence."""
    told = service.told.get("scores", {})
    ranked = (
        sorted(shown.items(), key=lambda pair: -pair[1]) if told.get("sorted") else shown.items()
    )
    kept = [(label, score) for label, score in ranked if not score < _floor(told, asked)]
    kept = kept[: _top(told, asked)]
    value = {label: _own_kind(service, score, asked) for label, score in kept}
    pair = service.template("pair")
    extra = service.told["answer"].get("extra", {})
    flags = {label: score >= 0.5 for label, score in kept}
    question = service.profile.nsfw.labels[0] if service.profile.nsfw else ""
    yes = flags.get(question, False)
    return {
        "value": value,
        "labels": list(value),
        "flagged": yes,
        "violations": [question] if yes else [],
        "decision": "KO" if yes else "OK",
        "as_text": json.dumps(value),
        "object": value,
        "values": list(value.values()),
        "flag": flags,
        "confidence": {label: max(score, 1 - score) for label, score in kept},
        "flags": flags,
        "first": next(iter(value), None),
        "highest": next(iter(value.values()), None),
        "safe": not yes,
        "pairs": [
            fill(pair, {"label": label, "value": one, "rank": rank, "place": rank - 1, **more})
            for rank, (label, one) in enumerate(value.items(), 1)
            for more in [extra.get(label, {})]
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
