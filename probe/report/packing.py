"""Arrays and pictures as text that fits into a page."""

from __future__ import annotations

import zlib
from base64 import b64encode
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LEVELS = 65_534
BLANK = 65_535
"""What stands for NaN."""


def text(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def plane(values: NDArray[Any]) -> dict[str, Any]:
    """A plane in 65,535 steps from its least to its greatest value: `low`, `high` and `data`, raw
    deflate of little-endian uint16 in base64; what is not finite is BLANK."""
    known = values[np.isfinite(values)].astype(np.float64)
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    place = (np.nan_to_num(values.astype(np.float64), nan=low, posinf=low, neginf=low) - low) / (
        (high - low) or 1.0
    )
    steps = np.rint(place * LEVELS).astype("<u2")
    steps[~np.isfinite(values)] = BLANK
    return {"low": low, "high": high, "data": deflated(steps.tobytes())}


def deflated(data: bytes) -> str:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return text(packer.compress(data) + packer.flush())


def small(image: Image.Image, side: int) -> Image.Image:
    """A copy with the longest side at most `side`; never enlarged."""
    copy = image.copy()
    copy.thumbnail((side, side), reducing_gap=3)
    return copy


def webp(image: Image.Image, quality: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def picture(image: Image.Image, quality: int = 80) -> str:
    """A data URI."""
    return f"data:image/webp;base64,{text(webp(image, quality))}"
