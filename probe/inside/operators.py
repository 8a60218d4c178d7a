"""The operators of ONNX that image classifiers are made of, as functions of torch tensors.

Each entry of OPERATORS makes, of a node's attributes and the model's opset, a module whose inputs
are the node's. https://onnx.ai/onnx/operators/ defines them; tests hold each against onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from probe.inside.pooling import average_pool, max_pool, same, spatial_pads

Attributes = Mapping[str, Any]
Tensor = Any


class Step(nn.Module):
    """A function as a module, so that a hook can be put on it."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


class Clip(nn.Module):
    """A bound at zero is a rectifier of its own, for views that change how those pass signals."""

    def __init__(self, low: float | None, high: float | None) -> None:
        super().__init__()
        self.bounds = low, high
        self.rectify = nn.ReLU()

    def forward(self, x: Tensor, low: Tensor = None, high: Tensor = None) -> Tensor:
        least = self.bounds[0] if low is None else float(low)
        most = self.bounds[1] if high is None else float(high)
        if least == 0:
            x = self.rectify(x)
        elif least is not None:
            x = x.clamp(min=least)
        return x if most is None else x.clamp(max=most)


def _conv(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor = None) -> Tensor:
    strides, dilations = a.get("strides", [1, 1]), a.get("dilations", [1, 1])
    pads = spatial_pads(a, x.shape[2:], list(weight.shape[2:]), strides, dilations)
    left = same(pads)
    if left is None:
        x, left = F.pad(x, [pads[1], pads[3], pads[0], pads[2]]), (0, 0)
    return F.conv2d(x, weight, bias, strides, left, dilations, a.get("group", 1))


def _batch_norm(
    a: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor
) -> Tensor:
    return F.batch_norm(x, mean, var, scale, bias, eps=a.get("epsilon", 1e-5))


def _gemm(a: Attributes, x: Tensor, y: Tensor, bias: Tensor = None) -> Tensor:
    x, y = (x.t() if a.get("transA") else x), (y.t() if a.get("transB") else y)
    product = a.get("alpha", 1.0) * (x @ y)
    return product if bias is None else product + a.get("beta", 1.0) * bias


def _flatten(a: Attributes, x: Tensor) -> Tensor:
    axis = a.get("axis", 1)
    axis = axis if axis >= 0 else axis + x.dim()
    rows = 1
    for side in x.shape[:axis]:
        rows *= side
    return x.reshape(rows, -1)


def _reshape(a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    sides = shape.tolist()
    if not a.get("allowzero"):
        sides = [x.shape[n] if side == 0 else side for n, side in enumerate(sides)]
    return x.reshape(sides)


def _softmax(opset: int, log: bool, a: Attributes, x: Tensor) -> Tensor:
    function = torch.log_softmax if log else torch.softmax
    if opset >= 13:
        return function(x, a.get("axis", -1))
    return function(_flatten({"axis": a.get("axis", 1)}, x), 1).reshape(x.shape)


def _pad(
    opset: int,
    a: Attributes,
    x: Tensor,
    pads: Tensor = None,
    value: Tensor = None,
    axes: Tensor = None,
) -> Tensor:
    edges = a["pads"] if pads is None else pads.tolist()
    fill = a.get("value", 0.0) if value is None else float(value)
    which = range(x.dim()) if axes is None else [n % x.dim() for n in axes.tolist()]
    ends = {n: (edges[i], edges[i + len(edges) // 2]) for i, n in enumerate(which)}
    flat: list[int] = []
    for n in reversed(range(x.dim())):
        flat += ends.get(n, (0, 0))
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[
        a.get("mode", "constant")
    ]
    if mode == "constant":
        return F.pad(x, flat, value=fill)
    return F.pad(x, flat[:4], mode=mode)  # torch takes only the sides of the picture here


def _axes(a: Attributes, axes: Tensor) -> list[int] | None:
    found: list[int] | None = a.get("axes") if axes is None else axes.tolist()
    return found


def _unsqueeze(a: Attributes, x: Tensor, axes: Tensor = None) -> Tensor:
    wanted = _axes(a, axes) or []
    rank = x.dim() + len(wanted)
    for axis in sorted(n % rank for n in wanted):
        x = x.unsqueeze(axis)
    return x


def _squeeze(a: Attributes, x: Tensor, axes: Tensor = None) -> Tensor:
    wanted = _axes(a, axes)
    if wanted is None:
        return x.squeeze()
    for axis in sorted((n % x.dim() for n in wanted), reverse=True):
        x = x.squeeze(axis)
    return x


def _reduce(
    function: Callable[..., Tensor], a: Attributes, x: Tensor, axes: Tensor = None
) -> Tensor:
    wanted = _axes(a, axes) or list(range(x.dim()))
    return function(x, dim=wanted, keepdim=bool(a.get("keepdims", 1)))


def _slice(a: Attributes, x: Tensor, *given: Tensor) -> Tensor:
    """Steps of 1 or more; starts, ends, axes and steps are inputs, or attributes of old files."""
    names = ("starts", "ends", "axes", "steps")
    found = {n: a[n] for n in names if n in a}
    found |= {n: t.tolist() for n, t in zip(names, given, strict=False) if t is not None}
    for i, (start, end) in enumerate(zip(found["starts"], found["ends"], strict=True)):
        axis = found.get("axes", range(len(found["starts"])))[i]
        step = found.get("steps", [1] * (i + 1))[i]
        where = [slice(None)] * x.dim()
        where[axis] = slice(start, end, step)
        x = x[tuple(where)]
    return x


def _gather(a: Attributes, x: Tensor, indices: Tensor) -> Tensor:
    axis = a.get("axis", 0) % x.dim()
    indices = indices.to(torch.int64) % x.shape[axis]
    found = x.index_select(axis, indices.reshape(-1))
    return found.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def _normed_nearby(a: Attributes, x: Tensor) -> Tensor:
    size = a["size"]
    squares = F.pad(x.square(), [0, 0, 0, 0, (size - 1) // 2, size - 1 - (size - 1) // 2])
    total = sum(squares[:, n : n + x.shape[1]] for n in range(size))
    return x / (a.get("bias", 1.0) + a.get("alpha", 1e-4) / size * total) ** a.get("beta", 0.75)


def _simple(function: Callable[..., Tensor]) -> Callable[[Attributes, int], nn.Module]:
    return lambda a, opset: Step(partial(function, a))


def _plain(function: Callable[..., Tensor]) -> Callable[[Attributes, int], nn.Module]:
    return lambda a, opset: Step(function)


def _by_opset(
    function: Callable[..., Tensor], *more: Any
) -> Callable[[Attributes, int], nn.Module]:
    return lambda a, opset: Step(partial(function, opset, *more, a))


def _constant(a: Attributes, opset: int) -> nn.Module:
    value = a.get("value", a.get("value_float", a.get("value_int", a.get("value_floats"))))
    return Step(lambda: torch.as_tensor(a.get("value_ints", value) if value is None else value))


def _hard_sigmoid(a: Attributes, x: Tensor) -> Tensor:
    return (a.get("alpha", 0.2) * x + a.get("beta", 0.5)).clamp(0, 1)


_KINDS = {1: torch.float32, 6: torch.int32, 7: torch.int64, 11: torch.float64, 9: torch.bool}
"""Numbers of ONNX for the kinds of tensors that Cast may name."""

OPERATORS: dict[str, Callable[[Attributes, int], nn.Module]] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "AveragePool": _simple(average_pool),
    "BatchNormalization": _simple(_batch_norm),
    "Cast": _simple(lambda a, x: x.to(_KINDS[a["to"]])),
    "Clip": lambda a, opset: Clip(a.get("min"), a.get("max")),
    "Concat": _simple(lambda a, *x: torch.cat(x, a["axis"])),
    "Constant": _constant,
    "Conv": _simple(_conv),
    "Div": _plain(lambda x, y: x / y if x.is_floating_point() else x // y),
    "Dropout": _plain(lambda x, *rest: x),
    "Elu": _simple(lambda a, x: F.elu(x, a.get("alpha", 1.0))),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Flatten": _simple(_flatten),
    "Gather": _simple(_gather),
    "Gelu": _simple(lambda a, x: F.gelu(x, approximate=a.get("approximate", "none"))),
    "Gemm": _simple(_gemm),
    "GlobalAveragePool": _plain(lambda x: x.mean((2, 3), keepdim=True)),
    "GlobalMaxPool": _plain(lambda x: x.amax((2, 3), keepdim=True)),
    "HardSigmoid": _simple(_hard_sigmoid),
    "HardSwish": _plain(lambda x: x * (x / 6 + 0.5).clamp(0, 1)),
    "Identity": _plain(lambda x: x),
    "LRN": _simple(_normed_nearby),
    "LeakyRelu": _simple(lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01))),
    "LogSoftmax": _by_opset(_softmax, True),
    "MatMul": _plain(torch.matmul),
    "MaxPool": _simple(max_pool),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "PRelu": _plain(lambda x, slope: torch.where(x < 0, slope * x, x)),
    "Pad": _by_opset(_pad),
    "Pow": _plain(torch.pow),
    "ReduceMax": _simple(partial(_reduce, torch.amax)),
    "ReduceMean": _simple(partial(_reduce, torch.mean)),
    "ReduceSum": _simple(partial(_reduce, torch.sum)),
    "Relu": lambda a, opset: nn.ReLU(),
    "Reshape": _simple(_reshape),
    "Shape": _plain(lambda x: torch.tensor(x.shape)),
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _simple(_slice),
    "Softmax": _by_opset(_softmax, False),
    "Softplus": _plain(F.softplus),
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": _simple(_squeeze),
    "Sub": _plain(torch.sub),
    "Sum": _plain(lambda *x: sum(x)),
    "Tanh": _plain(torch.tanh),
    "Transpose": _simple(lambda a, x: x.permute(a.get("perm", [*range(x.dim())][::-1]))),
    "Unsqueeze": _simple(_unsqueeze),
}
