"""Every operator gives what onnxruntime gives, on small networks of its own."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from probe.errors import UsageError
from probe.inside.graph import read_graph
from probe.inside.operators import OPERATORS
from tests.inside.nets import model

SHAPE = (2, 4, 7, 9)
RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def case(kind, *constants, opset=13, shape=SHAPE, x=True, **attributes):
    return pytest.param(kind, constants, opset, shape, x, attributes, id=f"{kind}-{attributes}")


CASES = [
    *(case(kind) for kind in ("Abs", "Relu", "Sigmoid", "Tanh", "Exp", "Neg", "Identity")),
    *(case(kind) for kind in ("Erf", "Softplus", "GlobalAveragePool", "GlobalMaxPool", "Flatten")),
    *(case(kind, floats(4, 1, 1)) for kind in ("Add", "Sub", "Mul", "Div", "PRelu", "Sum")),
    case("Elu", alpha=0.7),
    case("LeakyRelu", alpha=0.2),
    case("HardSigmoid", alpha=0.3),
    case("HardSwish", opset=14),
    case("Gelu", opset=20),
    case("Gelu", opset=20, approximate="tanh"),
    case("Pow", np.float32(2)),
    case("Dropout"),
    case("Cast", to=1),
    case("Clip", np.float32(0), np.float32(6)),
    case("Clip", np.float32(-0.5), np.float32(0.5)),
    case("Clip", opset=9, min=0.0, max=1.0),
    case("Flatten", axis=2),
    case("Flatten", axis=-1),
    case("Softmax"),
    case("Softmax", axis=1),
    case("Softmax", axis=1, opset=9),
    case("LogSoftmax", axis=1),
    case("Reshape", ints(0, -1)),
    case("Reshape", ints(2, 0, 63)),
    case("Transpose", perm=[0, 2, 3, 1]),
    case("Transpose"),
    case("Concat", floats(2, 3, 7, 9), axis=1),
    case("Pad", ints(0, 0, 1, 2, 0, 0, 3, 1)),
    case("Pad", ints(0, 1, 1, 2, 0, 0, 3, 1), np.float32(0.5)),
    case("Pad", ints(0, 0, 1, 2, 0, 0, 3, 1), mode="reflect"),
    case("Pad", ints(0, 0, 1, 2, 0, 0, 3, 1), mode="edge"),
    case("Pad", opset=9, pads=[0, 0, 1, 2, 0, 0, 3, 1], value=1.0),
    case("BatchNormalization", floats(4), floats(4), floats(4), np.abs(floats(4)), epsilon=1e-3),
    case("LRN", size=3, alpha=0.2, beta=0.6, bias=1.5),
    case("LRN", size=5),
    case("ReduceMean", axes=[2, 3]),
    case("ReduceMean", axes=[2], keepdims=0),
    case("ReduceMax", axes=[1]),
    case("ReduceSum", ints(2, 3), keepdims=0),
    case("Unsqueeze", ints(0, 3)),
    case("Squeeze", ints(1), shape=(2, 1, 5)),
    case("Squeeze", opset=9, axes=[1, 3], shape=(2, 1, 5, 1)),
    case("Slice", ints(1), ints(-1), ints(2), ints(2)),
    case("Gather", ints(2, 0), axis=1),
    case("Gather", np.array(-1), axis=3),
    case("MatMul", floats(9, 5)),
    case("Gemm", floats(6, 3), floats(3), shape=(2, 6)),
    case("Gemm", floats(3, 6), floats(3), shape=(2, 6), transB=1, alpha=0.5, beta=2.0),
    case("Gemm", floats(2, 3), shape=(2, 6), transA=1),
]


def outcomes(content, x):
    """From onnxruntime and from the conversion."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": x})
    graph = read_graph(content, "net.onnx", keep_final=True)
    with torch.no_grad():
        return expected.reshape(len(expected), -1), graph(torch.from_numpy(x)).numpy()


def agree(content, shape, **tolerance):
    x = RNG.normal(size=shape).astype(np.float32)
    expected, found = outcomes(content, x)
    np.testing.assert_allclose(found, expected, **({"rtol": 1e-4, "atol": 1e-5} | tolerance))


@pytest.mark.parametrize(("kind", "constants", "opset", "shape", "x", "attributes"), CASES)
def test_an_operator(kind, constants, opset, shape, x, attributes):
    names = [f"c{n}" for n in range(len(constants))]
    node = helper.make_node(kind, ["x", *names], ["y"], **attributes)
    agree(model([node], shape, zip(names, constants, strict=True), opset), shape)


@pytest.mark.parametrize("shape", [(1, 6, 5, 5)])
def test_a_square_root_and_what_the_shape_says(shape):
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("Sqrt", ["a"], ["b"]),
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Constant", [], ["first"], value_ints=[0]),
        helper.make_node("Gather", ["s", "first"], ["n"]),
        helper.make_node("Constant", [], ["rest"], value_ints=[-1]),
        helper.make_node("Concat", ["n", "rest"], ["to"], axis=0),
        helper.make_node("Reshape", ["b", "to"], ["y"]),
    ]
    agree(model(nodes, shape), shape)


pads = st.lists(st.integers(0, 1), min_size=4, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), pads, st.sampled_from([1, 2]),
    st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]), st.booleans(),
)  # fmt: skip
def test_convolutions(kernel, stride, dilation, pads, group, auto, bias):
    attributes = {"strides": [stride, 1], "dilations": [dilation] * 2, "group": group}
    attributes |= {"pads": pads} if auto == "NOTSET" else {"auto_pad": auto, "dilations": [1, 1]}
    weight = floats(4, 4 // group, kernel, 2)
    constants = [("w", weight)] + ([("b", floats(4))] if bias else [])
    node = helper.make_node("Conv", ["x", *(n for n, _ in constants)], ["y"], **attributes)
    agree(model([node], SHAPE, constants), SHAPE)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["MaxPool", "AveragePool"]), st.integers(2, 3), st.integers(1, 2), pads,
    st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_pools(kind, kernel, stride, pads, auto, ceil, include):
    attributes = {"kernel_shape": [kernel, 2], "strides": [stride, stride]}
    attributes |= {"pads": pads} if auto == "NOTSET" else {"auto_pad": auto}
    if auto == "NOTSET":
        attributes["ceil_mode"] = int(ceil)
    if kind == "AveragePool":
        attributes["count_include_pad"] = int(include)
    agree(model([helper.make_node(kind, ["x"], ["y"], **attributes)], SHAPE), SHAPE)


def test_every_operator_of_the_table_is_tested():
    tried = {one.values[0] for one in CASES}
    tried |= {"Conv", "MaxPool", "AveragePool", "Sqrt", "Shape", "Constant"}
    assert set(OPERATORS) == tried


def test_an_operator_that_is_not_known_is_named():
    nodes = [
        helper.make_node("Einsum", ["x"], ["a"], name="mix", equation="ij->ji"),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    with pytest.raises(UsageError, match=r"net\.onnx .*operator Einsum \(node mix\)"):
        read_graph(model(nodes, (2, 3)), "net.onnx")


def test_what_is_no_network_is_named():
    with pytest.raises(UsageError, match=r"net\.onnx cannot be used as a network"):
        read_graph(b"hello", "net.onnx")


def test_a_node_that_fails_is_named():
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["a"], name="to five"),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    graph = read_graph(model(nodes, (2, 3), [("shape", ints(5))]), "net.onnx")
    with pytest.raises(UsageError, match="its node to five fails: RuntimeError: shape"):
        graph(torch.zeros(2, 3))


def test_weights_in_another_file_are_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(b"\0" * 24)
    found = onnx.load_model_from_string(
        model([helper.make_node("Add", ["x", "w"], ["y"])], (2, 3), [("w", floats(2, 3))])
    )
    weight = found.graph.initializer[0]
    onnx.external_data_helper.set_external_data(weight, "secret")
    weight.ClearField("raw_data")
    weight.ClearField("float_data")
    with pytest.raises(UsageError, match="its weights lie in another file"):
        read_graph(found.SerializeToString(), "net.onnx")
