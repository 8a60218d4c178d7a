"""From a picture to the array that a network takes, and what the network cannot see of it."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from math import isfinite
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from probe.errors import UsageError
from probe.types import WHOLE, Region

MAX_SIDE = 8192

Filter = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]

FILTERS: dict[str, tuple[Image.Resampling, float]] = {
    "nearest": (Image.Resampling.NEAREST, 0.0),
    "box": (Image.Resampling.BOX, 0.5),
    "bilinear": (Image.Resampling.BILINEAR, 1.0),
    "bicubic": (Image.Resampling.BICUBIC, 2.0),
    "lanczos": (Image.Resampling.LANCZOS, 3.0),
}
"""Pillow's filter, and its reach: pixels of the smaller of the two pictures, from the centre."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What is done to a picture before the network; every field changes the scores.

    size: width, height that the network takes.
    resize: the picture is first brought to this width and height (aspect not kept), or its
        shorter side to this many pixels (aspect kept); then the middle `size` is cut out.
        None brings it straight to `size`.
    jpeg: quality of a lossy JPEG step (4:2:0) after cutting, for networks trained behind one.
    The network gets `(pixel * scale - mean) / std`; `pixel` is 0..255, `mean` and `std` are
    in the order of `channels`.
    """

    size: tuple[int, int]
    resize: tuple[int, int] | int | None = None
    filter: Filter = "bilinear"
    jpeg: int | None = None
    channels: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NHWC", "NCHW"] = "NCHW"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        _one_of("filter", self.filter, FILTERS)
        _one_of("channels", self.channels, ("RGB", "BGR"))
        _one_of("layout", self.layout, ("NHWC", "NCHW"))
        if len(self.size) != 2 or min(self.size) < 1:
            raise UsageError(f"size must be (width, height) in pixels, not {self.size!r}")
        if self.resize is not None:
            width, height = _pair(self.resize)
            if width < self.size[0] or height < self.size[1]:
                raise UsageError(
                    f"resize {self.resize!r} is smaller than the size {self.size!r} cut out of it"
                )
        if max(*self.size, *_pair(self.resize or 1)) > MAX_SIDE:
            raise UsageError(f"size and resize go up to {MAX_SIDE} pixels a side")
        if self.jpeg is not None and not 1 <= self.jpeg <= 100:
            raise UsageError(f"jpeg is a quality from 1 to 100, not {self.jpeg}")
        if not all(map(isfinite, (self.scale, *self.mean, *self.std))):
            raise UsageError("scale, mean and std must be finite numbers")
        if len(self.mean) != 3 or len(self.std) != 3 or 0 in self.std:
            raise UsageError("mean and std must be three numbers each, one a channel, std not 0")

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """The RGB picture as float32 of shape (1, h, w, 3) or (1, 3, h, w)."""
        target = self.target(image.size)
        if image.size != target:
            image = image.resize(target, FILTERS[self.filter][0])
        if target != self.size:
            x, y = ((a - b) // 2 for a, b in zip(target, self.size, strict=True))
            image = image.crop((x, y, x + self.size[0], y + self.size[1]))
        if self.jpeg is not None:
            image = _reencoded(image, self.jpeg)
        values: NDArray[np.float32] = np.asarray(image, dtype=np.float32)
        if self.channels == "BGR":
            values = values[:, :, ::-1]
        if self.scale != 1:
            values = values * np.float32(self.scale)
        mean, std = (np.array(three, dtype=np.float32) for three in (self.mean, self.std))
        values = (values - mean) / std
        if self.layout == "NCHW":
            values = values.transpose(2, 0, 1)
        return np.ascontiguousarray(values[None])

    @property
    def seen(self) -> Region:
        """A region outside which no pixel reaches the network, but for its direct neighbours.

        Pixels that lie wholly outside, and not next to it, may be changed and the network's
        input stays bit-identical, whatever the picture's size. It is exact for pictures that
        are shrunk; in one that is enlarged a pixel reaches a little farther.
        """
        if self.resize is None:
            return WHOLE
        reach = FILTERS[self.filter][1]
        # a longer side becomes any number of pixels from the shorter one's on; of those the
        # first two are the hardest
        more = (0, 1) if isinstance(self.resize, int) else (0,)
        x, y = (
            min(_blind(whole + extra, kept, reach) for extra in more)
            for whole, kept in zip(_pair(self.resize), self.size, strict=True)
        )
        return (x, y, 1 - x, 1 - y)

    def target(self, size: tuple[int, int]) -> tuple[int, int]:
        """To which width and height a picture of this size is brought before the middle is cut."""
        if self.resize is None:
            return self.size
        if isinstance(self.resize, tuple):
            return self.resize
        shorter = min(size)
        width, height = (max(self.resize, int(self.resize * side / shorter)) for side in size)
        return width, height

    def __str__(self) -> str:
        resize = "x".join(map(str, _pair(self.resize))) if self.resize is not None else "none"
        if isinstance(self.resize, int):
            resize = f"shorter {self.resize}"
        numbers = [",".join(f"{v:.9g}" for v in vs) for vs in (self.mean, self.std)]
        return (
            f"{self.layout} {self.size[0]}x{self.size[1]} resize {resize} {self.filter} "
            f"jpeg {self.jpeg or 'none'} {self.channels} scale {self.scale:.9g} "
            f"mean {numbers[0]} std {numbers[1]}"
        )


def _blind(whole: int, kept: int, reach: float) -> float:
    """The share of a side that the middle `kept` of `whole` resampled pixels never reads.

    Pillow's output pixel i reads the input pixels from floor((i + .5) s - reach max(s, 1) + .5)
    on, s = input / output. Of a shrunk picture (s >= 1) that leaves (i + .5 - reach) / whole
    blind. Of an enlarged one, k blind pixels need (i + .5) s >= k + reach - .5; with one pixel
    of the share given up, k = 1 is the hardest: a share below 2 (i + .5) / whole / (reach + .5)
    never claims one too many.
    """
    first = (whole - kept) // 2
    if first == 0:
        return 0.0
    reach = max(reach, 0.5)
    shrunk = (first + 0.5 - reach) / whole
    enlarged = 2 * (first + 0.5) / whole / (reach + 0.5)
    return max(0.0, min(shrunk, enlarged))


def _reencoded(image: Image.Image, quality: int) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "jpeg", quality=quality)
    return Image.open(buffer, formats=("JPEG",))


def _pair(resize: tuple[int, int] | int) -> tuple[int, int]:
    return (resize, resize) if isinstance(resize, int) else resize


def _one_of(name: str, value: Any, allowed: Any) -> None:
    if value not in allowed:
        raise UsageError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
