"""The inner layer is the network's own."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from PIL import Image

from probe.backends.inner import CELLS, CHANNELS, LAYER, InnerLayer
from probe.backends.local import local
from probe.errors import MissingExtra


@pytest.fixture(scope="module")
def layer():
    return InnerLayer(local(), 1)


def noise(size, seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(levels)


def test_it_is_what_the_network_has_there(layer):
    import onnx
    import onnxruntime

    model = onnx.load(local().path)
    model.graph.output.append(onnx.ValueInfoProto(name=LAYER))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    image = noise((224, 224))
    given = np.asarray(image, np.float32)[None, :, :, ::-1] - np.float32([104, 117, 123])
    (direct,) = session.run([LAYER], {session.get_inputs()[0].name: given})
    found = layer(image)
    assert found.shape == (CELLS, CELLS, CHANNELS) == (28, 28, 256)
    assert found.dtype == np.float32
    assert found.min() == 0
    assert found.max() > 0
    assert np.allclose(found, direct[0].transpose(1, 2, 0), atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (31, 200), (640, 90)])
def test_a_picture_of_any_size_is_squeezed_whole(layer, size):
    image = noise(size)
    found = layer(image)
    assert found.shape == (28, 28, 256)
    assert np.isfinite(found).all()


def test_a_cell_tells_of_its_own_place(layer):
    image = Image.new("RGB", (448, 224), (120, 120, 120))
    plain = layer(image)
    image.paste((255, 0, 0), (0, 168, 56, 224))
    changed = np.abs(layer(image) - plain).sum(axis=2)
    row, column = np.unravel_index(changed.argmax(), changed.shape)
    assert row >= 19
    assert column <= 6
    assert changed[:10, 18:].max() < 0.05 * changed.max()


def test_several_threads_read_it_once(layer):
    made = InnerLayer(local(), 1)
    reads = []
    whole = made._reaching
    made._reaching = lambda: reads.append(1) or whole()
    image, found = noise((224, 224)), []
    threads = [threading.Thread(target=lambda: found.append(made(image))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert all(np.array_equal(one, layer(image)) for one in found)


def test_without_onnx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"image-api-probe\[audit\]"):
        InnerLayer(local())(noise((9, 9)))
