"""Finished runs over a picture whose answer is known, and texts that nobody should trust."""

from __future__ import annotations

import numpy as np
from PIL import Image

from probe import Prober, from_callable

PATCH = (0.5, 0.25, 0.75, 0.5)
HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(2)>",
    "</script><script>alert(3)</script>",
    "javascript:alert(4)",
    "\x1b[31mred\x1b]8;;http://x\x07",
    "\u202egnp.exe",
    "{{ 7 * 7 }}",
    "x" * 10_000,
]


def photo(width=120, height=80, seed=0):
    """A noisy picture with a bright patch at PATCH."""
    pixels = np.random.default_rng(seed).integers(0, 120, (height, width, 3), np.uint8)
    x0, y0, x1, y1 = PATCH
    pixels[int(y0 * height) : int(y1 * height), int(x0 * width) : int(x1 * width)] = 250
    return Image.fromarray(pixels)


def brightness(images):
    """How much of the patch is there: its mean level."""
    found = []
    for image in images:
        pixels = np.asarray(image, float)
        height, width = pixels.shape[:2]
        x0, y0, x1, y1 = PATCH
        part = pixels[int(y0 * height) : int(y1 * height), int(x0 * width) : int(x1 * width)]
        found.append(float((part > 240).mean()))
    return found


def probed(labels=("patch",), image=None, **options):
    """A finished run; the first label is the patch, each other one half of the one before."""

    def score(images):
        return [
            {label: share / 2**n for n, label in enumerate(labels)} for share in brightness(images)
        ]

    prober = Prober(from_callable(score, labels=list(labels)))
    return prober.probe(photo() if image is None else image, labels[0], **options)
