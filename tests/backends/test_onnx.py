import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from probe.backends.onnx import Onnx
from probe.errors import MissingExtra, UsageError
from probe.types import Codec, Failure

RGB = ("red", "green", "blue")
COLOURS = [(255, 0, 0), (0, 128, 0), (10, 20, 30)]


def network(tmp_path, *, shape=("N", 3, 4, 4), nodes=None, tensors=(), out=("N", 3), kind=1):
    """A network that gives the mean of each channel, or what `nodes` compute."""
    nodes = nodes or [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        list(tensors),
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("custom.domain", 1)]
    path = tmp_path / "net.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    return path


def backend(path, **options):
    return Onnx(path, **{"labels": RGB, "size": (4, 4)} | options)


def ask(model, sample, colours=COLOURS):
    return model.score([sample(Image.new("RGB", (9, 7), c)) for c in colours], Codec())


def test_outputs_become_scores_in_the_order_of_the_labels(tmp_path, sample):
    answers = ask(backend(network(tmp_path)), sample)
    assert [tuple(answer.values()) for answer in answers] == COLOURS
    assert tuple(answers[0]) == RGB


def test_a_network_of_one_picture_a_batch_and_the_other_layout_work(tmp_path, sample):
    pool = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2], keepdims=0)
    path = network(tmp_path, shape=(1, 4, 4, 3), nodes=[pool], out=(1, 3))
    answers = ask(backend(path, layout="NHWC", channels="BGR"), sample)
    assert [tuple(answer.values()) for answer in answers] == [c[::-1] for c in COLOURS]


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_activations(tmp_path, sample, activation):
    (answer,) = ask(backend(network(tmp_path), activation=activation), sample, [(3, 2, 0)])
    powers = np.exp([3.0, 2.0, 0.0])
    expected = powers / powers.sum() if activation == "softmax" else powers / (1 + powers)
    assert tuple(answer.values()) == pytest.approx(tuple(expected))


def test_large_outputs_do_not_overflow(tmp_path, sample):
    for activation in ("softmax", "sigmoid"):
        model = backend(network(tmp_path), activation=activation, scale=1e4)
        (answer,) = ask(model, sample, [(255, 0, 0)])
        assert answer["red"] == 1


def test_a_score_that_is_not_finite_is_a_failure_of_that_picture(tmp_path, sample):
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Div", ["flat", "flat"], ["y"]),
    ]
    good, bad = ask(backend(network(tmp_path, nodes=nodes)), sample, [(5, 5, 5), (5, 0, 5)])
    assert dict(good) == dict.fromkeys(RGB, 1.0)
    assert isinstance(bad, Failure)
    assert bad.kind == "invalid"
    assert "'green'" in bad.message


def test_nothing_is_read_before_the_first_use(tmp_path):
    model = backend(tmp_path / "nowhere.onnx")
    assert model.limits.labels == RGB
    with pytest.raises(UsageError, match=r"nowhere\.onnx: No such file"):
        _ = model.identity


def test_the_identity_is_the_content_and_all_that_changes_scores(tmp_path):
    path = network(tmp_path)
    one = backend(path).identity
    shutil.copy(path, tmp_path / "copy.onnx")
    assert backend(tmp_path / "copy.onnx").identity == one
    others = [
        {"labels": ("green", "red", "blue")},
        {"size": (5, 4)},
        {"resize": (8, 8)},
        {"resize": 8},
        {"filter": "bicubic"},
        {"jpeg": 75},
        {"channels": "BGR"},
        {"layout": "NHWC"},
        {"scale": 1 / 255},
        {"mean": (1, 2, 3)},
        {"std": (1, 2, 3)},
        {"activation": "softmax"},
    ]
    identities = {backend(path, **other).identity for other in others}
    assert len(identities | {one}) == len(others) + 1
    path.write_bytes(path.read_bytes() + b"\x4a\x00")
    assert backend(path).identity != one


def test_a_file_that_changes_after_it_was_named_is_refused(tmp_path, sample):
    path = network(tmp_path)
    model = backend(path)
    assert model.identity
    path.write_bytes(path.read_bytes() + b"\x4a\x00")
    with pytest.raises(UsageError, match="has changed"):
        ask(model, sample)


def test_the_session_is_made_once_by_any_number_of_threads(tmp_path, sample, monkeypatch):
    made = []
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *a, **k: made.append(1) or session(*a, **k)
    )
    model, together = backend(network(tmp_path)), Barrier(4)

    def first_use(_):
        together.wait()
        return [tuple(answer.values()) for answer in ask(model, sample)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(first_use, range(4))) == [COLOURS] * 4
    assert made == [1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"labels": ("cat", "dog")}, "gives 3 scores a picture, but 2 labels"),
        ({"size": (8, 8)}, "takes the shape [?]x3x4x4, but layout NCHW and size 8x8"),
        ({"layout": "NHWC"}, "layout NHWC and size 4x4 give 1x4x4x3"),
        ({"sha256": "0" * 64}, "not the expected network"),
    ],
)
def test_facts_that_do_not_fit_the_file_are_named(tmp_path, sample, options, says):
    with pytest.raises(UsageError, match=says):
        ask(backend(network(tmp_path), **options), sample)


@pytest.mark.parametrize(
    "options",
    [
        {"labels": ()},
        {"labels": ("a", "a", "b")},
        {"activation": "relu"},
        {"question": "cat"},
    ],
)
def test_arguments_that_cannot_be_used_are_refused_at_once(tmp_path, options):
    with pytest.raises(UsageError):
        backend(tmp_path / "nowhere.onnx", **options)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x08" * 50])
def test_a_file_that_is_no_network_is_named(tmp_path, sample, content):
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"text\.onnx cannot be used as a network"):
        ask(backend(path), sample)


def test_a_folder_is_named(tmp_path, sample):
    with pytest.raises(UsageError, match="directory"):
        ask(backend(tmp_path), sample)


def test_a_network_for_something_else_than_a_picture_is_refused(tmp_path, sample):
    cast = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["float"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    path = network(tmp_path, nodes=cast, kind=TensorProto.UINT8)
    with pytest.raises(UsageError, match=r"one float picture; it takes x tensor\(uint8\)"):
        ask(backend(path), sample)
    same = helper.make_node("Identity", ["x"], ["y"])
    path = network(tmp_path, nodes=[same], out=("N", 3, 4, 4))
    with pytest.raises(UsageError, match="one row of scores"):
        ask(backend(path), sample)


@pytest.mark.parametrize("place", ["weights.bin", "../weights.bin", "absolute"])
def test_weights_outside_the_file_are_never_read(tmp_path, sample, monkeypatch, place):
    for folder in (tmp_path, tmp_path / "models", tmp_path / "elsewhere"):
        folder.mkdir(exist_ok=True)
        (folder / "weights.bin").write_bytes(np.ones((3, 3), np.float32).tobytes())
    weights = numpy_helper.from_array(np.ones((3, 3), np.float32), "w")
    place = str(tmp_path / "weights.bin") if place == "absolute" else place
    onnx.external_data_helper.set_external_data(weights, place)
    weights.ClearField("raw_data")
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    path = network(tmp_path / "models", nodes=nodes, tensors=[weights])
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="save it with the weights inside"):
        ask(backend(path), sample)


def test_custom_operators_are_not_loaded(tmp_path, sample):
    node = helper.make_node("Evil", ["x"], ["y"], domain="custom.domain")
    with pytest.raises(UsageError, match=r"custom operators.*Evil"):
        ask(backend(network(tmp_path, nodes=[node])), sample)


def test_without_onnxruntime_the_extra_is_named(tmp_path, sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"image-api-probe\[local\]"):
        ask(backend(network(tmp_path)), sample)


def test_onnxruntime_gets_its_threads_and_does_not_spin(tmp_path, sample):
    backend = Onnx(network(tmp_path), labels=RGB, size=(4, 4), threads=2)
    backend.score([sample()], Codec())
    options = backend._network().session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    "wrong",
    [{"threads": -5}, {"jpeg": 10**20}, {"resize": (10**6, 10**6)}, {"scale": float("inf")}],
)
def test_settings_out_of_all_bounds_are_refused(tmp_path, wrong):
    with pytest.raises(UsageError):
        Onnx(tmp_path / "net.onnx", labels=RGB, size=(4, 4), **wrong)
