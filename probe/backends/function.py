"""Any Python function that scores pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from numbers import Real
from typing import TYPE_CHECKING, Any

from probe.errors import BackendError, ContractError, ProbeError, UsageError
from probe.limits import Limits
from probe.text import printable
from probe.types import Codec, Failure, Scores, Variant

if TYPE_CHECKING:
    from PIL import Image

    Function = Callable[[list[Image.Image]], Sequence[Mapping[str, float]]]

LARGEST = 1e30
"""Beyond it sums and squares of scores lose their meaning."""


def from_callable(
    fn: Function,
    labels: Sequence[str],
    *,
    identity: str | None = None,
    batch: int = 32,
    deterministic: bool = True,
    question: str | None = None,
) -> CallableBackend:
    """A backend out of `fn(list of RGB PIL images) -> list of {label: score}`, one for each.

    labels: those every answer must hold; an answer may hold more, and they are kept.
    identity: a name that changes whenever the scores would. Without one the answers are kept
        in memory only, because the code of `fn` may change under a ledger.
    batch: the longest list that `fn` takes. deterministic: equal pixels get equal scores.

    Scores are finite numbers of any range; numpy's are fine. A bool is a decision, not a score,
    and is refused. An item that is no such mapping (or None) is a failure of that variant
    alone; a list of another length, or an exception, is an error of the whole batch.
    """
    return CallableBackend(fn, labels, identity, batch, deterministic, question)


class CallableBackend:
    def __init__(
        self,
        fn: Function,
        labels: Sequence[str],
        identity: str | None,
        batch: int,
        deterministic: bool,
        question: str | None,
    ) -> None:
        self._fn = fn
        self._labels = (labels,) if isinstance(labels, str) else tuple(labels)
        if not callable(fn):
            raise UsageError(f"from_callable needs a function, not {type(fn).__name__}")
        if not self._labels:
            raise UsageError("labels must be at least one name")
        if batch < 1:
            raise UsageError(f"batch must be at least 1, not {batch}")
        if question is not None and question not in self._labels:
            raise UsageError(f"question {question!r} is not one of the labels {self._labels}")
        self.identity = identity
        self.limits = Limits(
            batch=batch,
            formats=("pixels",),
            labels=self._labels,
            question=question,
            deterministic=deterministic,
        )

    def __repr__(self) -> str:
        return f"from_callable({self._name}, {list(self._labels)!r})"

    @property
    def _name(self) -> str:
        return getattr(self._fn, "__qualname__", type(self._fn).__name__)

    def score(self, variants: Sequence[Variant], codec: Codec) -> list[Scores | Failure]:
        images = [variant.pixels() for variant in variants]
        try:
            return self._read(self._fn(images), len(variants))
        except ProbeError:
            raise
        except Exception as error:
            cause = f"{type(error).__name__}: {_shown(error, str, 200)}".removesuffix(": ")
            raise BackendError(f"{self._name} raised {cause}") from error

    def _read(self, answer: Any, expected: int) -> list[Scores | Failure]:
        if isinstance(answer, Mapping | str | bytes) or not hasattr(answer, "__iter__"):
            raise ContractError(
                f"{self._name} must return a list of {{label: score}}, "
                f"one for each picture, not {type(answer).__name__}"
            )
        items = list(islice(answer, expected + 1))
        if len(items) != expected:
            told = len(answer) if hasattr(answer, "__len__") else f"{len(items)} or more"
            raise ContractError(f"{self._name} returned {told} answers for {expected} pictures")
        return [self._checked(item) for item in items]

    def _checked(self, item: Any) -> Scores | Failure:
        if isinstance(item, Failure):
            return item
        if not isinstance(item, Mapping):
            return Failure("invalid", f"{self._name} gave {_shown(item)}, not a dict")
        for label in self._labels:
            if label not in item:
                return Failure("invalid", f"{self._name} gave no score for {label!r}")
        for label, value in item.items():
            if not isinstance(label, str):
                return Failure("invalid", f"the label {_shown(label)} is not a string")
            if not is_score(value):
                shown = _shown(value)
                return Failure("invalid", f"the score of {printable(label, 40)!r} is {shown}")
        return Scores({label: float(value) for label, value in item.items()})


def _shown(value: Any, spell: Callable[[Any], str] = repr, limit: int = 40) -> str:
    """`value` in words, also where its own code for that fails."""
    try:
        return printable(spell(value), limit)
    except Exception:
        return f"a {type(value).__name__}"


def is_score(value: Any) -> bool:
    """Whether `value` is a real number (numpy's too), no bool, and within +-1e30."""
    if getattr(value, "shape", None) == ():
        value = value.item()
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return abs(float(value)) <= LARGEST
    except OverflowError:
        return False
