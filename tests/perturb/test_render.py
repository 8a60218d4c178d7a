import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from probe.image import decode, encode
from probe.perturb import Renderer, parse_fill, pixels
from probe.types import Box, Canvas, Codec, Identity, Window
from tests.perturb.strategies import noise, regions

FILLS = st.sampled_from(["mean", "black", "gray", "blur", "noise:3", "#ff8000"])


def renderer(size, grid=1, fill="mean", seed=0, **more):
    return Renderer(noise(size, seed), Canvas(size, size, grid), parse_fill(fill), **more)


@settings(deadline=None, max_examples=150)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    regions(kinds=(Box,)),
    FILLS | st.just("inpaint"),
    st.sampled_from([Codec("png"), Codec("jpeg", 90), Codec("jpeg", 60)]),
    st.integers(0, 9),
)
def test_outside_a_cover_no_pixel_differs_after_decoding(size, box, fill, codec, seed):
    render = renderer(size, codec.grid, fill, seed)
    sent = np.asarray(decode(render.variant(box).encode(codec)))
    reference = np.asarray(decode(render.variant(Identity()).encode(codec)))
    x0, y0, x1, y1 = pixels(box, render.canvas)
    outside = np.ones(sent.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    assert sent.shape == reference.shape
    assert (sent[outside] == reference[outside]).all()


@settings(deadline=None)
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), regions(kinds=(Box,)), FILLS)
def test_a_cover_is_the_fill_inside_and_the_picture_outside(size, box, fill):
    render = renderer(size, 1, fill)
    base = np.asarray(render.image)
    layer = parse_fill(fill).layer(render.image)
    expected = base.copy()
    x0, y0, x1, y1 = pixels(box, render.canvas)
    inside = slice(y0, y1), slice(x0, x1)
    expected[inside] = np.broadcast_to(layer, base.shape)[inside] if isinstance(layer, tuple) else (
        np.asarray(layer)[inside]
    )  # fmt: skip
    assert (np.asarray(render.variant(box).pixels()) == expected).all()
    assert render.changes(box) == (expected != base).any()


@settings(deadline=None)
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), regions(kinds=(Window,)))
def test_a_window_is_the_part_of_the_picture_as_sent(size, window):
    render = renderer(size, 8)
    x0, y0, x1, y1 = pixels(window, render.canvas)
    part = np.asarray(render.image)[y0:y1, x0:x1]
    assert (np.asarray(render.variant(window).pixels()) == part).all()
    assert render.changes(window) == (part.shape != np.asarray(render.image).shape)


def test_the_picture_is_scaled_once_and_the_full_size_is_left_alone():
    image = noise((200, 100))
    render = Renderer(image, Canvas((200, 100), (50, 25)), parse_fill("black"))
    assert render.variant(Box(0, 0, 0.5, 1)).pixels().size == (50, 25)
    assert render.variant(Identity()).pixels().size == (50, 25)
    full = render.variant(Identity(full=True)).pixels()
    assert (np.asarray(full) == np.asarray(image)).all()
    assert render.changes(Identity(full=True))
    assert not render.changes(Identity(3))


def test_the_full_size_of_a_small_picture_is_what_is_sent_anyway():
    assert not renderer((20, 10)).changes(Identity(full=True))


def test_a_small_window_is_enlarged_by_a_whole_factor():
    render = renderer((40, 40), min_side=30)
    window = Window(0, 0, 0.25, 0.5)  # 10 x 20 pixels
    assert render.variant(window).pixels().size == (30, 60)
    assert render.variant(Window(0, 0, 1, 0.75)).pixels().size == (40, 30)


def test_what_a_backend_does_to_its_pixels_stays_there():
    render = renderer((16, 16))
    for perturbation in (Identity(), Identity(full=True), Box(0, 0, 0.5, 0.5), Window(0, 0, 1, 1)):
        variant = render.variant(perturbation)
        before = np.asarray(variant.pixels())
        variant.pixels().paste((1, 2, 3), (0, 0, 16, 16))
        assert (np.asarray(variant.pixels()) == before).all()
        assert (np.asarray(render.image) == np.asarray(noise((16, 16)))).all()


def test_nothing_is_rendered_or_encoded_before_it_is_asked_for_nor_twice(monkeypatch):
    calls = []

    def counting(image, codec):
        calls.append(codec)
        return encode(image, codec)

    monkeypatch.setattr("probe.perturb.render.encode", counting)
    render = renderer((16, 16))
    variant = render.variant(Box(0, 0, 0.5, 0.5))
    assert not calls
    assert "base" not in vars(render)
    assert variant.encode(Codec("png")) == variant.encode(Codec("png"))
    assert variant.encode(Codec("jpeg")) != variant.encode(Codec("png"))
    assert calls == [Codec("png"), Codec("jpeg")]


@pytest.mark.parametrize("fill", ["mean", "#646464"])
def test_covering_a_blank_picture_with_its_own_colour_changes_nothing(fill):
    blank = Image.new("RGB", (30, 30), (100, 100, 100))
    render = Renderer(blank, Canvas((30, 30), (30, 30)), parse_fill(fill))
    assert not render.changes(Box(0.1, 0.1, 0.5, 0.5))
    assert render.changes(Window(0.1, 0.1, 0.5, 0.5))


def test_one_differing_pixel_is_a_change():
    image = Image.new("RGB", (30, 30))
    image.putpixel((10, 10), (0, 0, 1))
    render = Renderer(image, Canvas((30, 30), (30, 30)), parse_fill("black"))
    assert render.changes(Box(0, 0, 11 / 30, 11 / 30))
    assert not render.changes(Box(0, 0, 10 / 30, 1))
