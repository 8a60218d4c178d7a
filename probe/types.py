"""The small frozen records and the protocols that the rooms share.

Perturbations are in fractions of the picture's width and height, independent of its size.
A new model is a `Backend`, a new method a `Sampler` (and an `Estimator` where the mean won't do).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from PIL import Image

    from probe.heatmap import Heatmap

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


Perturbation = Identity | Box | Window


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


@lru_cache(maxsize=256)
def _index(labels: tuple[str, ...]) -> dict[str, int]:
    return {label: i for i, label in enumerate(labels)}


class Scores(Mapping[str, float]):
    """One answer: label -> score, immutable, and the raw body it was read from (or None).

    The label names of equal answers are stored once, so that thousands of answers stay small.
    """

    __slots__ = ("_index", "_values", "raw")

    def __init__(self, scores: Mapping[str, float], raw: bytes | None = None) -> None:
        self._index = _index(tuple(scores))
        self._values = array("d", scores.values())
        self.raw = raw

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
    """

    kind: FailureKind
    message: str
    wait: float | None = None
    billed: bool = False


@dataclass(frozen=True, slots=True)
class Price:
    per_call: float
    currency: str
    as_of: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a backend can take, and what it is known to give.

    batch: variants a request. concurrency: requests at once. formats: codecs it takes, the
    preferred one first. min_side, max_side: pixels of what is sent. max_bytes: of one encoded
    variant. host: where pictures go, None when they stay in this process. price: of a call.
    labels: those it answers with, where known before the first call. question: the label asked
    about by default. seen: the region it looks at; pixels right beside it may count too.
    deterministic: the same pixels always get
    the same scores, so that there is no noise to measure.
    """

    batch: int = 1
    concurrency: int = 1
    formats: tuple[Literal["pixels", "png", "jpeg"], ...] = ("jpeg", "png")
    min_side: int = 1
    max_side: int | None = None
    max_bytes: int | None = None
    host: str | None = None
    price: Price | None = None
    labels: tuple[str, ...] = ()
    question: str | None = None
    seen: Region = WHOLE
    deterministic: bool = False


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
