import numpy as np
import pytest
import torch
from onnx import helper
from PIL import Image
from torch import nn

from probe.backends.local import local
from probe.backends.onnx import Onnx
from probe.errors import LabelError, UsageError
from probe.image import open_image
from probe.inside.network import from_onnx
from probe.mock.scorer import Received
from probe.types import Codec, Failure
from tests.inside.nets import model, white_box

RETINA = "examples/retina.jpg"


def test_the_default_network_scores_inside_as_it_does_outside(nsfw):
    rng = np.random.default_rng(0)
    pictures = [open_image(RETINA).image]
    for size in ((224, 224, 3), (300, 90, 3), (1, 50, 3)):
        pictures.append(Image.fromarray(rng.integers(0, 256, size, np.uint8)))
    variants = [Received(picture) for picture in pictures]
    outside, inside = local().score(variants, Codec()), nsfw.score(variants, Codec())
    gaps = [abs(a[k] - b[k]) for a, b in zip(outside, inside, strict=True) for k in a]
    assert max(gaps) < 2e-6
    assert nsfw.limits.question == "nsfw"
    assert nsfw.limits.seen == local().limits.seen


def test_logits_come_before_the_softmax(nsfw):
    x = nsfw.input(open_image(RETINA).image)
    logits = nsfw.module(x)[0]
    assert nsfw.activation == "softmax"
    assert torch.softmax(logits, 0)[1].item() == pytest.approx(nsfw.score_of(x)["nsfw"], abs=1e-6)
    assert abs(logits.sum()) > 1e-3 or logits.abs().max() > 1.0


def onnx_net(tmp_path, final, activation="none"):
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat" if final else "y"]),
    ]
    if final:
        nodes.append(helper.make_node(final, ["flat"], ["y"]))
    path = tmp_path / "net.onnx"
    path.write_bytes(model(nodes, (1, 3, 4, 4)))
    options = {"labels": ("r", "g", "b"), "size": (4, 4), "scale": 1 / 255}
    return Onnx(path, activation=activation, **options)


@pytest.mark.parametrize("final", [None, "Softmax", "Sigmoid"])
@pytest.mark.parametrize("activation", ["none", "softmax", "sigmoid"])
def test_whatever_makes_scores_of_the_outputs(tmp_path, final, activation):
    backend = onnx_net(tmp_path, final, activation)
    sent = [Received(Image.new("RGB", (9, 7), (250, 40, 90)))]
    (outside,), (inside,) = backend.score(sent, Codec()), from_onnx(backend).score(sent, Codec())
    assert dict(inside) == pytest.approx(dict(outside), abs=1e-6)


def net(*more):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), *more)


def test_layers_are_those_that_keep_places():
    network = white_box(net(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)), 8)
    assert network.layers == {"0": (2, 6, 6), "1": (2, 6, 6)}
    assert network.layer(None) == "1"
    with pytest.raises(UsageError, match=r"no layer '11'\. Did you mean '1'\?.*last of 2: 0, 1"):
        network.layer("11")


def test_a_network_without_places_says_so():
    network = white_box(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), 8)
    with pytest.raises(UsageError, match="has no spatial layer"):
        network.layer(None)


def test_labels_are_checked():
    network = white_box(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), 8)
    assert network.index(None) == 1
    with pytest.raises(LabelError, match=r"no label 'yess'\. Did you mean 'yes'\?"):
        network.index("yess")
    with pytest.raises(UsageError, match="question"):
        white_box(nn.Flatten(), 8, labels=("a",))


def test_the_outputs_must_be_as_many_as_the_labels():
    network = white_box(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), 8)
    with pytest.raises(UsageError, match=r"gives \(1, 3\) for one picture, but 2 labels"):
        _ = network.layers


def test_scores_that_differ_from_the_declared_ones_are_refused(nsfw):
    x = nsfw.input(open_image(RETINA).image)
    assert nsfw.check(nsfw.score_of(x), x) == 0
    with pytest.raises(UsageError, match=r"scores 0\.6555 for 'nsfw' inside, but 0\.5 is declared"):
        nsfw.check({"nsfw": 0.5}, x)
    with pytest.raises(UsageError, match="no label"):
        nsfw.check({"cat": 0.5}, x)


def test_a_score_that_is_not_finite_is_a_failure():
    network = white_box(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), 8)
    network.module[1].bias[0] = float("nan")
    assert isinstance(network.score_of(torch.zeros(1, 3, 8, 8)), Failure)
