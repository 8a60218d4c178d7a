"""What stands in each cell of a picture: an inner layer of the default network, and colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probe.backends.inner import CELLS, CHANNELS, InnerLayer
from probe.backends.local import local
from probe.colours import lab
from probe.errors import MissingExtra

if TYPE_CHECKING:
    from PIL import Image

SIDE = 224
"""Pixels to which a picture is squeezed, both ways."""
PIXELS = 4
"""Of a cell, each way, from which its colours are taken."""
WIDE = CHANNELS + 6

Cells = NDArray[np.float32]
"""(CELLS, CELLS, WIDE): the layer's channels, the mean Lab colour of the cell, its deviation."""


def thumbnail(image: Image.Image) -> Image.Image:
    """What is looked at: SIDE x SIDE pixels."""
    from PIL import Image

    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class Sight:
    """Looks at pictures with the default network, whatever service is audited.

    threads: of onnxruntime. Each process reads the weights once, at the first use.
    """

    threads: int | None = None

    def check(self) -> None:
        """Raise MissingExtra where something is not there; the weights are not read yet: what
        they leave in the memory would let the scores of many pictures grow it."""
        local()
        if find_spec("onnx") is None:
            raise MissingExtra("onnx", "audit")

    def __call__(self, image: Image.Image) -> Cells:
        """float32 (CELLS, CELLS, WIDE) of a thumbnail."""
        small = image.resize((CELLS * PIXELS, CELLS * PIXELS))
        colours = lab(small).reshape(CELLS, PIXELS, CELLS, PIXELS, 3)
        mean, deviation = colours.mean(axis=(1, 3)), colours.std(axis=(1, 3))
        layer = _layer(self.threads)(image)
        found: Cells = np.concatenate([layer, mean, deviation], axis=2, dtype="f4")
        return found


@cache
def _layer(threads: int | None) -> InnerLayer:
    return InnerLayer(local(), threads)
