"""An ONNX file as a torch module: each node a step that hooks can be put on."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from probe.backends.onnx import Activation
from probe.errors import UsageError, nearest
from probe.inside.operators import OPERATORS
from probe.text import printable

Tensor = Any
FINAL: dict[str, Activation] = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
"""Operators at the end of a network that turn logits into scores."""


class Graph(nn.Module):
    """The nodes of a network in their order.

    names: of the steps, as the file calls its nodes, or their outputs where it does not.
    final: `softmax` or `sigmoid` where the last node was one and was left out, so that what comes
    out are logits; else `none`.
    """

    def __init__(self, model: Any, keep_final: bool = False) -> None:
        super().__init__()
        opset = max((one.version for one in model.opset_import if one.domain in DOMAINS), default=1)
        graph = model.graph
        nodes, self.output = list(graph.node), graph.output[0].name
        self.final: Activation = "none"
        last = nodes[-1]
        if not keep_final and last.op_type in FINAL and last.output[0] == self.output:
            self.final, self.output = FINAL[last.op_type], last.input[0]
            nodes.pop()
        self.constants: dict[str, str] = {}
        for number, tensor in enumerate(graph.initializer):
            self.constants[tensor.name] = f"constant{number}"
            self.register_buffer(f"constant{number}", _tensor(tensor))
        (self.input,) = (one.name for one in graph.input if one.name not in self.constants)
        self.steps = nn.ModuleList(
            OPERATORS[node.op_type](_attributes(node), opset) for node in nodes
        )
        self.wires = [(list(node.input), list(node.output)) for node in nodes]
        self.names = _names(nodes)
        self.last_use = {name: n for n, (inputs, _) in enumerate(self.wires) for name in inputs}

    def forward(self, x: Tensor) -> Tensor:
        values: dict[str, Tensor] = {self.input: x, "": None}
        for n, (step, (inputs, outputs)) in enumerate(zip(self.steps, self.wires, strict=True)):
            try:
                values[outputs[0]] = step(*[self._value(values, name) for name in inputs])
            except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
                raise UsageError(
                    f"the network cannot be run inside: its node {printable(self.names[n], 60)} "
                    f"fails: {_reason(error)}"
                ) from error
            for name in inputs:
                if name and self.last_use[name] == n and name != self.output:
                    values.pop(name, None)
        return values[self.output].flatten(1)

    def _value(self, values: dict[str, Tensor], name: str) -> Tensor:
        return getattr(self, self.constants[name]) if name in self.constants else values[name]


DOMAINS = ("", "ai.onnx")


def read_graph(content: bytes, name: str, keep_final: bool = False) -> Graph:
    """The network in an ONNX file.

    name: of the file, for errors. keep_final: leave a softmax or sigmoid at the end where it is.
    Raises UsageError, which names the operators that are not known.
    """
    shown = printable(name, 300)
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own errors are of many kinds
        raise UsageError(f"{shown} cannot be used as a network: it is no ONNX file") from error
    unknown = {
        node.op_type: node.name or node.output[0]
        for node in reversed(model.graph.node)
        if node.op_type not in OPERATORS or node.domain not in DOMAINS
    }
    if unknown:
        said = ", ".join(
            f"{printable(kind, 60)} (node {printable(node, 60)})"
            for kind, node in sorted(unknown.items())[:5]
        )
        hint = nearest(next(iter(sorted(unknown))), OPERATORS)
        raise UsageError(
            f"{shown} cannot be looked into: no conversion of the operator {said}.{hint} "
            "The black-box methods work all the same: probe occlude"
        )
    try:
        found = Graph(model, keep_final)
    except UsageError as error:
        raise UsageError(f"{shown} cannot be looked into: {error}") from error
    except Exception as error:  # a damaged file may raise anything
        raise UsageError(f"{shown} cannot be looked into: {_reason(error)}") from error
    found.eval()
    return found


def _reason(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}".splitlines()[0], 200)


def _names(nodes: list[Any]) -> list[str]:
    """Of the nodes, each once; an output's name where a node has none, or another's."""
    names: list[str] = []
    for node in nodes:
        name = node.name or node.output[0]
        names.append(name if name not in names else node.output[0])
    return names


def _attributes(node: Any) -> dict[str, Any]:
    found = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    for name, value in found.items():
        if isinstance(value, bytes):
            found[name] = value.decode()
        elif isinstance(value, onnx.TensorProto):
            found[name] = _tensor(value)
    return found


def _tensor(tensor: Any) -> Tensor:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise UsageError("its weights lie in another file: save it with the weights inside")
    return torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
