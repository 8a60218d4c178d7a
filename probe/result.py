"""All that one run learned: the table of answers, and maps of every label from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from probe.errors import LabelError, nearest
from probe.heatmap import Heatmap
from probe.text import printable
from probe.types import Canvas, Estimator, Failure, Identity, Perturbation, Scores, Window

if TYPE_CHECKING:
    from PIL import Image


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
    cost        calls times the price, None where no price is known; `currency` names it.
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
    cost: float | None = None
    currency: str | None = None
    seconds: float = 0.0
    noise: float | None = None
    complete: bool = True
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
        return [answer for answer in self.answers if isinstance(answer.outcome, Failure)]

    def heatmap(self, label: str | None = None) -> Heatmap:
        """The map of any label, rebuilt from the answers; costs no call.

        Raises LabelError for a label that the reference's answer does not hold.
        """
        label = self.label if label is None else label
        check_label(label, self.labels)
        estimator = self.estimator(label)
        for answer in self.answers:
            if isinstance(answer.outcome, Scores):
                estimator.update(answer.perturbation, answer.outcome)
        known = sum(isinstance(answer.outcome, Scores) for answer in self.answers)
        return replace(estimator.heatmap(), calls=self.calls, answers=known, image=self.image)

    @property
    def strongest(self) -> Answer | None:
        """The cover with the lowest score of the label (the window with the highest one)."""
        best: tuple[float, Answer] | None = None
        for answer in self.answers:
            outcome, change = answer.outcome, answer.perturbation
            if isinstance(change, Identity) or not isinstance(outcome, Scores):
                continue
            if self.label in outcome:
                effect = outcome[self.label] * (1 if isinstance(change, Window) else -1)
                if best is None or effect > best[0]:
                    best = effect, answer
        return None if best is None else best[1]

    def describe(self, answer: Answer) -> dict[str, Any]:
        """An answer in the user's terms, for JSON: kind, `box` in pixels of the upright picture
        (x0, y0, x1, y1), `area` as a share of it, `score` of the label or None."""
        change, outcome = answer.perturbation, answer.outcome
        score = outcome.get(self.label) if isinstance(outcome, Scores) else None
        if isinstance(change, Identity):
            return {"kind": "identity", "box": None, "area": None, "score": score}
        x0, y0, x1, y1 = (
            min(max(edge, 0.0), 1.0) for edge in (change.x0, change.y0, change.x1, change.y1)
        )
        width, height = self.canvas.size
        return {
            "kind": type(change).__name__.lower(),
            "box": [round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)],
            "area": (x1 - x0) * (y1 - y0),
            "score": score,
        }

    def save(self, folder: str | Path) -> list[Path]:
        """Write overlay.png, map.npy, map.npz, scores.csv and run.json into `folder`."""
        from probe.show import save_run

        return save_run(self, Path(folder))

    def _repr_png_(self) -> bytes:
        return self.heatmap()._repr_png_()
