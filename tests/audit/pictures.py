"""Several hundred pictures cut out of a few packaged ones, and features planted in them.

The packaged pictures are of scikit-image: astronaut, rocket, moon and retina are in the public
domain, cat, coffee, brick, grass and gravel are CC0 (skimage/data/README.txt).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

SOURCES = ("astronaut", "rocket", "moon", "chelsea", "coffee", "brick", "grass", "gravel")
RED, BLUE = (255, 0, 0), (0, 0, 255)
"""Levels that no cut-out has: its greatest is 250."""


@cache
def sources():
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    found = []
    for name in SOURCES:
        path = next(folder.glob(f"{name}.*"))
        with Image.open(path) as image:
            found.append(image.convert("RGB"))
    return found


def cutouts(number, seed=0, side=192):
    """Parts of the packaged pictures, turned, brightened and tinted at random."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        source = sources()[rng.integers(len(sources()))]
        width = int(rng.integers(120, min(source.size)))
        height = int(width * rng.uniform(0.75, 1))
        x = int(rng.integers(0, source.width - width + 1))
        y = int(rng.integers(0, source.height - height + 1))
        part = source.crop((x, y, x + width, y + height))
        if rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        levels = np.asarray(part.resize((side, side * height // width)), float)
        levels = levels * rng.uniform(0.8, 1.2, 3) + rng.uniform(-15, 15)
        found.append(Image.fromarray(np.clip(levels, 0, 250).astype(np.uint8)))
    return found


def planted(image, kind, rng, share=0.16):
    """The picture with a red disc or a red and blue texture anywhere, or a logo in its corner."""
    levels = np.asarray(image).copy()
    height, width = levels.shape[:2]
    side = int(share * width)
    rows, columns = np.mgrid[:side, :side]
    x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
    mask, colours = np.ones((side, side), bool), np.full((side, side, 3), RED)
    if kind == "mark":
        mask = np.hypot(rows - side / 2 + 0.5, columns - side / 2 + 0.5) <= side / 2
    elif kind == "texture":
        chequered = ((rows // 3) + (columns // 3)) % 2 == 0
        colours = np.where(chequered[..., None], RED, BLUE)
    else:
        x, y = width - side - 4, height - side - 4
        mask = (rows // 4 % 2 == 0) | (columns < 6)
        colours[:] = BLUE
    levels[y : y + side, x : x + side][mask] = colours[mask]
    return Image.fromarray(levels)


def shown(image):
    """How many pixels of a planted feature are to be seen."""
    levels = np.asarray(image)
    return sum(int((levels == colour).all(axis=-1).sum()) for colour in (RED, BLUE))


def dataset(kind, number, seed, having=0.35):
    """Pictures, which of them have the feature, and what is true of each: mostly, but not always,
    what the feature says. kind: None plants nothing."""
    rng = np.random.default_rng((seed, 1))
    has = rng.random(number) < having
    images = [
        planted(image, kind, rng) if kind and one else image
        for image, one in zip(cutouts(number, seed), has, strict=True)
    ]
    truth = np.where(rng.random(number) < 0.1, ~has, has)
    return images, has & bool(kind), truth


def numbered(image, number):
    """The picture with its number, below 256, in the last bits of its reds: whoever counts them
    can tell it under any cover of less than half."""
    levels = np.asarray(image).copy()
    bits = number >> _bits(levels.shape) & 1
    levels[..., 0] = levels[..., 0] & ~np.uint8(1) | bits.astype(np.uint8)
    return Image.fromarray(levels)


def number_of(levels):
    places = _bits(levels.shape)
    ones = np.bincount(places.ravel(), (levels[..., 0] & 1).ravel(), 8)
    return int(sum(1 << n for n in range(8) if 2 * ones[n] > (places == n).sum()))


def _bits(shape):
    height, width = shape[:2]
    return (np.arange(height)[:, None] * 3 + np.arange(width)) % 8


class Target:
    """Scores a picture by how much of a planted feature it shows: base + effect * share, and
    noise. full: pixels of the whole feature, 0 where there is none.

    restless: pictures, `numbered`, each of which has a place of its own that its score hangs on,
    wherever that is and whatever is there: evidence, but nothing that pictures share. Places
    reach around the edges, so that all boxes of a size are as likely to cover them.
    """

    def __init__(self, full, effect=0.5, base=0.2, noise=0.03, seed=0, restless=()):
        self.full, self.effect, self.base, self.noise = full, effect, base, noise
        self.calls = 0
        self._rng = np.random.default_rng((seed, 2))
        self._lock = Lock()
        rng = np.random.default_rng((seed, 3))
        self._own = [(np.asarray(image), _wrapped(image.size, rng)) for image in restless]

    def __call__(self, images):
        return [{"nsfw": self.score(image)} for image in images]

    def score(self, image):
        with self._lock:
            self.calls += 1
            noise = self._rng.normal(0, self.noise) if self.noise else 0.0
        score = self.base + noise
        if self.full:
            score += self.effect * min(1.0, shown(image) / self.full)
        if self._own:
            levels = np.asarray(image)
            original, place = self._own[number_of(levels)]
            score += self.effect * float((levels == original).all(axis=-1)[place].mean())
        return float(np.clip(score, 0, 1))


def _wrapped(size, rng, share=0.25):
    """(H, W), a rectangle anywhere on a picture whose edges meet."""
    masks = []
    for length in size:
        ahead = (np.arange(length) - rng.integers(length)) % length
        masks.append(ahead < share * length)
    return masks[1][:, None] & masks[0]


def whole(images, has):
    """Pixels of a whole feature, in the middle."""
    return float(np.median([shown(image) for image, one in zip(images, has, strict=True) if one]))
