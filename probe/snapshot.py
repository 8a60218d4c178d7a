"""What is known of a run at one moment, as a Result."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Literal

from probe.api.transport.purse import Purse
from probe.estimate.permutation import p_value
from probe.loop import Loop
from probe.notes import findings
from probe.plan import Run
from probe.result import Result, for_label
from probe.types import Identity, Scores


def snapshot(
    run: Run,
    loop: Loop,
    purse: Purse,
    started: float,
    label: str,
    ended: Literal["complete", "stopped"] | None = None,
    reason: str = "",
) -> Result:
    """What is known now; what takes a look at every answer is left to the last one.

    reason: why no more was asked, of a run that ended before its budget did.
    """
    reference = for_label(loop.answers[0].outcome, label, run.limits.missing)
    assert isinstance(reference, Scores)
    price = run.limits.price
    result = Result(
        image=run.picture.image,
        canvas=run.canvas,
        label=label,
        reference=reference,
        answers=loop.answers[:],
        estimator=partial(run.method.estimator, run.canvas),
        settings={**run.settings, "label": label},
        backend=run.identity,
        calls=purse.calls,
        requests=purse.requests,
        throttled=purse.throttled,
        cost=None if price is None else price.of(purse.bills),
        currency=None if price is None else price.currency,
        seconds=time.monotonic() - started,
        complete=ended == "complete",
        missing=run.limits.missing,
        notes=run.picture.notes,
    )
    if ended is None:
        return result
    result = replace(result, noise=result.spread(), p_value=_p_value(result))
    remarks = findings(result, loop.unknown, loop.ledger.damaged, purse.lost)
    said = (*result.notes, *remarks)
    return replace(result, notes=(reason, *said) if reason else said)


def _p_value(result: Result) -> float | None:
    """Whether it matters for the label which part is changed, by a permutation test."""
    changes, scores = [], []
    for answer in result.answers:
        outcome = result.outcome(answer)
        if isinstance(outcome, Scores) and not isinstance(answer.perturbation, Identity):
            changes.append(answer.perturbation)
            scores.append(outcome[result.label])
    return p_value(changes, scores, result.canvas)
