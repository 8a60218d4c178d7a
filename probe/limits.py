"""What a backend can take, what it costs, and how patient one has to be with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probe.types import WHOLE, Region


@dataclass(frozen=True, slots=True)
class Price:
    per_call: float
    currency: str
    as_of: str = ""

    def of(self, calls: int) -> float:
        """What `calls` calls cost."""
        return calls * self.per_call


@dataclass(frozen=True, slots=True)
class Rate:
    """At most this many requests in any stretch of this many seconds."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Retry:
    """How often one variant is sent when the service is busy, and how long to wait in between.

    The waits are exponential with full jitter: up to base * factor ** n seconds, at most cap,
    unless the service says how long. split: a batch that fails as a whole is halved.
    """

    attempts: int = 4
    base: float = 1.0
    factor: float = 2.0
    cap: float = 60.0
    split: bool = True


@dataclass(frozen=True, slots=True)
class Throttling:
    """times: how often a service said "too many requests". wait: for how many seconds nothing is
    sent because it asked for that, 0.0 where it did not."""

    times: int = 0
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a backend can take, and what it is known to give.

    batch: variants a request. concurrency: requests at once. formats: codecs it takes, the
    preferred one first. min_side, max_side, max_pixels: of what is sent. max_bytes: of one encoded
    variant. max_request_bytes: of a whole request, in which a byte of a picture takes `inflation`.
    rate: windows that must all hold. retry: how often and how long.
    host: where pictures go, None when they stay in this process. price: of a call.
    labels: those it answers with, where known before the first call. question: the label asked
    about by default. missing: the score of a label that an answer leaves out, None where that is
    an error. threshold: the score of the question from which the service says yes.
    seen: the region it looks at; pixels right beside it may count too.
    deterministic: the same pixels always get
    the same scores, so that there is no noise to measure.
    """

    batch: int = 1
    concurrency: int = 1
    formats: tuple[Literal["pixels", "png", "jpeg"], ...] = ("jpeg", "png")
    min_side: int = 1
    max_side: int | None = None
    max_pixels: int | None = None
    max_bytes: int | None = None
    max_request_bytes: int | None = None
    inflation: float = 1.0
    rate: tuple[Rate, ...] = ()
    retry: Retry = Retry()
    host: str | None = None
    price: Price | None = None
    labels: tuple[str, ...] = ()
    question: str | None = None
    missing: float | None = None
    threshold: float | None = None
    seen: Region = WHOLE
    deterministic: bool = False
