"""Windows that slide over a picture, with the paddings that ONNX knows and torch does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

Tensor = Any


def spatial_pads(
    a: Mapping[str, Any],
    sides: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """Rows above, columns to the left, rows below, columns to the right."""
    auto = a.get("auto_pad", "NOTSET")
    if auto == "NOTSET":
        return list(a.get("pads", [0, 0, 0, 0]))
    if auto == "VALID":
        return [0, 0, 0, 0]
    before, after = [], []
    for side, k, stride, dilation in zip(sides, kernel, strides, dilations, strict=True):
        steps = -(-side // stride)
        total = max(0, (steps - 1) * stride + (k - 1) * dilation + 1 - side)
        less, more = total // 2, total - total // 2
        before.append(less if auto == "SAME_UPPER" else more)
        after.append(more if auto == "SAME_UPPER" else less)
    return before + after


def same(pads: Sequence[int]) -> tuple[int, int] | None:
    """Rows and columns on either side, where both sides have as many."""
    return (pads[0], pads[1]) if pads[0] == pads[2] and pads[1] == pads[3] else None


def _window(a: Mapping[str, Any], x: Tensor) -> tuple[Any, Any, Any, list[int], list[int]]:
    """Kernel, strides, dilations, the pads, and the rows and columns that rounding up adds."""
    kernel = a["kernel_shape"]
    strides, dilations = a.get("strides", [1, 1]), a.get("dilations", [1, 1])
    pads = spatial_pads(a, x.shape[2:], kernel, strides, dilations)
    extra = [0, 0]
    if a.get("ceil_mode"):
        for n in (0, 1):
            side, reach = x.shape[2 + n], (kernel[n] - 1) * dilations[n] + 1
            padded = side + pads[n] + pads[n + 2]
            steps = -(-(padded - reach) // strides[n]) + 1
            if (steps - 1) * strides[n] >= side + pads[n]:  # it would start behind the picture
                steps -= 1
            extra[n] = max(0, (steps - 1) * strides[n] + reach - padded)
    return kernel, strides, dilations, pads, extra


def max_pool(a: Mapping[str, Any], x: Tensor) -> Tensor:
    """Its gradient goes to where the maximum was: the switches of a deconvolution network."""
    kernel, strides, dilations, pads, extra = _window(a, x)
    if any(pads) or any(extra):
        edges = [pads[1], pads[3] + extra[1], pads[0], pads[2] + extra[0]]
        x = F.pad(x, edges, value=float("-inf"))
    return F.max_pool2d(x, kernel, strides, 0, dilations)


def average_pool(a: Mapping[str, Any], x: Tensor) -> Tensor:
    kernel, strides, _, pads, extra = _window(a, x)
    if not any(pads) and not any(extra):
        return F.avg_pool2d(x, kernel, strides)
    edges = [pads[1], pads[3], pads[0], pads[2]]
    counted = torch.ones_like(x[:1, :1])
    counted = F.pad(counted, edges, value=1.0 if a.get("count_include_pad") else 0.0)
    more = [0, extra[1], 0, extra[0]]
    total = F.avg_pool2d(F.pad(F.pad(x, edges), more), kernel, strides)
    return total / F.avg_pool2d(F.pad(counted, more), kernel, strides)
