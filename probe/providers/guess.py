"""How an unknown answer about one picture may be read: where labels and scores stand in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from probe.api.json import is_number

NAMES = ("label", "class", "classname", "name", "tag", "category", "description", "concept", "key")
NUMBERS = ("score", "probability", "confidence", "prob", "value", "severity", "p", "likelihood")
DEEPEST = 6
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Guess:
    """The keys of `[response]` and `[scores]` that fit an answer, and what was only guessed."""

    pairs: str | None = None
    labels: str | tuple[str, ...] | None = None
    scores: str | None = None
    divide: float = 1.0
    said: str = ""


def guess(answer: Any) -> Guess | None:
    """The likeliest reading of JSON that answers for one picture; None where nothing fits.

    In this order: a list of objects with a name and a number each, an object of numbers by name,
    a list of numbers. Among equals the one with most labels wins.
    """
    found = [*_guesses(answer, "", 0)]
    return max(found, key=lambda one: (one[0], one[1]))[2] if found else None


_Ranked = tuple[int, int, Guess]


def _guesses(value: Any, path: str, depth: int) -> Iterator[_Ranked]:
    if depth > DEEPEST:
        return
    if isinstance(value, list) and 0 < len(value) <= MOST:
        yield from _of_list(value, path)
        yield from _guesses(value[0], f"{path or '@'}[0]", depth + 1)
    elif isinstance(value, Mapping) and 0 < len(value) <= MOST:
        yield from _of_object(value, path)
        for key, inside in value.items():
            yield from _guesses(inside, f"{path}.{_quoted(key)}".lstrip("."), depth + 1)


def _of_list(value: list[Any], path: str) -> Iterator[_Ranked]:
    if all(isinstance(one, Mapping) for one in value):
        name = _likeliest(value, NAMES, lambda one: isinstance(one, str))
        number = _likeliest(value, NUMBERS, is_number)
        if name and number:
            pairs = f"{path}[].[{_quoted(name)}, {_quoted(number)}]"
            divide, said = _scale([one[number] for one in value])
            yield 3, len(value), Guess(pairs=pairs, divide=divide, said=said)
    elif len(value) > 1 and all(map(is_number, value)):
        divide, said = _scale(value)
        names = tuple(f"class {i}" for i in range(len(value)))
        said = f"the labels' names are not in its answers{said and '; '}{said}"
        rank = int(all(0 <= number <= 1 for number in value))
        yield rank, len(value), Guess(labels=names, scores=path or "@", divide=divide, said=said)


def _of_object(value: Mapping[str, Any], path: str) -> Iterator[_Ranked]:
    if all(is_number(one) and 0 <= one <= 100 for one in value.values()):
        divide, said = _scale(list(value.values()))
        at = path or "@"
        reading = Guess(labels=f"keys({at})", scores=f"values({at})", divide=divide, said=said)
        yield 2, len(value), reading


def _likeliest(rows: list[Any], usual: tuple[str, ...], fits: Any) -> str | None:
    """The key whose value fits in every row; one of the usual names before any other."""
    keys = [key for key in rows[0] if all(key in row and fits(row[key]) for row in rows)]
    order = {name: i for i, name in enumerate(usual)}
    return min(keys, key=lambda key: order.get(key.casefold(), len(usual)), default=None)


def _scale(numbers: list[float]) -> tuple[float, str]:
    if all(0 <= number <= 1 for number in numbers):
        return 1.0, ""
    if all(0 <= number <= 100 for number in numbers):
        return 100.0, "the scores are taken for percent"
    return 1.0, "the scores are not from 0 to 1: scores.divide or response.activation is missing"


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) else json.dumps(key)
