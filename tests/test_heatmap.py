from __future__ import annotations

import io
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe import Heatmap, Prober
from probe.errors import OutputError, UsageError
from probe.heatmap import Planes
from probe.ledger import Ledger
from probe.testing.planted import Planted, planted_picture
from probe.types import Canvas


@pytest.fixture(scope="module")
def heat():
    return Prober(Planted(), ledger=Ledger(None), side=48).heatmap(planted_picture(), budget=20)


@pytest.fixture(scope="module")
def saved(heat, tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "map.npz"
    heat.save(path)
    return path


def test_what_is_saved_is_loaded(heat, saved):
    loaded = Heatmap.load(saved)
    for name in ("values", "stderr", "mean_score", "coverage"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(heat, name))
    for name in ("label", "unit", "kind", "reference", "canvas", "calls", "answers"):
        assert getattr(loaded, name) == getattr(heat, name)
    with pytest.raises(UsageError, match="picture"):
        loaded.overlay()
    assert loaded.overlay(planted_picture()).size == (96, 64)


def test_values_have_the_size_of_the_picture_and_the_values_of_what_was_sent(heat):
    assert heat.canvas.send == (48, 32)
    assert heat.values.shape == heat.stderr.shape == heat.coverage.shape == (64, 96)
    np.testing.assert_array_equal(heat.values[::2, ::2], heat.planes.values)
    np.testing.assert_array_equal(heat.values[1::2, 1::2], heat.planes.values)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_enlarging_takes_the_nearest_pixel(width, height, w, h):
    w, h = min(w, width), min(h, height)
    plane = np.arange(w * h, dtype=np.float32).reshape(h, w)
    planes = Planes(plane, plane, plane, plane.astype(np.int32))
    enlarged = Heatmap("x", "score", 0.5, Canvas((width, height), (w, h)), planes).values
    for y in (0, height // 2, height - 1):
        for x in (0, width // 2, width - 1):
            row, column = int((y + 0.5) * h / height), int((x + 0.5) * w / width)
            assert enlarged[y, x] == plane[row, column]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_a_usage_error(saved, tmp_path_factory, data):
    content = bytearray(saved.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("bad") / "map.npz"
    path.write_bytes(content)
    with suppress(UsageError):
        Heatmap.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"seen": [0]},
        {"size": [0, 4]},
        {"send": [10**6, 10**6]},
        {"send": [47, 32]},
        {"reference": "high"},
        {"calls": None},
        {"format": 99},
        {"format": "x"},
    ],
    ids=str,
)
def test_a_map_that_says_nonsense_of_itself_is_refused(saved, tmp_path, change):
    with np.load(saved) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(str(arrays["about"])) | change
    arrays["about"] = np.array(json.dumps(about))
    np.savez(tmp_path / "map.npz", **arrays)
    with pytest.raises(UsageError, match=r"not a map|newer probe"):
        Heatmap.load(tmp_path / "map.npz")


def test_a_pickle_is_never_loaded(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, about=np.array([object()], dtype=object))
    (tmp_path / "map.npz").write_bytes(buffer.getvalue())
    with pytest.raises(UsageError, match="not a map"):
        Heatmap.load(tmp_path / "map.npz")


def test_files_that_cannot_be(heat, tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        Heatmap.load(tmp_path / "none.npz")
    with pytest.raises(OutputError, match="cannot write the map"):
        heat.save(tmp_path / "none" / "map.npz")


def test_a_notebook_shows_the_figure(heat):
    assert heat._repr_png_().startswith(b"\x89PNG")
    assert repr(heat) == "<Heatmap 'nsfw' 96x64, reference 0.156, 20 answers, 20 calls>"
