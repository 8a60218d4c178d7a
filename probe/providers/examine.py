"""What a service does to pictures beside scoring them, each told by the fewest calls.

Does it repeat itself, keep the order of a batch, take the batch and the small pictures that it
states, trim uniform borders, or look at no more than the middle?
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import ceil, log2
from typing import Literal

import numpy as np
from PIL import Image

from probe.errors import BackendError, UsageError, nearest
from probe.limits import Limits
from probe.providers.asking import Desk, distance
from probe.providers.specimens import banded, fitted, framed, landscape, scrambled
from probe.text import count, printable
from probe.types import Failure, Scores

CHECKS = ("contract", "repeat", "order", "batch", "min_side", "borders", "rim")
SIDES = (1, 2, 8, 16, 32, 50, 64, 80, 96, 128, 224)
"""Smallest sides that services are known to ask for, and some between."""
SMALL = 64
BAND = 1 / 32
WIDER = (1 / 16, 3 / 32, 1 / 8, 3 / 16)
EXACT = 1e-6
NEAR = 0.02
DARK = 64

Verdict = Literal["ok", "note", "bad", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    ok: as stated. note: good to know before a map is read. bad: not what is stated, so that maps
    would be wrong or calls lost. unknown: these pictures cannot tell.
    """

    check: str
    verdict: Verdict
    said: str
    calls: int


def most_calls(limits: Limits, skip: Collection[str] = ()) -> int:
    """The pictures that `examine` sends at most, when nothing has to be sent again."""
    batch = limits.batch
    halved = sum(batch >> step for step in range(batch.bit_length() - 1)) if batch > 1 else 0
    calls = {
        "contract": 1,
        "repeat": 0 if limits.deterministic else 1,
        "order": 4 if batch > 1 else 0,
        "batch": halved,
        "min_side": 1 + ceil(log2(len(SIDES) + 1)),
        "borders": 3,
        "rim": 4 + ceil(log2(len(WIDER) + 1)),
    }
    return sum(number for check, number in calls.items() if check not in skip)


def examine(
    desk: Desk,
    limits: Limits,
    picture: Image.Image,
    skip: Collection[str] = (),
    trims: bool | None = None,
) -> Iterator[Finding]:
    """The findings, one after the other; the first is always that of `contract`.

    picture: one that the service scores high, so that changes show. skip: names of CHECKS.
    trims: what the profile says of borders. Raises BackendError where not even the picture by
    itself gets a score, UsageError for a check that there is not.
    """
    for name in skip:
        if name not in CHECKS[1:]:
            raise UsageError(
                f"no check {name!r} to leave out.{nearest(name, CHECKS[1:])} "
                f"There are: {', '.join(CHECKS[1:])}"
            )
    examiner = _Examiner(desk, limits, picture, trims)
    for name in CHECKS:
        if name not in skip:
            before = desk.calls
            verdict, said = getattr(examiner, name)()
            yield Finding(name, verdict, said, desk.calls - before)


_Found = tuple[Verdict, str]


class _Examiner:
    def __init__(
        self, desk: Desk, limits: Limits, picture: Image.Image, trims: bool | None
    ) -> None:
        self._desk = desk
        self._limits = limits
        self._trims = trims
        self._noise = EXACT
        self.picture = fitted(picture, limits)
        self.other = scrambled(self.picture)
        self._scores = Scores({})

    def contract(self) -> _Found:
        answer = self._desk.score(self.picture)
        if isinstance(answer, Failure):
            raise BackendError(f"the picture by itself gets no score: {answer.message}")
        question = self._limits.question
        self._scores = answer
        top = max(answer, key=lambda label: answer[label])
        said = f"{count(len(answer), 'label')}, {printable(top, 60)} {answer[top]:.3g}"
        if question is not None and question not in answer:
            return "bad", f"{said}, but no {question!r}"
        return "ok", said

    def repeat(self) -> _Found:
        if self._limits.deterministic:
            return "ok", "states that it repeats itself"
        again = self._desk.score(self.picture)
        if isinstance(again, Failure):
            return "bad", f"the same picture fails the second time: {again.message}"
        apart = distance(self._scores, again)
        self._noise = max(EXACT, 3 * apart)
        if apart <= EXACT:
            return "ok", "the same picture gets the same scores"
        return "note", f"the same picture differs by {apart:.2g}: smaller effects mean nothing"

    def order(self) -> _Found:
        if self._limits.batch == 1:
            return "ok", "one picture a request"
        answers = [
            *self._desk.ask(self.picture, self.other),
            *self._desk.ask(self.other, self.picture),
        ]
        scores = [answer for answer in answers if isinstance(answer, Scores)]
        failures = [answer for answer in answers if isinstance(answer, Failure)]
        if failures:
            return "bad", f"two pictures in a request fail: {failures[0].message}"
        # Where the picture's own scores stand in both answers, and those of the other one.
        fits = {
            places: distance(scores[places[0]], self._scores)
            + distance(scores[2 + places[1]], self._scores)
            + distance(scores[1 - places[0]], scores[3 - places[1]])
            for places in ((0, 1), (1, 0), (0, 0), (1, 1))
        }
        best, second = sorted(fits, key=lambda places: fits[places])[:2]
        if fits[second] - fits[best] <= 2 * self._noise:
            return "unknown", "both pictures score alike: give one that scores high"
        if best == (0, 1):
            return "ok", "[A, B] and [B, A] are answered in their order"
        return "bad", "the answers are in another order than the pictures: send one at a time"

    def batch(self) -> _Found:
        size = self._limits.batch
        if size == 1:
            return "ok", "one picture a request"
        side = max(SMALL, self._limits.min_side)
        small = self.picture.resize((side, side))
        refused = ""
        while size > 1:
            answers = self._desk.ask(*[small] * size)
            failures = [answer for answer in answers if isinstance(answer, Failure)]
            if not failures and not refused:
                return "ok", f"{size} pictures a request are taken"
            if not failures:
                stated = self._limits.batch
                return "bad", f"{size} pictures a request are taken, not {stated}: {refused}"
            refused = refused or failures[0].message
            size //= 2
        return "bad", f"no two pictures a request are taken: {refused}"

    def min_side(self) -> _Found:
        stated = self._limits.min_side
        refused = self._too_small(stated)
        if refused is None:
            return "ok", f"{stated} x {stated} px is taken"
        sides = [side for side in SIDES if stated < side < min(self.picture.size)]
        low, high = 0, len(sides)
        while low < high:
            middle = (low + high) // 2
            if self._too_small(sides[middle]) is None:
                high = middle
            else:
                low = middle + 1
        least = sides[low] if low < len(sides) else min(self.picture.size)
        return "bad", f"{stated} x {stated} px is refused, {least} x {least} taken: {refused}"

    def borders(self) -> _Found:
        answer = self._desk.score(framed(self.picture))
        if isinstance(answer, Failure):
            return "unknown", f"the picture in a plain frame gets no score: {answer.message}"
        plain, busy = distance(answer, self._scores), 0.0
        if plain <= max(NEAR, self._noise):
            answer = self._desk.score(framed(self.picture, self.other))
            busy = distance(answer, self._scores) if isinstance(answer, Scores) else 0.0
            if busy <= 2 * self._noise:
                return "unknown", "no frame changes the score: give a picture that scores high"
        trims = plain <= max(self._noise, busy / 20) and self._ignores_frames(busy)
        if self._trims is not None and trims != self._trims:
            does = "trims" if trims else "does not trim"
            return "bad", f"it {does} plain borders, and its profile says otherwise"
        if trims:
            return "note", "plain borders are trimmed: use --fill blur or noise"
        return "ok", "plain borders are not trimmed"

    def _ignores_frames(self, busy: float) -> bool:
        """Whether a black frame (white around a dark picture) has no effect, either: one of the
        mean colour has none where a service looks at nothing but that. busy: a busy one's effect.
        """
        bright = np.asarray(self.picture, dtype=float).mean(axis=(0, 1)).max() > DARK
        colour = (0, 0, 0) if bright else (255, 255, 255)
        answer = self._desk.score(framed(self.picture, Image.new("RGB", (1, 1), colour)))
        if isinstance(answer, Failure):
            return True
        return distance(answer, self._scores) <= max(self._noise, busy / 4)

    def rim(self) -> _Found:
        """Whether the outermost band of the longer side has any effect, and how wide it is not."""
        base = landscape(self.other)
        alone = self._desk.score(base)
        if isinstance(alone, Failure):
            return "unknown", f"a made-up picture gets no score: {alone.message}"

        def blind(share: float, axis: int) -> bool | None:
            answer = self._desk.score(banded(base, self.picture, share, axis))
            if isinstance(answer, Failure):
                return None
            return distance(answer, alone) <= self._noise

        if not blind(BAND, 0):
            return "ok", "the outermost pixels count"
        if blind(0.5, 0) is not False:
            return "unknown", "parts of the picture change nothing: give one that scores high"
        low, high = -1, len(WIDER)
        while high - low > 1:
            middle = (low + high) // 2
            if blind(WIDER[middle], 0):
                low = middle
            else:
                high = middle
        share = BAND if low < 0 else WIDER[low]
        where = "all four sides" if blind(BAND, 1) else "left and right of a 4:3 picture"
        return "note", f"at least {share:.0%} of the picture on {where} is not looked at"

    def _too_small(self, side: int) -> str | None:
        answer = self._desk.score(self.picture.resize((side, side)))
        return answer.message if isinstance(answer, Failure) else None
