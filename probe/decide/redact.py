"""The smallest cover that changes the decision: redact(prober, "party.jpg", below=0.5).

The answers of a map guide a search for few, small boxes, at the size that is sent. The cover that
it finds is put on the picture at full size, and that picture is sent, and has to pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from probe.decide.redact_picture import Final, finished
from probe.decide.redact_record import Redaction, Tried
from probe.decide.redact_work import Work, by_size, tried
from probe.decide.search import Goal, Ground
from probe.decide.search_moves import area
from probe.errors import UsageError
from probe.limits import Limits
from probe.result import Result
from probe.text import count
from probe.types import WHOLE, Codec, Failure, Scores

if TYPE_CHECKING:
    from probe.prober import Prober, Source

ATTEMPTS = 3
"""So many finished pictures are sent at most."""
DEFAULT = 0.5
FLAT = 1e-6
TINY = 0.01
SMALL = (
    "So small a cover hides little: the score hangs on fine detail, and another version of the "
    "model may not agree. A threshold further away gets a larger cover."
)
SURE = 0.1
"""How much further than it fell short a cover has to go at the next attempt, in log-odds."""


def redact(
    prober: Prober,
    image: Source,
    label: str | None = None,
    below: float | None = None,
    above: float | None = None,
    budget: int = 64,
    *,
    map_budget: int = 64,
    boxes: int = 3,
    max_area: float = 0.5,
    seed: int = 0,
    codec: Codec | None = None,
    watch: Callable[[Result], object] = lambda result: None,
) -> Redaction:
    """Find the smallest cover that brings the score of `label` under `below` (or, with `above`,
    to it or over it), and make sure by a call on the finished picture.

    label: by default the backend's own question, else the label with the highest score.
    below, above: between 0 and 1, one of them; by default `below` the service's own threshold,
        or 0.5. A score of exactly the threshold counts as yes.
    budget: how many answers may be used beside those of the map (`map_budget`), the finished
        picture's among them. boxes: how many a cover may consist of. max_area: the largest share
        of the picture that may be covered. codec: the form of the finished file, PNG by default.
    watch: called with a Result whenever answers came in.

    That nothing was found is an answer, not an error. Raises what `Prober.probe` raises, and
    UsageError for numbers that make no sense, before any call.
    """
    _check(below, above, budget, boxes, max_area)
    codec = codec or Codec("png")
    alone = prober.score(image, label)
    work = Work(prober, alone, seed, watch)
    unchanged = by_size(alone)
    goal = _goal(alone, below, above, prober.backend.limits)
    start = Redaction(
        found=False,
        label=alone.label,
        threshold=goal.threshold,
        above=goal.above,
        reference=dict(alone.reference),
        score=None,
        spent=work.spent,
        notes=alone.notes,
        backend=alone.backend,
        picture=work.picture.name,
    )
    if all(map(goal.passes, unchanged.values())):
        return _passed(start, finished(work.renderer, (), codec), unchanged)
    mapped = work.map(map_budget)
    ground = Ground(alone.canvas, boxes)
    sure = _surely(goal, mapped.noise or 0.0)
    aimed = _aimed(sure, unchanged)
    search, searched = work.search(ground, aimed, mapped, budget - ATTEMPTS * len(unchanged))
    tries = [*tried(mapped, "map", {}), *tried(searched, "search", search.asked)]
    start = replace(start, notes=_remarks((alone, mapped, searched), aimed))
    within = [cover for cover in search.passing(goal) if ground.share(cover) <= max_area]
    cover = search.best or max(within, key=search.taken, default=None)
    short, barely = list[str](), None
    for attempt in range(ATTEMPTS):
        if cover is None or ground.share(cover) > max_area:
            break
        final = finished(work.renderer, cover, codec)
        scores = work.verify(final)
        worst = min(scores.values(), key=goal.taken)
        tries.append(Tried(final.boxes, final.area, worst, "final"))
        start = replace(start, notes=(*start.notes, *short), tried=tries)
        if all(map(sure.passes, scores.values())):
            return _passed(start, final, scores)
        if all(map(goal.passes, scores.values())):
            barely = barely or (final, scores)
        else:
            short = [_short(final.area, worst)]
        aimed = aimed.harder(sure.needed - sure.taken(worst) + SURE)
        larger = [other for other in search.passing(aimed) if area(other) > area(cover)]
        cover = min(larger, key=area, default=ground.moves.grown(cover, attempt + 1))
    if barely is not None:
        return _passed(start, *barely)
    return _missed(replace(start, notes=(*start.notes, *short), tried=tries), goal, max_area)


def _passed(start: Redaction, final: Final, scores: Mapping[str, float]) -> Redaction:
    notes = [SMALL] if 0 < final.area < TINY else []
    return replace(
        start,
        found=True,
        notes=(*start.notes, *notes),
        score=scores["sent"],
        scores=scores,
        boxes=final.boxes,
        area=final.area,
        image=final.image,
        data=final.data,
    )


def _missed(start: Redaction, goal: Goal, max_area: float) -> Redaction:
    """With the closest that any cover came, and whether a larger one would do."""
    scored = [one for one in start.tried if one.score is not None]
    if not scored:
        return replace(start, notes=(*start.notes, "No covered picture got a score."))
    closest = max(scored, key=lambda one: goal.taken(one.score or 0.0))
    passing = [one.area for one in scored if one.score is not None and goal.passes(one.score)]
    notes = [*start.notes]
    if passing and min(passing) > max_area:
        notes.append(
            f"Covering {min(passing):.0%} of the picture would do, more than the {max_area:.0%} "
            "that may be covered."
        )
    return replace(start, score=closest.score, notes=notes)


def _short(area: float, worst: float) -> str:
    return (
        f"The finished picture with {area:.1%} covered scored {worst:.3g}, other than the variant "
        "that was searched with: more was covered."
    )


def _remarks(runs: Sequence[Result], goal: Goal) -> list[str]:
    """What the runs noted, but for what is about a map, and what they say together."""
    notes = list(dict.fromkeys(note for run in runs for note in run.notes if "map" not in note))
    canvas = runs[0].canvas
    outcomes = [run.outcome(answer) for run in runs for answer in run.answers]
    scores = [outcome[goal.label] for outcome in outcomes if isinstance(outcome, Scores)]
    failed = [outcome.message for outcome in outcomes if isinstance(outcome, Failure)]
    if failed:
        ((why, _),) = Counter(failed).most_common(1)
        notes.append(f"{count(len(failed), 'covered picture')} got no score: {why}.")
    least = max(FLAT, 2 * goal.noise)
    if scores and max(abs(score - goal.reference) for score in scores) <= least:
        notes.append(
            f"No cover moved the score by more than {least:.2g}: the label hangs on nothing in "
            "the picture, or the service ignores what it is sent."
        )
    if canvas.seen != WHOLE:
        width, height = canvas.size
        x0, y0, x1, y1 = canvas.seen
        box = f"{round(x0 * width)},{round(y0 * height)}-{round(x1 * width)},{round(y1 * height)}"
        notes.append(f"The model looks at {box} px alone: what lies outside needs no cover.")
    return notes


def _goal(alone: Result, below: float | None, above: float | None, limits: Limits) -> Goal:
    threshold = above if above is not None else below
    if threshold is None:
        asked = limits.threshold if alone.label == limits.question else None
        threshold = DEFAULT if asked is None else asked
    reference = alone.reference[alone.label]
    above_it = above is not None
    return Goal(alone.label, threshold, reference, above_it, missing=alone.missing)


def _surely(goal: Goal, noise: float) -> Goal:
    """With a threshold that two standard deviations of the noise do not carry a score over."""
    margin = 2 * noise * (1 if goal.above else -1)
    return replace(goal, threshold=min(max(goal.threshold + margin, 0.0), 1.0), noise=noise)


def _aimed(goal: Goal, unchanged: Mapping[str, float]) -> Goal:
    """What the search at send size has to reach. Where the picture passes as it is sent and only
    its full size does not, the full size tells how far there is to go."""
    gap = max(-goal.taken(score) for score in unchanged.values())
    return goal.harder(gap) if goal.passes(unchanged["sent"]) else goal


def _check(
    below: float | None, above: float | None, budget: int, boxes: int, max_area: float
) -> None:
    if below is not None and above is not None:
        raise UsageError("give below or above, not both")
    for name, value in (("below", below), ("above", above), ("max_area", max_area)):
        if value is not None and not 0 <= value <= 1:
            raise UsageError(f"{name} must be between 0 and 1, not {value}")
    if isinstance(budget, int) and 0 < budget <= 2 * ATTEMPTS:
        raise UsageError(
            f"the budget is {budget}: it must be at least {2 * ATTEMPTS + 1} ({2 * ATTEMPTS} for "
            "sending finished pictures, at both sizes)"
        )
    if below == 0:
        raise UsageError("no score is below 0: give below a number above 0")
    for name, number in (("budget", budget), ("boxes", boxes)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise UsageError(f"{name} must be a whole number from 1, not {number!r}")
