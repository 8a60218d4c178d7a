"""What people should know about a run before they believe its map, in sentences."""

from __future__ import annotations

from collections import Counter

from probe.result import Result
from probe.text import count
from probe.types import Failure, Identity, Scores

FEW_LEVELS = 6
MANY_VARIANTS = 16
SMALL = 0.01
CHANCE = 0.05
"""A map that shuffled answers match more often than this may be noise."""


def findings(result: Result, unknown: int = 0, damaged: int = 0, lost: int = 0) -> list[str]:
    """Sentences on what the answers cannot show.

    unknown: how many variants an earlier run sent without ever receiving their answer.
    damaged: how many stored answers do not fit their checksum. lost: how many variants this run
    sent again because their answer never came.
    """
    notes = []
    if damaged:
        notes.append(
            f"{count(damaged, 'stored answer')} damaged and asked again: see `probe ledger verify`."
        )
    if unknown:
        notes.append(
            f"{count(unknown, 'variant')} in flight when another run ended, or still is; "
            "asked again, perhaps billed twice."
        )
    if lost:
        notes.append(
            f"The answer to {count(lost, 'variant')} never came; sent again, perhaps billed twice."
        )
    asked = [
        result.outcome(answer)
        for answer in result.answers
        if not isinstance(answer.perturbation, Identity)
    ]
    scores = [outcome[result.label] for outcome in asked if isinstance(outcome, Scores)]
    notes += _spread(scores, result)
    notes += _drift(result)
    notes += _full_size(result)
    return notes + _holes(result, empty=not scores)


def _holes(result: Result, empty: bool) -> list[str]:
    """How many variants got no score, and what was said most often."""
    messages = [a.outcome.message for a in result.failures if isinstance(a.outcome, Failure)]
    if not messages:
        return []
    why, _ = Counter(messages).most_common(1)[0]
    holes, them = len(messages), "it" if len(messages) == 1 else "them"
    if empty:
        return [f"Not one of {count(holes, 'variant')} got a score, so there is no map: {why}."]
    return [f"{count(holes, 'variant')} got no score; the map leaves {them} out: {why}."]


def _spread(scores: list[float], result: Result) -> list[str]:
    if len(scores) < MANY_VARIANTS:
        return []
    low, high = min(scores), max(scores)
    if low == high:
        return [
            "Every variant got the same score: the map is flat, or the service ignores or caches "
            "what it is sent."
        ]
    if result.p_value is not None and result.p_value > CHANCE:
        return [
            "It does not matter which part is changed: shuffled answers give as strong a map in "
            f"{result.p_value:.0%} of the cases, so nothing is significant."
        ]
    levels = len(set(scores))
    if levels <= FEW_LEVELS:
        return [f"The scores take only {levels} values: pixels cannot be ranked finely."]
    return []


def _drift(result: Result) -> list[str]:
    drift = result.drift()
    if not drift:
        return []
    return [
        f"The score of the unchanged picture moved by {drift:.2g} during the run: differences "
        "below that mean nothing, and the standard errors are widened by half of it."
    ]


def _full_size(result: Result) -> list[str]:
    """Compare the picture at full size with what was sent, where the two differ."""
    for answer in result.answers:
        if not (isinstance(answer.perturbation, Identity) and answer.perturbation.full):
            continue
        outcome = result.outcome(answer)
        if not isinstance(outcome, Scores):
            continue
        full, sent = outcome[result.label], result.reference[result.label]
        if abs(full - sent) > max(SMALL, 2 * (result.noise or 0)):
            width, height = result.canvas.send
            return [
                f"At full size the score is {full:.3g}, at {width} x {height} as sent {sent:.3g}: "
                "the map is about the smaller picture."
            ]
    return []
