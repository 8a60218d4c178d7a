"""All that one run learned: the table of answers, and maps of every label from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import stdev
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from probe.errors import LabelError, nearest
from probe.heatmap import Heatmap
from probe.text import printable
from probe.types import (
    WHOLE,
    Box,
    Canvas,
    Estimator,
    Failure,
    Identity,
    Mask,
    Perturbation,
    Scores,
    region_of,
)

if TYPE_CHECKING:
    from PIL import Image


STEADY = 1e-3
"""A score that moves by less than this does not drift."""


def check_label(label: str | None, offered: tuple[str, ...]) -> None:
    """Raise LabelError for a label that is not offered; nothing offered means not known yet."""
    if label is None or not offered or label in offered:
        return
    shown = ", ".join(printable(known, 60) for known in offered[:20])
    more = f" and {len(offered) - 20} more" if len(offered) > 20 else ""
    raise LabelError(
        f"no label {printable(label, 60)!r}.{nearest(label, offered)} "
        f"The backend offers: {shown}{more}"
    )


def for_label(outcome: Scores | Failure, label: str, missing: float | None) -> Scores | Failure:
    """What an answer says of one label: where it leaves the label out, the score is `missing`,
    or there is none."""
    if isinstance(outcome, Failure) or label in outcome:
        return outcome
    if missing is None:
        return Failure(
            "invalid", f"no score for {printable(label, 60)!r} in the answer", billed=True
        )
    return Scores({**outcome, label: missing})


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of a run's table: what was asked, what came, and from where.

    source: `sent` (asked in this run), `ledger` (known before), `same` (the perturbation
    changed no pixel, so it has the reference's score and was not sent).
    """

    perturbation: Perturbation
    outcome: Scores | Failure
    source: Literal["sent", "ledger", "same"]


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """All that one run learned; maps of every label come from the same answers.

    settings    what is needed to repeat the run: method, its options, budget, seed, fill, codec.
    backend     the identity of who scored, None for a callable that states none.
    calls       images sent in this run, retries included. requests: how many requests.
    throttled   how often the service said that it was asked too much.
    cost        what may have been billed for, None where no price is known; `currency` names it.
    noise       standard deviation of the unchanged picture's scores, None with fewer than two.
    p_value     of a permutation test: how often shuffled answers give as strong a map of `label`;
                None before the run has ended, and with too few answers to tell.
    missing     the score of a label that an answer leaves out; None: then it is a failure.
    complete    the budget was answered (perhaps with failures); False for a snapshot.
    notes       sentences for people: what was converted, what the map cannot show.
    """

    image: Image.Image | None
    canvas: Canvas
    label: str
    reference: Scores
    answers: Sequence[Answer]
    estimator: Callable[[str], Estimator]
    settings: Mapping[str, Any]
    backend: str | None = None
    calls: int = 0
    requests: int = 0
    throttled: int = 0
    cost: float | None = None
    currency: str | None = None
    seconds: float = 0.0
    noise: float | None = None
    p_value: float | None = None
    complete: bool = True
    missing: float | None = None
    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        return (
            f"<Result {self.label!r} {self.reference[self.label]:.3g}, "
            f"{len(self.answers)} answers, {self.calls} calls, {len(self.failures)} failures>"
        )

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.reference)

    @property
    def failures(self) -> list[Answer]:
        """The variants without a score of the label, and why."""
        asked = ((answer, self.outcome(answer)) for answer in self.answers)
        return [
            replace(answer, outcome=outcome)
            for answer, outcome in asked
            if isinstance(outcome, Failure)
        ]

    def outcome(self, answer: Answer, label: str | None = None) -> Scores | Failure:
        """What an answer says of a label: scores that hold it, or why there is none."""
        return for_label(answer.outcome, self.label if label is None else label, self.missing)

    def heatmap(self, label: str | None = None) -> Heatmap:
        """The map of any label, rebuilt from the answers; costs no call.

        Its standard errors hold the noise floor of the service, or half of its drift.
        Raises LabelError for a label that the reference's answer does not hold.
        """
        label = self.label if label is None else label
        check_label(label, self.labels)
        estimator, known = self.estimator(label), 0
        for answer in self.answers:
            outcome = self.outcome(answer, label)
            if isinstance(outcome, Scores):
                estimator.update(answer.perturbation, outcome)
                known += 1
        heatmap = estimator.heatmap()
        if floor := self._floor(label, heatmap):
            widened = np.hypot(heatmap.planes.stderr, np.float32(floor))
            heatmap = replace(heatmap, planes=replace(heatmap.planes, stderr=widened))
        p_value = self.p_value if label == self.label else None
        return replace(heatmap, calls=self.calls, answers=known, image=self.image, p_value=p_value)

    def _floor(self, label: str, heatmap: Heatmap) -> float:
        """The error that all pixels share: half of the drift; without one that of the unchanged
        picture's score, which evidence is measured from."""
        if drift := self.drift(label):
            return drift / 2
        return (self.spread(label) or 0.0) if heatmap.kind == "evidence" else 0.0

    def spread(self, label: str | None = None) -> float | None:
        """Standard deviation of the unchanged picture's scores, None with fewer than two."""
        scores = [score for _, score in self._unchanged(label)]
        return stdev(scores) if len(scores) > 1 else None

    def drift(self, label: str | None = None) -> float:
        """How far the unchanged picture's score moved during the run, beyond how much it varied
        at the start; 0.0 where it did not, or was not asked often enough to know."""
        variants = (
            n for n, a in enumerate(self.answers) if not isinstance(a.perturbation, Identity)
        )
        start = next(variants, 0)
        unchanged = self._unchanged(label)
        early = [score for n, score in unchanged if n < start]
        late = [score for n, score in unchanged if n > start]
        if len(early) < 2 or not late:
            return 0.0
        low, high = min(early), max(early)
        moved = max(max(score - high, low - score) for score in late)
        return moved if moved > max(STEADY, high - low) else 0.0

    def _unchanged(self, label: str | None) -> list[tuple[int, float]]:
        """Position and score of the picture as sent, each time it was asked."""
        label = self.label if label is None else label
        found = []
        for n, answer in enumerate(self.answers):
            if isinstance(answer.perturbation, Identity) and not answer.perturbation.full:
                outcome = self.outcome(answer, label)
                if isinstance(outcome, Scores):
                    found.append((n, outcome[label]))
        return found

    @property
    def strongest(self) -> Answer | None:
        """The box with the lowest score of the label, the window or the kept region with the
        highest one; masks are left out, and the box over everything."""
        best: tuple[float, Answer] | None = None
        for answer in self.answers:
            outcome, change = self.outcome(answer), answer.perturbation
            if isinstance(change, Identity | Mask) or not isinstance(outcome, Scores):
                continue
            if isinstance(change, Box) and region_of(change) == WHOLE:
                continue
            effect = outcome[self.label] * (-1 if isinstance(change, Box) else 1)
            if best is None or effect > best[0]:
                best = effect, answer
        return None if best is None else best[1]

    def describe(self, answer: Answer) -> dict[str, Any]:
        """An answer in the user's terms, for JSON: kind, `box` in pixels of the upright picture
        (x0, y0, x1, y1), `area` as a share of it, `score` of the label or None."""
        change, outcome = answer.perturbation, self.outcome(answer)
        score = outcome[self.label] if isinstance(outcome, Scores) else None
        if isinstance(change, Identity):
            return {"kind": "identity", "box": None, "area": None, "score": score}
        if isinstance(change, Mask):
            area = sum(change.cells) / (255 * len(change.cells))
            return {"kind": "mask", "box": None, "area": area, "score": score}
        x0, y0, x1, y1 = (min(max(edge, 0.0), 1.0) for edge in region_of(change))
        width, height = self.canvas.size
        return {
            "kind": type(change).__name__.lower(),
            "box": [round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)],
            "area": (x1 - x0) * (y1 - y0),
            "score": score,
        }

    def save(self, folder: str | Path) -> list[Path]:
        """Write overlay.png, map.npy, map.npz, scores.csv, answers.json and run.json."""
        from probe.show import save_run

        return save_run(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, image: Any = None) -> Result:
        """Read what `save` wrote: the maps of all labels are the same, bit for bit.

        image: the picture, as anything that `open_image` takes; by default it is looked for near
        the folder. Raises UsageError where there is no run, or a damaged one.
        """
        from probe.show import load_run

        return load_run(Path(folder), image)

    def _repr_html_(self) -> str:
        from probe.show.notebook import result_html

        return result_html(self)

    def _repr_png_(self) -> bytes:
        return self.heatmap()._repr_png_()
