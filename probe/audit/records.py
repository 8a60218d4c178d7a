"""What an audit is told, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image

from probe.errors import LimitReached
from probe.evaluate.interval import Estimate
from probe.types import Region

Reason = Literal["false alarm", "miss", "high score", "random"]
"""Why a picture was chosen to be probed."""


@dataclass(frozen=True, slots=True)
class Item:
    """A picture of the list. source: what `Prober.probe` takes. truth: whether the label is right
    for it, None where nobody said. cells: what else the list says of it."""

    name: str
    source: Any
    truth: bool | None = None
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wishes:
    """How an audit is done.

    label: which score; the service's own question by default. pictures: how many are probed, at
    most half of them all. budget: answers a map, the unchanged picture among them. places: in how
    many other pictures a feature is tested, two calls each. features: how many are tested at most.
    looked: pictures in which features are looked for, which costs no call. threshold: the score
    from which the service says yes. seed: of every choice.
    """

    label: str | None = None
    pictures: int = 60
    budget: int = 48
    places: int = 24
    features: int = 8
    looked: int = 500
    threshold: float = 0.5
    seed: int = 0

    def calls(self, pictures: int) -> int:
        """At most, for a list of so many."""
        probed = min(self.pictures, pictures // 2)
        tested = min(self.places, pictures - probed)
        return pictures + probed * (self.budget - 1) + 2 * self.features * tested


@dataclass(frozen=True, slots=True)
class Case:
    """A picture that was scored, and why it was chosen."""

    index: int
    name: str
    source: Any
    score: float
    truth: bool | None
    reason: Reason


@dataclass(frozen=True, slots=True, eq=False)
class Exemplar:
    """Where a feature was found by its evidence. box: in fractions of the picture. evidence: at
    the peak. shown: the picture around it, small."""

    case: Case
    box: Region
    evidence: float
    shown: Image.Image | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A feature covered in a picture that had no part in finding it, and a control: a box of the
    same size elsewhere. score: of the unchanged picture."""

    index: int
    name: str
    score: float
    box: Region
    control: Region
    covered: float
    controlled: float

    @property
    def drop(self) -> float:
        """By how much covering the feature lowers the score more than covering the control."""
        return self.controlled - self.covered


@dataclass(frozen=True, slots=True)
class Effect:
    """drop: mean of the trials' drops with its 95 % interval (Student's t). p: of a one-sided
    sign-flipping test that it is not above zero. adjusted: p for all features tested (Holm)."""

    drop: Estimate
    p: float
    adjusted: float
    trials: Sequence[Trial]


@dataclass(frozen=True, slots=True)
class Look:
    """What the exemplars have in common, in words. size: share of the picture, in the middle.
    colour: #rrggbb."""

    words: str
    colour: str
    place: str
    size: float


@dataclass(frozen=True)
class Feature:
    """Something that stands in several pictures.

    effect: None where too few other pictures have it to tell. claimed: the score hangs on it.
    without, within: share of the pictures in which it stands, of those for which the label is
    wrong (truly sfw) and right; by the service's own word where no truth is known.
    missing: of 1,000 pictures without the label, how many more would have it if it were as common
    there as in the others; None where that is not known.
    lacking: of the pictures that were looked at, truly without the label, those that have it
    and the highest scores: name, score and box.
    """

    number: int
    look: Look
    exemplars: Sequence[Exemplar]
    effect: Effect | None
    claimed: bool
    without: Estimate
    within: Estimate
    missing: float | None
    lacking: Sequence[tuple[str, float, Region]] = ()

    @property
    def name(self) -> str:
        return f"feature {self.number}: {self.look.words}"


@dataclass
class Audit:
    """All of it. stopped: why it ended early, None where it did not."""

    wishes: Wishes
    label: str = ""
    identity: str | None = None
    pictures: int = 0
    scored: int = 0
    repeated: int = 0
    flagged: int = 0
    truths: tuple[int, int] = (0, 0)
    cases: list[Case] = field(default_factory=list)
    probed: int = 0
    regions: int = 0
    looked: int = 0
    features: list[Feature] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    failed: int = 0
    calls: int = 0
    cost: float | None = None
    currency: str | None = None
    stopped: LimitReached | None = None

    @property
    def claims(self) -> list[Feature]:
        return [feature for feature in self.features if feature.claimed]

    @property
    def wanted(self) -> list[Feature]:
        """Claimed features that pictures without the label lack, what matters most first."""
        lacking = [one for one in self.claims if one.missing]
        return sorted(lacking, key=lambda one: -(one.missing or 0) * _size(one))


def _size(feature: Feature) -> float:
    return 0.0 if feature.effect is None else feature.effect.drop.value or 0.0
