"""What to change for another answer: a smooth, bounded shift of colour and light.

The signal of the network is followed upward as in activation maximisation (Erhan et al., 2009),
but only a coarse grid of shifts may move, drawn linearly between its points: no texture, no new
edge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F  # noqa: N812

from probe.errors import UsageError
from probe.inside.colours import lab, moved
from probe.inside.frame import frame
from probe.inside.network import WhiteBox, odds

Tensor = Any
Score = Callable[[Image.Image], Mapping[str, float]]
STRENGTH = 12
CELLS = 7
STEPS = 30
CONTROLS = 4


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
    colours           where which colours moved, see `colours.moved`.
    """

    label: str
    before: Image.Image
    after: Image.Image
    scores: tuple[Mapping[str, float], Mapping[str, float]]
    strength: int
    largest: int
    delta_e: tuple[float, float]
    controls: list[float]
    colours: list[dict[str, Any]]

    @property
    def difference(self) -> NDArray[np.float32]:
        """(H, W, 3), in levels."""
        one, other = (np.asarray(image, np.float32) for image in (self.before, self.after))
        return other - one


def change(
    network: WhiteBox,
    picture: Image.Image,
    label: str,
    score: Score,
    *,
    strength: int = STRENGTH,
    seed: int = 0,
    steps: int = STEPS,
) -> Change:
    """Raise a label's score by a small change of colour and light.

    score: the black box, which says what it scores before, after, and for random changes.
    strength: the largest shift of a channel, in levels of 255.
    """
    if not 1 <= strength <= 255:
        raise UsageError(f"the strength must be from 1 to 255 levels, not {strength}")
    target = network.index(label)
    grid = _followed(network, picture, target, strength, steps)
    after = _shifted(picture, strength * grid)
    size = float(np.sqrt(np.mean(np.square(_gap(picture, after)))))
    rng = np.random.default_rng(seed)
    controls = []
    for _ in range(CONTROLS):
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], grid.shape).astype(np.float32))
        controls.append(score(_as_large(picture, strength * grid.abs() * signs, size))[label])
    distance = np.linalg.norm(lab(after) - lab(picture), axis=2)
    return Change(
        label,
        picture,
        after,
        (dict(score(picture)), dict(score(after))),
        strength,
        int(np.abs(_gap(picture, after)).max()),
        (float(distance.mean()), float(distance.max())),
        controls,
        moved(picture, after),
    )


def _followed(
    network: WhiteBox, picture: Image.Image, target: int, strength: int, steps: int
) -> Tensor:
    """The grid of shifts (1, 3, CELLS, CELLS) in RGB, each from -1 to 1."""
    laid, made = frame(picture, network.preprocessing, "squeeze"), network.preprocessing
    x = network.input(laid.image)
    first = x if made.layout == "NCHW" else x.permute(0, 3, 1, 2)
    mean, std = (torch.tensor(three).reshape(1, 3, 1, 1) for three in (made.mean, made.std))
    levels = (first * std + mean) / made.scale
    width, height = laid.canvas.send
    free = torch.zeros((1, 3, CELLS, CELLS), requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.2)
    for _ in range(steps):
        shift = strength * _drawn(torch.tanh(free), (height, width))[:, :, *laid.place]
        shift = shift.flip(1) if made.channels == "BGR" else shift
        seen = ((levels + shift).clamp(0, 255) * made.scale - mean) / std
        logits = network.module(seen if made.layout == "NCHW" else seen.permute(0, 2, 3, 1))[0]
        loss = -odds(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.tanh(free).detach()


def _drawn(grid: Tensor, sides: tuple[int, int]) -> Tensor:
    return F.interpolate(grid, sides, mode="bilinear", align_corners=False)


def _shifted(picture: Image.Image, grid: Tensor) -> Image.Image:
    shift = _drawn(grid, (picture.height, picture.width))[0].permute(1, 2, 0).numpy()
    levels = np.asarray(picture, np.float32) + np.rint(shift)
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def _as_large(picture: Image.Image, grid: Tensor, size: float) -> Image.Image:
    """The change by a grid scaled until its root mean square, after clipping, is `size`."""
    low, high = 0.0, 16.0
    for _ in range(16):
        middle = (low + high) / 2
        gap = _gap(picture, _shifted(picture, middle * grid))
        if float(np.sqrt(np.mean(np.square(gap)))) < size:
            low = middle
        else:
            high = middle
    return _shifted(picture, high * grid)


def _gap(one: Image.Image, other: Image.Image) -> NDArray[np.float32]:
    return np.asarray(other, np.float32) - np.asarray(one, np.float32)
