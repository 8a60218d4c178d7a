"""Words for looks that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from probe.audit.likeness import Spot
from probe.audit.looks import excerpt, look


def spot(x, y, side=0.2):
    return Spot(1.0, (x, y), (x - side / 2, y - side / 2, x + side / 2, y + side / 2))


def picture(x, y, colour=(255, 0, 0)):
    """Grey, with a square of the colour around a place."""
    image = Image.new("RGB", (224, 224), (120, 120, 120))
    image.paste(colour, tuple(round(224 * edge) for edge in spot(x, y).box))
    return image


def looks_of(*places, colour=(255, 0, 0)):
    return look([picture(*place, colour) for place in places], [spot(*place) for place in places])


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((0.8, 0.2), "top right"),
        ((0.2, 0.8), "bottom left"),
        ((0.5, 0.5), "the centre"),
        ((0.2, 0.5), "middle left"),
        ((0.5, 0.85), "bottom centre"),
    ],
)
def test_colour_place_and_size_of_a_simple_thing(place, words):
    found = looks_of(place, place, place)
    assert found.words == f"red, {words}"
    assert (found.colour, found.place) == ("#ff0000", words)
    assert found.size == pytest.approx(0.04)


def test_what_is_now_here_and_now_there_is_anywhere():
    assert looks_of((0.2, 0.5), (0.8, 0.5), (0.2, 0.2), (0.8, 0.8)).words == "red, anywhere"
    assert looks_of((0.4, 0.5), (0.5, 0.5), (0.6, 0.5)).place == "the centre"
    assert looks_of((0.5, 0.1), (0.5, 0.9)).place == "anywhere"


def test_the_colour_is_that_of_most():
    images = [picture(0.5, 0.5, colour) for colour in ((0, 0, 255), (0, 0, 255), (255, 0, 0))]
    assert look(images, [spot(0.5, 0.5)] * 3).words.startswith("blue")


def test_what_changes_within_it_is_patterned():
    levels = np.zeros((224, 224, 3), np.uint8)
    levels[..., 0] = 255
    rows, columns = np.mgrid[:224, :224]
    levels[(rows // 4 + columns // 4) % 2 == 0] = (0, 0, 255)
    assert look([Image.fromarray(levels)], [spot(0.5, 0.5)]).words.startswith("patterned ")
    assert not looks_of((0.5, 0.5)).words.startswith("patterned")


def test_the_size_is_the_middle_one():
    image = picture(0.5, 0.5)
    found = look([image] * 3, [spot(0.5, 0.5, side) for side in (0.1, 0.4, 0.9)])
    assert found.size == pytest.approx(0.16)


@pytest.mark.parametrize("place", [(0.0, 0.0), (1.0, 1.0), (0.99, 0.01)])
def test_a_thing_at_the_edge_is_no_trouble(place):
    assert looks_of(place).colour == "#ff0000"


def test_an_excerpt_shows_the_box_outlined_and_as_much_around_it():
    image = Image.new("RGB", (400, 200), (10, 120, 10))
    found = excerpt(image, (0.4, 0.4, 0.5, 0.6))
    assert found.size == (160, 160)
    white = (np.asarray(found) == 255).all(axis=-1)
    rows, columns = np.nonzero(white)
    assert (rows.min(), columns.min()) == pytest.approx((27, 27), abs=3)
    assert (rows.max(), columns.max()) == pytest.approx((133, 133), abs=3)
    assert not white[80, 80]
    assert tuple(found.getpixel((2, 2))) == (10, 120, 10)


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(*[st.floats(0, 1)] * 4),
)
@settings(max_examples=60)
def test_any_box_of_any_picture_has_an_excerpt(size, edges):
    (x0, x1), (y0, y1) = sorted(edges[:2]), sorted(edges[2:])
    found = excerpt(Image.new("RGB", size), (x0, y0, x1, y1))
    assert max(found.size) == 160
    assert min(found.size) >= 1


def test_a_picture_like_a_thread_has_an_excerpt():
    assert excerpt(Image.new("RGB", (3000, 2)), (0.0, 0.0, 1.0, 1.0)).size == (160, 1)
