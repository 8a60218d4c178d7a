"""The backend behind a server: pictures are decoded, checked and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from threading import Lock
from uuid import uuid4

from PIL import Image

from probe.errors import ImageError
from probe.image import decode, encode
from probe.limits import Limits
from probe.mock.message import Refusal, Sent
from probe.types import Backend, Codec, Failure, Identity, Scores

MAX_PIXELS = 50_000_000
"""Of one picture."""
MAX_ALL_PIXELS = 150_000_000
"""Of all pictures of a request: they are held at once."""

MAGIC = {
    "jpeg": (b"\xff\xd8\xff",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "gif": (b"GIF8",),
    "bmp": (b"BM",),
    "tiff": (b"II*\0", b"MM\0*"),
    "webp": (b"RIFF",),
}

_CASES = {"refused": "picture", "throttled": "throttled", "invalid": "invalid"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why one picture has no scores; `case` names one of the service's errors."""

    case: str
    detail: str


@dataclass(frozen=True, slots=True)
class Received:
    """A picture that came in, as a variant for the backend behind the server."""

    image: Image.Image

    @property
    def perturbation(self) -> Identity:
        return Identity()

    def pixels(self) -> Image.Image:
        return self.image

    def encode(self, codec: Codec) -> bytes:
        return encode(self.image, codec)


Outcome = tuple[Scores, tuple[int, int]] | Trouble
"""The scores of a picture and its size, or why there are none."""


class Scorer:
    """A backend whose `score` is called by one thread at a time; pictures are decoded side by
    side. A backend that states no identity gets one that lasts as long as this object."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.limits = backend.limits
        self.identity = backend.identity or f"unstated {uuid4().hex}"
        self._lock = Lock()

    @property
    def question(self) -> str:
        """The label that the services' own question stands for."""
        labels = self.limits.labels
        return self.limits.question or ("nsfw" if "nsfw" in labels else (*labels, "nsfw")[0])

    def score(
        self, sent: Sequence[Sent], limits: Limits, formats: Sequence[str] = ()
    ) -> tuple[list[Outcome], int]:
        """One outcome a picture under these limits, and how many of them were scored.

        Raises Refusal for too many pixels at once, and what the backend raises.
        """
        received: list[Received | Trouble] = []
        pixels = 0
        for one in sent:
            picture = _received(one, limits, formats)
            received.append(picture)
            if isinstance(picture, Received):
                pixels += picture.image.width * picture.image.height
                if pixels > MAX_ALL_PIXELS:
                    raise Refusal("large", "too many pixels in one request; send fewer images")
        pictures = [one for one in received if isinstance(one, Received)]
        answers = iter(self._answers(pictures))
        outcomes = [
            _outcome(next(answers), one.image.size) if isinstance(one, Received) else one
            for one in received
        ]
        return outcomes, len(pictures)

    def _answers(self, pictures: Sequence[Received]) -> list[Scores | Failure]:
        answers: list[Scores | Failure] = []
        codec, batch = Codec(self.limits.formats[0]), self.limits.batch
        with self._lock:
            for first in range(0, len(pictures), batch):
                answers += self._backend.score(pictures[first : first + batch], codec)
        return answers


def _received(sent: Sent, limits: Limits, formats: Sequence[str]) -> Received | Trouble:
    data = sent.data
    if data is None:
        return Trouble("picture", sent.why or "no picture in it")
    if limits.max_bytes is not None and len(data) > limits.max_bytes:
        return Trouble("large", f"{len(data)} bytes; at most {limits.max_bytes}")
    if formats and not any(data.startswith(magic) for name in formats for magic in MAGIC[name]):
        return Trouble("format", f"expected one of {', '.join(formats)}")
    try:
        image = decode(data, MAX_PIXELS)
    except ImageError as error:
        return Trouble("picture", str(error))
    least, most, area = limits.min_side, limits.max_side, limits.max_pixels
    sides = f"{image.width}x{image.height}: sides must be {least} to {most or 'any number of'}"
    if min(image.size) < least:
        return Trouble("small", f"{sides} pixels")
    if most is not None and max(image.size) > most:
        return Trouble("big", f"{sides} pixels")
    if area is not None and image.width * image.height > area:
        return Trouble("big", f"{image.width}x{image.height}: at most {area} pixels")
    return Received(image)


def _outcome(answer: Scores | Failure, size: tuple[int, int]) -> Outcome:
    if isinstance(answer, Failure):
        return Trouble(_CASES.get(answer.kind, "busy"), answer.message)
    if not all(map(isfinite, answer.values())):
        return Trouble("invalid", "the backend gave a score that is not finite")
    return answer, size
