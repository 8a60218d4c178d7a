"""The small frozen records and the protocols that the rooms share.

Perturbations are in fractions of the picture's width and height, independent of its size.
A new model is a `Backend`, a new method a `Sampler` (and an `Estimator` where the mean won't do).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from PIL import Image

    from probe.heatmap import Heatmap
    from probe.limits import Limits

Region = tuple[float, float, float, float]
"""x0, y0, x1, y1 in fractions of the picture."""

WHOLE: Region = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Identity:
    """Nothing changed: the reference. `repeat` > 0 asks again, for the noise floor;
    `full` asks for the picture at its full size instead of the send size."""

    repeat: int = 0
    full: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """Cover this region with the fill. It may reach beyond the picture."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Window:
    """Cut this region out and send it by itself."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Keep:
    """Cover all but this region with the fill."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Mask:
    """Cover by a grid of opacities over `region`; what lies outside of it is shown.

    cells: row by row, 0 shows the picture, 255 the fill. region: may reach beyond the picture.
    smooth: linear between the centres of the cells, else their edges snap as those of covers do.
    """

    cells: bytes = field(repr=False)
    columns: int
    region: Region = WHOLE
    smooth: bool = False

    def __post_init__(self) -> None:
        if self.columns < 1 or not self.cells or len(self.cells) % self.columns:
            raise ValueError(f"{len(self.cells)} cells are no grid of {self.columns} columns")

    @property
    def rows(self) -> int:
        return len(self.cells) // self.columns


Rectangle = Box | Window | Keep
Perturbation = Identity | Rectangle | Mask


def region_of(perturbation: Perturbation) -> Region:
    """The region that a perturbation names, as it was given; an Identity's is the whole."""
    if isinstance(perturbation, Identity):
        return WHOLE
    if isinstance(perturbation, Mask):
        return perturbation.region
    return perturbation.x0, perturbation.y0, perturbation.x1, perturbation.y1


@dataclass(frozen=True, slots=True)
class Codec:
    """How a variant travels: `pixels` (not encoded at all), `png`, or `jpeg` (4:4:4)."""

    format: Literal["pixels", "png", "jpeg"] = "pixels"
    quality: int = 90

    @property
    def grid(self) -> int:
        """Edges of covers snap to this many pixels, so that nothing outside them changes."""
        return 8 if self.format == "jpeg" else 1

    def __str__(self) -> str:
        return f"jpeg:{self.quality}" if self.format == "jpeg" else self.format


@dataclass(frozen=True, slots=True)
class Canvas:
    """The geometry of a run: what relative coordinates are mapped to.

    size: width, height of the upright picture in pixels.
    send: width, height at which variants are rendered and sent.
    grid: edges of covers snap to multiples of this many send pixels.
    seen: the region the model looks at; outside it a change has no effect.
    """

    size: tuple[int, int]
    send: tuple[int, int]
    grid: int = 1
    seen: Region = WHOLE


@dataclass(frozen=True, slots=True)
class Scene:
    """What a sampler may know of its run.

    label: the one that is mapped; None as long as the reference has no answer.
    picture: the picture at send size, RGB; None where only a plan is drawn.
    """

    canvas: Canvas
    label: str | None = None
    picture: Callable[[], Image.Image] | None = None


@lru_cache(maxsize=256)
def _index(labels: tuple[str, ...]) -> dict[str, int]:
    return {label: i for i, label in enumerate(labels)}


class Scores(Mapping[str, float]):
    """One answer: label -> score, immutable, and the raw body it was read from (or None).

    part: which of how many pictures of the request `raw` answers.
    The label names of equal answers are stored once, so that thousands of answers stay small.
    """

    __slots__ = ("_index", "_values", "part", "raw")

    def __init__(
        self,
        scores: Mapping[str, float],
        raw: bytes | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self._index = _index(tuple(scores))
        self._values = array("d", scores.values())
        self.raw = raw
        self.part = part

    def __getitem__(self, label: str) -> float:
        return self._values[self._index[label]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        return f"Scores({dict(self)!r})"


FailureKind = Literal["refused", "invalid", "lost", "throttled", "unavailable"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a variant has no score.

    refused: the service will not score this one; asking again is useless.
    invalid: it answered, but not with a usable score (NaN, a label missing).
    lost: sent, but no whole answer came; it may have been billed.
    throttled: too many requests; `wait` says how many seconds, where the service did.
    unavailable: nothing was accepted (no connection, 5xx).
    billed: the service may have charged for it. raw, part: the body that could not be made
    sense of, and which of how many pictures it answers; kept, for it may have been paid for.
    """

    kind: FailureKind
    message: str
    wait: float | None = None
    billed: bool = False
    raw: bytes | None = field(default=None, repr=False)
    part: tuple[int, int] = (0, 1)


@dataclass(frozen=True, slots=True)
class Order:
    """What a run asks: how many variants, what before and after them, and of whom.

    opening: asked after the reference, before the sampler's; closing: after all others.
    """

    variants: int
    opening: Sequence[Perturbation] = ()
    closing: Sequence[Perturbation] = ()
    offline: bool = False

    @property
    def answers(self) -> int:
        """All that may be asked, the reference among them."""
        return 1 + len(self.opening) + self.variants + len(self.closing)

    @property
    def repeats(self) -> int:
        """How often the reference is asked again."""
        return sum(
            isinstance(change, Identity) and change.repeat > 0
            for change in (*self.opening, *self.closing)
        )


class Variant(Protocol):
    """A perturbation rendered on the image, lazily, each form at most once."""

    @property
    def perturbation(self) -> Perturbation: ...

    def pixels(self) -> Image.Image:
        """The upright RGB picture; the receiver may change it."""

    def encode(self, codec: Codec) -> bytes: ...


@runtime_checkable
class Backend(Protocol):
    """A model: one method. Batching, retries, caps and storing are done around it.

    identity: service, model, version and options, never a key; None when it cannot be stated
    (its answers are then kept in memory only).
    """

    @property
    def identity(self) -> str | None: ...

    @property
    def limits(self) -> Limits: ...

    def score(self, variants: Sequence[Variant], codec: Codec) -> Sequence[Scores | Failure]:
        """Score up to `limits.batch` variants by one request; one answer each, in order.

        Raises BackendError when the request as a whole cannot be made sense of.
        """


@runtime_checkable
class Reading(Protocol):
    """How the raw answers of a service are read, apart from how they are asked for.

    A backend that has one (`backend.reading`) can have answers on record read anew, free.
    """

    @property
    def digest(self) -> str:
        """The same for the same reading."""

    def read(self, raw: bytes, part: int, parts: int) -> Scores | Failure:
        """The answer to picture number `part` of the `parts` that the request held."""


class Sampler(Protocol):
    """A method's plan: what to change next.

    `ask(a)` then `ask(b)` proposes what `ask(a + b)` does. An empty answer while answers are
    outstanding means "tell me first"; with none outstanding it means "done".
    """

    def ask(self, n: int) -> Sequence[Perturbation]: ...

    def tell(self, perturbation: Perturbation, answer: Scores | Failure) -> None: ...


class Estimator(Protocol):
    """Turns answers into the map of one label; the reference (an Identity) comes first."""

    def update(self, perturbation: Perturbation, scores: Scores) -> None: ...

    def heatmap(self) -> Heatmap:
        """The map so far; valid at any moment after the reference."""
