"""Regions, canvases and pictures for property tests."""

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from probe.types import Box, Canvas, Window

fraction = st.floats(-0.5, 1.5)
grids = st.sampled_from([1, 8])


@st.composite
def regions(draw, kinds=(Box, Window)):
    kind = draw(st.sampled_from(kinds))
    x0, x1 = sorted((draw(fraction), draw(fraction)))
    y0, y1 = sorted((draw(fraction), draw(fraction)))
    return kind(x0, y0, x1, y1)


@st.composite
def canvases(draw, largest=600):
    send = (draw(st.integers(1, largest)), draw(st.integers(1, largest)))
    return Canvas(send, send, draw(grids))


def noise(size, seed=0):
    shape = (size[1], size[0], 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))
