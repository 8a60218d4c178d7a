"""The server's side of the contract `probe/1` (see `probe.backends.http`): JSON in, JSON out."""

from __future__ import annotations

import binascii
import math
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any
from uuid import uuid4

from PIL import Image

from probe.backends.contract import CONTRACT, load_json
from probe.errors import ContractError, ImageError, ProbeError
from probe.image import decode, encode
from probe.text import printable
from probe.types import Backend, Codec, Failure, Identity, Scores

MAX_PIXELS = 50_000_000
"""Of one picture."""
MAX_ALL_PIXELS = 150_000_000
"""Of all pictures of a request: they are held at once."""


class BadRequest(ProbeError):
    """The client's mistake; the message goes back to it with this HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


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


class Model:
    """A backend spoken to by documents of the contract.

    Its `score` is called by one thread at a time; pictures are decoded side by side. A backend
    that states no identity gets one that lasts as long as this object.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._limits = backend.limits
        self._identity = backend.identity or f"unstated {uuid4().hex}"
        self._lock = Lock()

    def describe(self) -> dict[str, Any]:
        limits = self._limits
        return {
            "contract": CONTRACT,
            "identity": self._identity,
            "labels": list(limits.labels),
            "question": limits.question,
            "batch": limits.batch,
            "concurrency": 2,
            "formats": ["jpeg", "png"],
            "min_side": limits.min_side,
            "max_side": limits.max_side,
            "seen": list(limits.seen),
            "deterministic": limits.deterministic,
            "price": asdict(limits.price) if limits.price else None,
        }

    def answer(self, body: bytes) -> tuple[dict[str, Any], int]:
        """The answer to a request, and how many pictures were scored for it.

        Raises BadRequest for a request that cannot be read, and what the backend raises.
        """
        images = self._images(body)
        decoded: list[Received | Failure] = []
        pictures: list[Received] = []
        for _, data in images:
            one = self._decoded(data)
            decoded.append(one)
            if isinstance(one, Received):
                pictures.append(one)
                if sum(p.image.width * p.image.height for p in pictures) > MAX_ALL_PIXELS:
                    raise BadRequest("too many pixels in one request; send fewer images", 413)
        outcomes = iter(self._score(pictures))
        results = [
            {"id": name, **_outcome(next(outcomes) if isinstance(one, Received) else one)}
            for (name, _), one in zip(images, decoded, strict=True)
        ]
        answer = {"contract": CONTRACT, "identity": self._identity, "results": results}
        return answer, len(pictures)

    def _images(self, body: bytes) -> list[tuple[str, str]]:
        try:
            document = load_json(body)
        except ContractError as error:
            raise BadRequest(str(error)) from error
        images = document.get("images") if isinstance(document, dict) else None
        if not isinstance(images, list) or not images:
            raise BadRequest('expected {"images": [{"id": "0", "data": "<base64>"}, ...]}')
        if len(images) > self._limits.batch:
            raise BadRequest(f"{len(images)} images; at most {self._limits.batch} a request")
        pairs = []
        for i, image in enumerate(images):
            fields = image if isinstance(image, dict) else {}
            name, data = fields.get("id"), fields.get("data")
            if not isinstance(name, str) or not 0 < len(name) <= 100 or not isinstance(data, str):
                raise BadRequest(f"$.images[{i}]: expected an id (1 to 100 characters) and data")
            pairs.append((name, data))
        if len({name for name, _ in pairs}) != len(pairs):
            raise BadRequest("$.images: every id must be another")
        return pairs

    def _decoded(self, data: str) -> Received | Failure:
        try:
            image = decode(b64decode(data, validate=True), MAX_PIXELS)
        except (binascii.Error, ValueError):
            return Failure("refused", "data is not base64")
        except ImageError as error:
            return Failure("refused", str(error))
        least, most = self._limits.min_side, self._limits.max_side
        if min(image.size) < least or (most is not None and max(image.size) > most):
            sides = f"{least} to {most or 'any number of'} pixels"
            return Failure("refused", f"{image.width}x{image.height}: sides must be {sides}")
        return Received(image)

    def _score(self, pictures: Sequence[Received]) -> Sequence[Scores | Failure]:
        if not pictures:
            return ()
        with self._lock:
            return self._backend.score(pictures, Codec(self._limits.formats[0]))


def _outcome(outcome: Scores | Failure) -> dict[str, Any]:
    if isinstance(outcome, Scores):
        scores = dict(outcome)
        if all(map(math.isfinite, scores.values())):
            return {"scores": scores}
        outcome = Failure("invalid", "the backend gave a score that is not finite")
    kind = "unavailable" if outcome.kind == "lost" else outcome.kind
    return {"error": {"kind": kind, "message": printable(outcome.message, 200)}}
