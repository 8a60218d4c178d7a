"""What a service says of one picture, as label -> score from 0 to 1; a word that cannot be read is
an error of that picture alone."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from probe.api.json import is_number
from probe.api.profile.records import Derived, Profile, ScoreForm
from probe.api.secrets import redacted
from probe.text import printable

MAX_LABELS = 10_000
MAX_NAME = 200
MAX_SHOWN = 8
SLACK = 1e-6

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 60


class BadItem(ValueError):
    """One picture has no usable score."""


class BadScale(ValueError):
    """A score is no probability: the profile is wrong, not the picture."""


def scored(profile: Profile, rows: Sequence[tuple[Any, ...]]) -> dict[str, float]:
    """Rows of (label, score) or (label, confidence, flag) as scores, derived labels first.

    Where `nsfw` and `sfw` are both made of labels and none of these came, others did: another
    model of the service answered, and its labels stand by themselves.

    Raises BadItem where this picture's scores cannot be used, BadScale where they are not 0..1.
    """
    own: dict[str, float] = {}
    for label, value in _numbers(profile, rows):
        if label in own and profile.scores.duplicate == "error":
            raise BadItem(f"two scores for {shown(label)} (scores.duplicate)")
        if label in own and profile.scores.duplicate == "sum":
            value = min(1.0, value + own[label])
        own[label] = max(value, own.get(label, value))
    if not own and profile.scores.missing is None:
        raise BadItem("no scores at all (scores.missing)")
    made = {} if _of_another_model(profile, own) else _derived(profile, own)
    return made | {label: value for label, value in own.items() if label not in made}


def _numbers(profile: Profile, rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, float]]:
    if len(rows) > MAX_LABELS:
        raise BadItem(f"more than {MAX_LABELS} labels")
    form = profile.scores
    values = [_value(form, row) for row in rows]
    activation = profile.response.activation
    if activation == "softmax":
        values = _softmax(values)
    elif activation == "sigmoid":
        values = [_sigmoid(value) for value in values]
    for row, value in zip(rows, values, strict=True):
        label = row[0]
        if not isinstance(label, str) or not 0 < len(label) <= MAX_NAME:
            raise BadItem(f"a label is {shown(label)}, not a name")
        if not -SLACK <= value <= 1 + SLACK:
            raise BadScale(
                f"the score of {shown(label)} is {value:g}, not from 0 to 1: "
                "set scores.divide (100 for percent) or response.activation"
            )
        label = redacted(label)  # an echoed key may come spelt so that no mask on bytes sees it
        yield label, (value if row[2] else 1 - value) if form.kind == "decision" else value


def _value(form: ScoreForm, row: tuple[Any, ...]) -> float:
    if (form.kind == "decision") != (len(row) == 3):
        raise BadItem(f"{len(row)} values for a label do not fit scores.kind {form.kind!r}")
    if form.kind == "decision" and not isinstance(row[2], bool):
        raise BadItem(f"the flag of {shown(row[0])} is {shown(row[2])}, not true or false")
    value = row[1]
    if form.ordinal is not None:
        word = str(value)
        if type(value) not in (str, int) or word not in form.ordinal:
            raise BadItem(f"the score of {shown(row[0])} is {shown(value)}: see scores.ordinal")
        value = form.ordinal[word]
    if not is_number(value):
        raise BadItem(f"the score of {shown(row[0])} is {shown(value)}")
    return float(value) / form.divide


def _softmax(values: Sequence[float]) -> list[float]:
    top = max(values, default=0.0)
    powers = [math.exp(value - top) for value in values]
    return [power / math.fsum(powers) for power in powers]


def _sigmoid(value: float) -> float:
    power = math.exp(-abs(value))
    return (1.0 if value >= 0 else power) / (1 + power)


def _of_another_model(profile: Profile, own: Mapping[str, float]) -> bool:
    if profile.scores.missing is not None or not (profile.nsfw and profile.sfw):
        return False
    return bool(profile.sfw.labels) and own.keys().isdisjoint(
        (*profile.nsfw.labels, *profile.sfw.labels)
    )


def _derived(profile: Profile, own: Mapping[str, float]) -> dict[str, float]:
    made: dict[str, float] = {}
    if profile.nsfw:
        made["nsfw"] = _combined(profile, profile.nsfw, own)
    if profile.sfw:
        made["sfw"] = (
            _combined(profile, profile.sfw, own) if profile.sfw.labels else 1 - made["nsfw"]
        )
    return made


def _combined(profile: Profile, derived: Derived, own: Mapping[str, float]) -> float:
    """At most 1 and at least 0, also where independent scores add up to more."""
    weights = derived.weights or (1.0,) * len(derived.labels)
    values = []
    for label, weight in zip(derived.labels, weights, strict=True):
        value = own.get(label, profile.scores.missing)
        if value is None:
            raise BadItem(
                f"no score for {shown(label)} in the answer (scores.missing); it has {_listed(own)}"
            )
        values.append(value * weight)
    combined = max(values) if derived.combine == "max" else math.fsum(values)
    return min(1.0, max(0.0, 1 - combined if derived.combine == "complement" else combined))


def _listed(labels: Mapping[str, float]) -> str:
    said = ", ".join(shown(label) for label in [*labels][:MAX_SHOWN])
    return f"{said}, ..." if len(labels) > MAX_SHOWN else said


def shown(value: Any) -> str:
    """A server's value for a message: never spelt out in full first, however large it is."""
    return printable(_BRIEF.repr(value), 40)
