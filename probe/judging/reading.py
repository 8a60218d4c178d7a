"""The answers of both runs as curves, a control and remarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from statistics import mean

from probe.judging.control import Control
from probe.judging.curve import Curve
from probe.judging.design import SHARED, far_end
from probe.judging.judgement import Judgement
from probe.judging.metrics import STEPS
from probe.judging.ranking import Kind, Ranking
from probe.judging.task import FILLS, Task
from probe.result import Result
from probe.text import count, printable
from probe.types import Failure, Identity, Scores

OF_MAPS = {"map", "pixels"}
"""Words of the notes that are about a run's own map; here the map is another's."""
GAP = 0.01
"""References that differ by less are the same."""


@dataclass(frozen=True)
class Reference:
    """The unchanged picture's score: mean, its standard error with its drift, and the standard
    deviation of one score (None with fewer than two)."""

    score: float
    error: float
    noise: float | None

    @classmethod
    def of(cls, result: Result) -> Reference:
        outcomes = [
            result.outcome(answer)
            for answer in result.answers
            if isinstance(answer.perturbation, Identity) and not answer.perturbation.full
        ]
        scores = [one[result.label] for one in outcomes if isinstance(one, Scores)]
        error = hypot((result.noise or 0.0) / sqrt(len(scores)), result.drift() / 2)
        return cls(mean(scores), error, result.noise)


def read(
    task: Task,
    results: Mapping[Kind, Result],
    auroc: float | None = None,
    pointing: float | None = None,
) -> Judgement:
    """auroc, pointing: measured without the model."""
    reference = Reference.of(results["deletion"])

    def curves(ranking: Ranking, steps: Mapping[Kind, Sequence[int]]) -> dict[Kind, Curve]:
        return {k: _curve(results[k], k, ranking, steps[k], reference) for k in FILLS}

    own, *others = task.rankings
    whole = curves(own, {kind: range(STEPS + 1) for kind in FILLS})
    coarse = {kind: _shared_steps(whole[kind]) for kind in FILLS}
    controls = [curves(one, coarse) for one in others]
    control = Control(
        task.controls,
        curves(own, coarse),
        {kind: [one[kind] for one in controls] for kind in FILLS},
    )
    first, second = (results[kind] for kind in FILLS)
    return Judgement(
        label=first.label,
        heatmap=task.heatmap,
        image=task.picture.image,
        curves=whole,
        control=control,
        reference=first.reference,
        budget=task.budget,
        pointing=pointing,
        auroc=auroc,
        answers=len(first.answers) + len(second.answers) - task.unchanged,
        calls=first.calls + second.calls,
        requests=first.requests + second.requests,
        cost=None if first.cost is None or second.cost is None else first.cost + second.cost,
        currency=first.currency,
        seconds=first.seconds + second.seconds,
        failures=len(_failures(results)),
        notes=[*_notes(task, results, reference, whole)],
    )


def _shared_steps(whole: Curve) -> list[int]:
    """Those at which the map and its controls were asked; the far end, which they have in common,
    only where it has a score."""
    ends = {round(share * STEPS) for share, score in whole.points if score is not None}
    return sorted({*SHARED, *({0, STEPS} & ends)})


def _curve(
    result: Result, kind: Kind, ranking: Ranking, steps: Sequence[int], reference: Reference
) -> Curve:
    """What is known of the steps; those that were not asked are not among the points."""
    outcomes = {answer.perturbation: result.outcome(answer) for answer in result.answers}
    points: list[tuple[float, float | None]] = []
    for step in steps:
        outcome = outcomes.get(ranking.mask(kind, step))
        if step == STEPS - far_end(kind):
            points.append((step / STEPS, reference.score))
        elif outcome is not None:
            score = outcome[result.label] if isinstance(outcome, Scores) else None
            points.append((step / STEPS, score))
    return Curve(kind, points, reference.score, reference.noise, reference.error)


def _failures(results: Mapping[Kind, Result]) -> list[str]:
    """Why pictures have no score; the unchanged ones, which both runs hold, once."""
    failed = [
        answer
        for kind in FILLS
        for answer in results[kind].failures
        if kind == "deletion" or not isinstance(answer.perturbation, Identity)
    ]
    return [one.outcome.message for one in failed if isinstance(one.outcome, Failure)]


def _notes(
    task: Task,
    results: Mapping[Kind, Result],
    reference: Reference,
    curves: Mapping[Kind, Curve],
) -> Iterator[str]:
    """What people should know; what the runs say of a map of their own is left out."""
    said = (note for kind in FILLS for note in results[kind].notes)
    yield from dict.fromkeys(note for note in said if not OF_MAPS & set(note.split()))
    if why := Counter(_failures(results)).most_common(1):
        total = len(_failures(results))
        yield f"{count(total, 'changed picture')} got no score, holes in the curves: {why[0][0]}."
    scores = [score for curve in curves.values() for _, score in curve.points if score is not None]
    if min(scores) == max(scores):
        yield (
            "No change moved the score: the service ignores or caches what it is sent, or the "
            "label does not hang on what is in the picture."
        )
        return
    _, empty = curves["deletion"].points[-1]
    if empty is not None and empty >= reference.score:
        yield (
            f"A picture of nothing but its mean colour scores {empty:.3g}, the unchanged one "
            f"{reference.score:.3g}: the cover speaks for the label, so deletion says little."
        )
    made_at = task.heatmap.reference  # NaN of an array
    if abs(made_at - reference.score) > max(GAP, 2 * (reference.noise or 0.0)):
        label = printable(results["deletion"].label, 60)
        yield (
            f"The map was made where the picture scored {made_at:.3g} for {label!r}; here it "
            f"scores {reference.score:.3g}: it is judged by another service, size or codec."
        )
