"""Extremal perturbation: the parts of a picture that alone say the most.

After Fong, Patrick and Vedaldi, "Understanding Deep Networks via Extremal Perturbations and Smooth
Masks", ICCV 2019: of all smooth masks of a given area the one that matters most, for several
areas. Here the masks are the level sets of one field, drawn smoothly from a coarse grid, so that
each holds the smaller ones and each has its area exactly; and what is kept and what is covered
are asked together, which takes a tenth of the steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from probe.inside.network import WhiteBox, odds

Tensor = Any
Cut = tuple[slice, slice]
AREAS = (0.03, 0.08, 0.2, 0.4)
CELLS, STEPS, RATE = 7, 24, 0.3
STEEP = (1.0, 4.0)
"""How steep the edge of a mask is in the first step and in the last."""
JITTER = 8
NOTHING = 1e-4
"""Relative changes of the odds that are rounding."""
BLURRED = 8
"""What covers is the picture in so many cells a side."""


@dataclass(frozen=True)
class Extremal:
    """masks: (areas, h, w) of the network's pixels, 0 to 1, 0 outside of the picture. kept,
    covered: the input with nothing but the mask's part shown, and with just that part covered,
    an input for each area."""

    masks: Tensor
    kept: list[Tensor]
    covered: list[Tensor]


def extremal(network: WhiteBox, x: Tensor, target: int, cut: Cut, seed: int = 0) -> Extremal:
    """cut: rows and columns of the network's pixels that are of the picture; what lies around
    them is never changed, and areas are shares of it."""
    upright = network.preprocessing.layout == "NCHW"
    shown = x if upright else x.permute(0, 3, 1, 2)
    cover = _blurred(shown[:, :, *cut])
    sides = tuple(cover.shape[2:])
    field = torch.zeros((1, 1, *(min(CELLS, side) for side in sides)), requires_grad=True)
    areas = torch.tensor(AREAS).reshape(-1, 1, 1, 1)
    optimizer = torch.optim.Adam([field], lr=RATE)
    generator = torch.Generator().manual_seed(seed)

    def inputs(masks: Tensor) -> Tensor:
        """Those that keep, then those that cover."""
        part = shown[:, :, *cut]
        both = torch.cat([cover + masks * (part - cover), part + masks * (cover - part)])
        whole = shown.repeat(len(both), 1, 1, 1)
        whole[:, :, *cut] = both
        return whole

    for step in range(STEPS):
        low, high = STEEP
        masks = _masks(field, sides, areas, low * (high / low) ** (step / (STEPS - 1)))
        seen = _moved(inputs(masks), generator)
        logits = network.module(seen if upright else seen.permute(0, 2, 3, 1))
        gains = torch.stack([odds(row, target) for row in logits])
        loss = gains[len(areas) :].sum() - gains[: len(areas)].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        masks = _masks(field, sides, areas, STEEP[1])
        made = inputs(masks)
        made = made if upright else made.permute(0, 2, 3, 1)
        whole = torch.zeros((len(AREAS), *shown.shape[2:]))
        if _matter(network, torch.cat([x, made]), target):
            whole[:, *cut] = masks[:, 0]
    single = [made[n : n + 1] for n in range(len(made))]
    return Extremal(whole, single[: len(AREAS)], single[len(AREAS) :])


def _matter(network: WhiteBox, inputs: Tensor, target: int) -> bool:
    """Whether the others differ from the first in what the network says of them."""
    first, *others = (float(odds(row, target)) for row in network.module(inputs))
    return max(abs(other - first) for other in others) > NOTHING * (1 + abs(first))


def _masks(field: Tensor, sides: tuple[int, ...], areas: Tensor, steep: float) -> Tensor:
    """(areas, 1, h, w): soft level sets of the field, each of its area."""
    drawn = F.interpolate(field, sides, mode="bicubic", align_corners=False)
    return torch.sigmoid(steep * (drawn - _levels(drawn, areas, steep)))


def _levels(drawn: Tensor, areas: Tensor, steep: float) -> Tensor:
    """Where the mean of sigmoid(steep * (drawn - level)) is the area: found by halving, and its
    gradient by the implicit function."""
    with torch.no_grad():
        low = (drawn.min() - 20 / steep).expand(areas.shape)
        high = (drawn.max() + 20 / steep).expand(areas.shape)
        for _ in range(40):
            middle = (low + high) / 2
            mean = torch.sigmoid(steep * (drawn - middle)).mean((1, 2, 3), keepdim=True)
            low = torch.where(mean > areas, middle, low)
            high = torch.where(mean > areas, high, middle)
        level = (low + high) / 2
        inside = torch.sigmoid(steep * (drawn - level))
        slope = inside * (1 - inside)
        weight = slope / slope.sum((1, 2, 3), keepdim=True).clamp(min=1e-12)
    return level + (weight * (drawn - drawn.detach())).sum((1, 2, 3), keepdim=True)


def _blurred(part: Tensor) -> Tensor:
    rows, columns = part.shape[2:]
    small = F.adaptive_avg_pool2d(part, (min(BLURRED, rows), min(BLURRED, columns)))
    return F.interpolate(small, (rows, columns), mode="bilinear", align_corners=False)


def _moved(seen: Tensor, generator: torch.Generator) -> Tensor:
    """All by the same few pixels, so that no mask hangs on where exactly the filters lie."""
    rows, columns = seen.shape[2:]
    most = min(JITTER, rows // 8, columns // 8)
    down, right = torch.randint(0, 2 * most + 1, (2,), generator=generator).tolist()
    padded = F.pad(seen, (most, most, most, most), mode="replicate")
    return padded[:, :, down : down + rows, right : right + columns]
