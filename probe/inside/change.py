"""What to change for another answer: a smooth, bounded shift of colour and light.

The signal of the network is followed upward as in activation maximisation (Erhan et al., 2009),
but only a coarse grid of shifts may move, drawn linearly between its points: no texture, no new
edge. A price on moving a point at all (the group lasso of Yuan and Lin, 2006, by proximal steps)
leaves most of the picture as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch.nn import functional as F  # noqa: N812

from probe.errors import UsageError
from probe.image import scale
from probe.inside.colours import Place, distances, moved
from probe.inside.frame import frame
from probe.inside.network import WhiteBox

Tensor = Any
Score = Callable[[Image.Image], Mapping[str, float]]
STRENGTH = 12
CELLS = 10
STEPS = 40
PRICE = 0.02
"""A point of the grid stays where it is unless it pulls at the label by more than this share of
what the strongest one pulls at first."""
STRIDE, MOMENTUM = 1.5, 0.8
CONTROLS = 4
SMALL = 512
"""The longest side, in pixels, at which the size of random changes is measured."""


@dataclass(frozen=True, eq=False)
class Change:
    """A picture before and after, and what that did.

    before, after     the upright picture and the changed one, 8 bit, of the same size.
    scores            label -> score of each, by the black box.
    strength          no channel of any pixel moved by more levels (of 255) than this.
    largest, delta_e  by how many levels the most moved; the mean and the largest CIE 1976 colour
                      difference.
    controls          the label's score after random changes of the same root mean square, in the
                      same grid.
    places            where which colours moved, numbered from 1, what matters most first: each
                      with the label's score when it alone is as before.
    """

    label: str
    before: Image.Image
    after: Image.Image
    scores: tuple[Mapping[str, float], Mapping[str, float]]
    strength: int
    largest: int
    delta_e: tuple[float, float]
    controls: list[float]
    places: list[Place]

    @property
    def difference(self) -> NDArray[np.float32]:
        """(H, W, 3), in levels."""
        return _gap(self.before, self.after)


def change(
    network: WhiteBox,
    picture: Image.Image,
    label: str,
    score: Score,
    *,
    strength: int = STRENGTH,
    seed: int = 0,
    steps: int = STEPS,
    price: float = PRICE,
) -> Change:
    """Raise a label's score by a small change of colour and light.

    score: the black box, which says what it scores before, after, for random changes, and with
    each place undone. strength: the largest shift of a channel, in levels of 255. price: the
    higher, the less of the picture moves; 0 moves all of it.
    """
    if not 1 <= strength <= 255:
        raise UsageError(f"the strength must be from 1 to 255 levels, not {strength}")
    target = network.index(label)
    grid = strength * _followed(network, picture, target, strength, steps, price)
    after = _shifted(picture, grid)
    scores = dict(score(picture)), dict(score(after))
    distance = distances(picture, after)
    return Change(
        label,
        picture,
        after,
        scores,
        strength,
        int(np.abs(_gap(picture, after)).max()),
        (float(distance.mean(dtype=np.float64)), float(distance.max())),
        [score(one)[label] for one in _random(picture, grid, seed)],
        _weighed(moved(picture, after), lambda one: score(undone(picture, after, one))[label]),
    )


def undone(before: Image.Image, after: Image.Image, place: Place) -> Image.Image:
    """The changed picture with one place, and a quarter of a cell around it, as before; the
    change comes back over half a cell more, so that no edge is made."""
    rows, columns = place.mask.shape
    away = ndimage.distance_transform_edt(~place.mask, (CELLS / rows, CELLS / columns))
    weight = np.clip(1.5 - 2 * away, 0, 1).astype(np.float32)
    drawn = Image.fromarray(weight).resize(before.size, Image.Resampling.BILINEAR)
    levels = np.asarray(after) - np.asarray(drawn)[..., None] * _gap(before, after)
    return Image.fromarray(np.rint(levels).astype(np.uint8))


def _weighed(places: list[Place], score: Callable[[Place], float]) -> list[Place]:
    """The places with numbers and their scores when undone, the lowest of them first."""
    scored = sorted(((score(one), n) for n, one in enumerate(places)))
    return [places[n].numbered(number, low) for number, (low, n) in enumerate(scored, 1)]


def _followed(
    network: WhiteBox,
    picture: Image.Image,
    target: int,
    strength: int,
    steps: int,
    price: float,
) -> Tensor:
    """The grid of shifts (1, 3, CELLS, CELLS) in RGB, each from -1 to 1."""
    seen = _changeable(network, picture, strength)
    grid = torch.zeros((1, 3, CELLS, CELLS))
    pace, steepest = torch.zeros_like(grid), 0.0
    with _one_thread():
        for _ in range(steps):
            ahead = (grid + MOMENTUM * pace).clamp(-1, 1).requires_grad_()
            loss = _loss(network.module(seen(ahead))[0], target, network.activation)
            slope = torch.autograd.grad(loss, ahead)[0]
            steepest = steepest or float(slope.norm(dim=1).max())
            if not 0 < steepest < inf:
                break
            new = ahead.detach() - STRIDE / steepest * slope
            size = new.norm(dim=1, keepdim=True).clamp_min(1e-12)
            new = (new * (1 - STRIDE * price / size).clamp_min(0)).clamp(-1, 1)
            grid, pace = new, new - grid
    return grid


def _changeable(
    network: WhiteBox, picture: Image.Image, strength: int
) -> Callable[[Tensor], Tensor]:
    """From a grid of shifts to the network's input of the picture shifted by it."""
    laid, made = frame(picture, network.preprocessing, "squeeze"), network.preprocessing
    x = network.input(laid.image)
    first = x if made.layout == "NCHW" else x.permute(0, 3, 1, 2)
    mean, std = (torch.tensor(three).reshape(1, 3, 1, 1) for three in (made.mean, made.std))
    levels = (first * std + mean) / made.scale
    width, height = laid.canvas.send

    def seen(grid: Tensor) -> Tensor:
        shift = strength * _drawn(grid, (height, width))[:, :, *laid.place]
        shift = shift.flip(1) if made.channels == "BGR" else shift
        shifted = ((levels + shift).clamp(0, 255) * made.scale - mean) / std
        return shifted if made.layout == "NCHW" else shifted.permute(0, 2, 3, 1)

    return seen


def _loss(logits: Tensor, target: int, activation: str) -> Tensor:
    """Minus the logarithm of the label's score, so that less is moved as it nears 1; minus the
    score itself where that is no probability."""
    if activation == "softmax":
        return -logits.log_softmax(0)[target]
    return F.softplus(-logits[target]) if activation == "sigmoid" else -logits[target]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order, so that the change is the same on any machine, busy or not."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _random(picture: Image.Image, grid: Tensor, seed: int) -> Iterator[Image.Image]:
    """The picture changed by the grid with random signs, as much as by the grid itself."""
    rng = np.random.default_rng(seed)
    small = scale(picture, SMALL)
    size = _size(small, grid)
    for _ in range(CONTROLS):
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], grid.shape).astype(np.float32))
        drawn = grid.abs() * signs
        yield _shifted(picture, _factor(small, drawn, size) * drawn)


def _factor(picture: Image.Image, grid: Tensor, size: float) -> float:
    """What a grid is to be multiplied by until its change, after clipping, is of a size."""
    low, high = 0.0, 16.0
    for _ in range(16):
        middle = (low + high) / 2
        if _size(picture, middle * grid) < size:
            low = middle
        else:
            high = middle
    return high


def _size(picture: Image.Image, grid: Tensor) -> float:
    """The root mean square of the change by a grid, in levels."""
    return float(np.sqrt(np.mean(np.square(_gap(picture, _shifted(picture, grid))))))


def _drawn(grid: Tensor, sides: tuple[int, int]) -> Tensor:
    return F.interpolate(grid, sides, mode="bilinear", align_corners=False)


def _shifted(picture: Image.Image, grid: Tensor) -> Image.Image:
    """The picture with a grid of shifts in levels added, and clipped to 0 to 255."""
    shift = _drawn(grid, (picture.height, picture.width))[0].permute(1, 2, 0).numpy()
    levels = np.asarray(picture, np.float32) + np.rint(shift)
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def _gap(one: Image.Image, other: Image.Image) -> NDArray[np.float32]:
    return np.asarray(other, np.float32) - np.asarray(one, np.float32)
