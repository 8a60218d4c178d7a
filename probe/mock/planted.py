"""A model with a known answer for any picture: it looks at one planted region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from probe.errors import UsageError
from probe.limits import Limits
from probe.types import Codec, Failure, Region, Scores, Variant

LONGEST = 128
"""Pixels of the longer side at which pictures are compared."""
CLOSE = 10
"""Levels of 255 by which a pixel may differ and still be there: more than JPEG's loss at that
size, for pictures that are larger."""
ALIKE = 0.25
"""The share of its pixels that an altered picture still has of the one that it was made from."""
KNOWN = 64
"""Pictures that are remembered; the oldest is forgotten first."""

Pixels = NDArray[np.int16]


class PlantedTarget:
    """Scores a picture by how much of the planted region is still there.

    regions: label -> x0, y0, x1, y1 in fractions of the picture; `nsfw` has `sfw`, its
    complement, beside it. floor: the score where nothing of the region is left; all of it scores
    1 - floor, and what lies between is linear in the share of the region's pixels.

    Every picture is remembered the first time that it is seen: it has the whole region. One of
    which at least a quarter is as in a picture seen before is taken for that one, altered (a
    cover, another size, JPEG), and scores by the share of the region that is still as it was,
    within what JPEG loses. So the unaltered picture has to come first, as `probe` sends it;
    windows cut out of it are pictures of their own.
    """

    def __init__(self, regions: Mapping[str, Region], *, floor: float = 0.05) -> None:
        for label, (x0, y0, x1, y1) in regions.items():
            if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
                raise UsageError(
                    f"the region of {label!r} is x0,y0,x1,y1 in fractions from 0 to 1, "
                    f"not {x0:g},{y0:g},{x1:g},{y1:g}"
                )
        if not regions:
            raise UsageError("a planted target needs a label and its region")
        self.regions = dict(regions)
        self.floor = floor
        beside = ("sfw",) if "nsfw" in regions and "sfw" not in regions else ()
        self.limits = Limits(
            batch=128,
            formats=("pixels",),
            labels=(*regions, *beside),
            question=next(iter(regions)),
            deterministic=True,
        )
        self._known: list[Pixels] = []
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"PlantedTarget({self.regions!r})"

    @property
    def identity(self) -> str:
        planted = (
            f"{name}={','.join(f'{v:g}' for v in box)}" for name, box in self.regions.items()
        )
        return f"planted {' '.join(planted)} floor {self.floor:g}"

    def score(self, variants: Sequence[Variant], codec: Codec) -> list[Scores | Failure]:
        return [self._answer(variant.pixels()) for variant in variants]

    def _answer(self, image: Image.Image) -> Scores:
        small = _small(image)
        with self._lock:
            kept = self._kept(small)
        scores = {}
        for label, region in self.regions.items():
            share = 1.0 if kept is None else float(_inside(kept, region).mean())
            scores[label] = self.floor + (1 - 2 * self.floor) * share
        if "sfw" in self.limits.labels and "sfw" not in scores:
            scores["sfw"] = 1 - scores["nsfw"]
        return Scores(scores)

    def _kept(self, small: Pixels) -> NDArray[np.bool_] | None:
        """Which pixels are as in the picture that this one was made from; None for a new one."""
        best: NDArray[np.bool_] | None = None
        for known in self._known:
            close = _close(small, known)
            if best is None or close.mean() > best.mean():
                best = close
        if best is not None and best.mean() >= ALIKE:
            return best
        self._known = [*self._known, small][-KNOWN:]
        return None


def _small(image: Image.Image) -> Pixels:
    factor = min(1.0, LONGEST / max(image.size))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return np.asarray(image.resize(size, Image.Resampling.BOX)).astype(np.int16)


def _close(small: Pixels, known: Pixels) -> NDArray[np.bool_]:
    if small.shape != known.shape:
        again = Image.fromarray(small.astype(np.uint8))
        size = (known.shape[1], known.shape[0])
        small = np.asarray(again.resize(size, Image.Resampling.BOX)).astype(np.int16)
    close: NDArray[np.bool_] = np.abs(small - known).max(axis=-1) <= CLOSE
    return close


def _inside(kept: NDArray[np.bool_], region: Region) -> NDArray[np.bool_]:
    """The pixels of the region, at least one."""
    height, width = kept.shape
    left, top = int(region[0] * width), int(region[1] * height)
    right, bottom = round(region[2] * width), round(region[3] * height)
    return kept[top : max(bottom, top + 1), left : max(right, left + 1)]
