"""What a run that was stopped says."""

from __future__ import annotations

from collections.abc import Sequence

from probe.errors import AuthError, BackendError, ContractError, QuotaExhausted, RateLimited
from probe.result import Answer
from probe.text import count
from probe.types import Order, Scores


def explained(stop: BaseException, order: Order, answers: Sequence[Answer]) -> BaseException:
    """The error with the exit code of where it came, and with what is kept and left where the
    service ended the run in the middle."""
    if answers and isinstance(stop, AuthError | QuotaExhausted | RateLimited):
        kept = sum(isinstance(answer.outcome, Scores) for answer in answers)
        left = order.answers - kept
        stop.args = (
            f"{stop}; {count(kept, 'answer')} kept, {left} left: the same command goes on",
        )
    elif isinstance(stop, BackendError) and len(answers) > 1:
        stop.exit_code = 4 if isinstance(stop, ContractError) else 3
    return stop
