"""Pictures sent to a backend one request at a time, outside of a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from probe.errors import BackendError, Rejected
from probe.image import encode
from probe.types import Backend, Codec, Failure, Identity, Scores

PATIENCE = 3
LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Still:
    """A picture as a variant of nothing."""

    image: Image.Image

    @property
    def perturbation(self) -> Identity:
        return Identity()

    def pixels(self) -> Image.Image:
        return self.image.copy()

    def encode(self, codec: Codec) -> bytes:
        return encode(self.image, codec)


class Desk:
    """Asks `backend`, waits where it is busy, and counts; `calls`: pictures, retries included."""

    def __init__(self, backend: Backend, sleep: Callable[[float], None] = time.sleep) -> None:
        self._backend = backend
        self._sleep = sleep
        formats = backend.limits.formats
        self.codec = Codec("png" if "png" in formats else formats[0])
        self.calls = 0
        self.requests = 0

    def ask(self, *pictures: Image.Image) -> list[Scores | Failure]:
        """One answer each; a request that fails as a whole is a failure of all its pictures.

        Raises what ends a run: Rejected, AuthError, LimitReached, ProfileError.
        """
        variants = [Still(picture) for picture in pictures]
        for turn in range(PATIENCE):
            self.calls += len(pictures)
            self.requests += 1
            try:
                answers = list(self._backend.score(variants, self.codec))
            except Rejected:
                raise
            except BackendError as error:
                return [Failure("refused", str(error))] * len(pictures)
            busy = [a for a in answers if isinstance(a, Failure) and _passing(a)]
            if not busy or turn + 1 == PATIENCE:
                break
            wait = max(failure.wait or 2.0**turn for failure in busy)
            self._sleep(min(wait, LONGEST_WAIT))
        return answers

    def score(self, picture: Image.Image) -> Scores | Failure:
        return self.ask(picture)[0]


def _passing(failure: Failure) -> bool:
    return failure.kind in ("throttled", "unavailable", "lost")


def distance(one: Scores, other: Scores) -> float:
    """The largest difference of a score; a label that one of them lacks counts as 0."""
    return max(abs(one.get(label, 0.0) - other.get(label, 0.0)) for label in {*one, *other})
