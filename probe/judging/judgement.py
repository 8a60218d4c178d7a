"""What a judgement holds, and the sentence that it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

from probe.heatmap import Heatmap
from probe.judging.control import SMALL, Control
from probe.judging.curve import Curve
from probe.judging.ranking import Kind
from probe.text import count, printable

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, eq=False, repr=False)
class Judgement:
    """How far the model bears a map out.

    curves     `deletion` and `insertion`, as far as they were asked.
    control    the same of maps without a meaning.
    pointing   share of the map's maximal pixels inside the mask, None without a mask.
    auroc      probability that a pixel inside it ranks above one outside, None without a mask.
    reference  the unchanged picture's scores: label -> score.
    calls      images sent for it, retries included; cost: what may have been billed, None where
               no price is known. failures: pictures that got no score: holes in the curves.
    notes      sentences for people.
    """

    label: str
    heatmap: Heatmap
    image: Image.Image
    curves: Mapping[Kind, Curve]
    control: Control
    reference: Mapping[str, float]
    budget: int
    pointing: float | None = None
    auroc: float | None = None
    answers: int = 0
    calls: int = 0
    requests: int = 0
    cost: float | None = None
    currency: str | None = None
    seconds: float = 0.0
    failures: int = 0
    notes: Sequence[str] = ()

    @property
    def deletion(self) -> float:
        """Mean of score / reference while the most evident pixels turn into the mean colour
        first: low is good. NaN where nothing was answered."""
        return self.curves["deletion"].area

    @property
    def insertion(self) -> float:
        """The same while a blurred picture turns into the picture: high is good, may exceed 1."""
        return self.curves["insertion"].area

    @property
    def verdict(self) -> str:
        """What was found, in one sentence."""
        if isnan(self.deletion) or isnan(self.insertion):
            return "Nothing can be said of the map: the changed pictures got no score."
        values = f"deletion {self._value('deletion')}, insertion {self._value('insertion')}"
        if self.auroc is not None and self.pointing is not None:
            values += f", AUROC {self.auroc:.2f} and pointing {self.pointing:.2f} by the mask"
        return f"{self.comparison} ({printable(self.label, 60)}: {values})."

    def _value(self, kind: Kind) -> str:
        curve = self.curves[kind]
        return f"{curve.area:.2f} ± {curve.stderr:.2f}"

    @property
    def comparison(self) -> str:
        """The map against its controls, in words."""
        control, known = self.control, len(self.control.gains)
        if not known:
            return "The map was held against nothing: no control got all its scores"
        digits = 2 if abs(control.gain) >= SMALL else 4
        spread = "" if control.spread is None else f" ± {control.spread:.{digits}f}"
        by = f"by {abs(control.gain):.{digits}f}{spread} in deletion and insertion together"
        others = "the other map"
        if control.what == "moved":
            copies = "a copy" if known == 1 else f"{known} copies"
            others = f"{copies} of itself in other places"
        if control.ahead:
            lost = known - control.beaten
            which = "" if known == 1 else f"{control.beaten} of " if lost else "all "
            luck = f"; luck does that {count(1 + lost, 'time')} in {1 + known}"
            return f"The map beats {which}{others}, {by}{luck if control.what == 'moved' else ''}"
        if control.beaten == known:
            what = "next to nothing" if control.gain <= SMALL else "no more than the noise allows"
            return f"The map beats {others}, but by {what}: {by}"
        if control.what == "given":
            return f"The map is behind {others}, {by}"
        return f"The map is not told from chance: it beats {control.beaten} of {others}"

    def __repr__(self) -> str:
        return (
            f"<Judgement {self.label!r} deletion {self.deletion:.3g}, "
            f"insertion {self.insertion:.3g}, {self.calls} calls, {self.failures} failures>"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers, points of the curves, the verdict; None for what is not known."""
        curves = {kind: self.curves[kind].as_dict() for kind in self.curves}
        return {
            "label": self.label,
            "reference": dict(self.reference),
            "budget": self.budget,
            "deletion": curves["deletion"]["area"],
            "insertion": curves["insertion"]["area"],
            "curves": curves,
            "control": self.control.as_dict(),
            "pointing": self.pointing,
            "auroc": self.auroc,
            "verdict": self.verdict,
            "answers": self.answers,
            "calls": self.calls,
            "requests": self.requests,
            "cost": self.cost,
            "currency": self.currency,
            "failures": self.failures,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }

    def figure(self) -> Image.Image:
        """The map and both curves beside it, with those of the controls; RGB."""
        from probe.show.curves import figure

        return figure(self)

    def _repr_png_(self) -> bytes:
        from io import BytesIO

        buffer = BytesIO()
        self.figure().save(buffer, "png")
        return buffer.getvalue()
