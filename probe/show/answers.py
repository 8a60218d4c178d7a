"""A run's answers as JSON: exactly what was asked and what came, for maps of any label later on."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, get_args

from probe.perturb import kind
from probe.result import Answer
from probe.types import (
    Box,
    Failure,
    FailureKind,
    Identity,
    Keep,
    Mask,
    Perturbation,
    Rectangle,
    Region,
    Scores,
    Window,
    region_of,
)

MAX_ANSWERS = 1_000_000
MAX_CELLS = 2**27
"""Of all masks together."""
RECTANGLES: dict[str, type[Rectangle]] = {"box": Box, "window": Window, "keep": Keep}
UNCHANGED = ("identity", "repeat", "full")
SOURCES = ("sent", "ledger", "same")


def packed(answers: Sequence[Answer]) -> dict[str, Any]:
    """`labels`: each list of labels once. `answers`: one object an answer, in plan order."""
    lists: dict[tuple[str, ...], int] = {}
    rows = [
        {"change": _change(answer.perturbation), "source": answer.source, **_outcome(answer, lists)}
        for answer in answers
    ]
    return {"labels": [list(labels) for labels in lists], "answers": rows}


def _change(change: Perturbation) -> dict[str, Any]:
    if isinstance(change, Identity):
        return {"kind": kind(change), "repeat": change.repeat}
    about: dict[str, Any] = {
        "kind": kind(change),
        "edges": [float(edge) for edge in region_of(change)],
    }
    if isinstance(change, Mask):
        cells = b64encode(zlib.compress(change.cells)).decode("ascii")
        about |= {"columns": change.columns, "smooth": change.smooth, "cells": cells}
    return about


def _outcome(answer: Answer, lists: dict[tuple[str, ...], int]) -> dict[str, Any]:
    outcome = answer.outcome
    if isinstance(outcome, Failure):
        about = {"kind": outcome.kind, "message": outcome.message, "billed": outcome.billed}
        return {"failure": about}
    return {
        "labels": lists.setdefault(tuple(outcome), len(lists)),
        "scores": list(outcome.values()),
    }


def unpacked(table: Mapping[str, Any]) -> list[Answer]:
    """What `packed` made of answers. Raises ValueError, TypeError, KeyError, LookupError or
    zlib.error for anything else: what is read may have been written by anybody."""
    lists = [tuple(_text(label) for label in labels) for labels in table["labels"]]
    rows = table["answers"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ANSWERS:
        raise ValueError("no list of answers")
    answers, room = [], MAX_CELLS
    for row in rows:
        if row["source"] not in SOURCES:
            raise ValueError("no source of an answer")
        change = _perturbation(row["change"], room)
        room -= len(change.cells) if isinstance(change, Mask) else 0
        answers.append(Answer(change, _read(row, lists), row["source"]))
    return answers


def _perturbation(about: Mapping[str, Any], room: int) -> Perturbation:
    named = about["kind"]
    if named in UNCHANGED:
        return Identity(repeat=_whole(about["repeat"]), full=named == "full")
    x0, y0, x1, y1 = (finite(edge) for edge in about["edges"])
    if x0 > x1 or y0 > y1:
        raise ValueError("edges in the wrong order")
    if named == "mask":
        return _mask(about, (x0, y0, x1, y1), room)
    return RECTANGLES[named](x0, y0, x1, y1)


def _mask(about: Mapping[str, Any], region: Region, room: int) -> Mask:
    """room: cells that it may have."""
    unpacker = zlib.decompressobj()
    cells = unpacker.decompress(b64decode(about["cells"], validate=True), room + 1)
    if len(cells) > room:
        raise ValueError("masks of too many cells")
    return Mask(cells, _whole(about["columns"]), region, about["smooth"] is True)


def _read(row: Mapping[str, Any], lists: Sequence[tuple[str, ...]]) -> Scores | Failure:
    if "failure" in row:
        about = row["failure"]
        if about["kind"] not in get_args(FailureKind):
            raise ValueError("no kind of a failure")
        return Failure(about["kind"], _text(about["message"]), billed=about["billed"] is True)
    labels = lists[_whole(row["labels"])]
    return Scores(dict(zip(labels, map(finite, row["scores"]), strict=True)))


def finite(value: Any) -> float:
    """A number that a score or an edge can be."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        raise ValueError("no finite number")
    return float(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("no whole number from 0")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
