"""What is known of a run at one moment, as a Result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import stdev
from typing import Literal

from probe.api.purse import Purse
from probe.loop import Loop
from probe.notes import findings
from probe.plan import Run
from probe.result import Answer, Result
from probe.types import Identity, Scores


def snapshot(
    run: Run,
    loop: Loop,
    purse: Purse,
    started: float,
    label: str,
    ended: Literal["complete", "stopped"] | None = None,
) -> Result:
    """What is known now; what takes a look at every answer is left to the last one."""
    reference = loop.answers[0].outcome
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
        cost=None if price is None else purse.calls * price.per_call,
        currency=None if price is None else price.currency,
        seconds=time.monotonic() - started,
        complete=ended == "complete",
        notes=run.picture.notes,
    )
    if ended is None:
        return result
    result = replace(result, noise=_noise(loop.answers, label))
    return replace(
        result, notes=(*result.notes, *findings(result, loop.unknown, loop.ledger.damaged))
    )


def _noise(answers: Sequence[Answer], label: str) -> float | None:
    """Standard deviation of the unchanged picture's scores; None with fewer than two."""
    scores = [
        answer.outcome[label]
        for answer in answers
        if isinstance(answer.perturbation, Identity)
        and not answer.perturbation.full
        and isinstance(answer.outcome, Scores)
        and label in answer.outcome
    ]
    return stdev(scores) if len(scores) > 1 else None
