"""Small networks as ONNX files and torch modules."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from probe.backends.preprocessing import Preprocessing
from probe.inside.network import WhiteBox


def model(nodes, shape, constants=(), opset=13):
    """An ONNX file of nodes that lead from x to y."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def white_box(module, side, labels=("no", "yes"), **options):
    return WhiteBox(
        module, labels=labels, preprocessing=Preprocessing((side, side)), question="yes", **options
    )
