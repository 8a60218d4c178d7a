"""Which colours moved, and where: known pictures, and what holds for any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from probe.colours import COLOURS, called, lab
from probe.inside.colours import distances, moved, named

BEFORE = Image.new("RGB", (240, 180), (160, 130, 120))


def painted(*areas, on=BEFORE):
    after = on.copy()
    for colour, box in areas:
        after.paste(colour, box)
    return after


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
    ],
)
def test_known_colours(colour, expected):
    found = lab(Image.new("RGB", (1, 1), colour))[0, 0]
    assert found == pytest.approx(expected, abs=0.02)


def test_distances_are_those_of_every_row():
    after = painted(((255, 255, 255), (3, 500, 7, 650)), on=Image.new("RGB", (9, 700)))
    found = distances(Image.new("RGB", (9, 700)), after)
    assert found.shape == (700, 9)
    assert found[500:650, 3:7] == pytest.approx(100, abs=0.01)
    assert not found[:500].any()
    assert not found[650:].any()


def test_shifts_in_words():
    assert named(np.array([-5.0, 0.2, 4.0])) == "darker and yellower"
    assert named(np.array([0.5, -0.6, 0.2])) == ""
    assert named((3.0, -3.0, -3.0)) == "lighter, greener and bluer"


@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_of_the_table_has_its_own_name(name):
    assert {called(ImageColor.getrgb(one)) for one in COLOURS[name].split()} == {name}


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("navy", "dark blue"),
        ("saddlebrown", "brown"),
        ("lightskyblue", "light blue"),
        ("maroon", "dark red"),
        ("lime", "green"),
        ("gainsboro", "light grey"),
        ("rebeccapurple", "purple"),
        ("#c58c75", "light brown"),
        ("#fefefe", "white"),
        ("#101012", "black"),
    ],
)
def test_other_colours_have_the_name_of_one_that_looks_like_it(colour, name):
    assert called(ImageColor.getrgb(colour)) == name


def test_redder_at_the_lips_can_be_read():
    after = painted(((190, 120, 115), (90, 120, 150, 150)), ((150, 135, 150), (20, 30, 60, 70)))
    lips, other = moved(BEFORE, after)
    assert lips.box == (90, 120, 150, 150)
    assert lips.where == "bottom centre"
    assert lips.turned == "redder"
    assert lips.words == f"{called((160, 130, 120))} becomes redder"
    assert lips.colours == ("#a08278", "#be7873")
    expected = lab(after)[130, 100] - lab(BEFORE)[130, 100]
    assert lips.shift == pytest.approx(tuple(expected))
    assert lips.delta_e == pytest.approx(float(np.linalg.norm(expected)))
    assert (other.box, other.where, other.turned) == ((20, 30, 60, 70), "top left", "bluer")
    assert other.colours[1] == "#968796"
    assert moved(BEFORE, after, most=1)[0].box == lips.box
    about = lips.numbered(1, 0.25).as_dict()
    assert about["number"] == 1
    assert about["undone"] == 0.25
    assert about["box"] == [90, 120, 150, 150]
    assert about["colours"] == ["#a08278", "#be7873"]


def test_what_is_not_to_be_seen_is_not_named():
    assert moved(BEFORE, BEFORE) == []
    assert moved(BEFORE, painted(((161, 130, 120), (0, 0, 120, 90)))) == []
    assert moved(BEFORE, painted(((190, 100, 100), (50, 50, 54, 54)))) == []


def test_areas_side_by_side_that_go_other_ways_are_two_places():
    after = painted(((190, 120, 115), (40, 40, 100, 100)), ((130, 140, 125), (100, 40, 160, 100)))
    found = sorted(moved(BEFORE, after), key=lambda place: place.box)
    assert [place.turned for place in found] == ["redder", "greener"]
    for place, box in zip(found, [(40, 40, 100, 100), (100, 40, 160, 100)], strict=True):
        assert np.abs(np.subtract(place.box, box)).max() <= 2


def test_areas_that_go_somewhat_other_ways_are_two_places():
    after = painted(((190, 120, 115), (40, 40, 100, 100)), ((180, 125, 95), (100, 40, 160, 100)))
    found = sorted(moved(BEFORE, after), key=lambda place: place.box)
    assert [place.turned for place in found] == ["redder", "yellower and redder"]


def test_a_hill_is_one_place_to_half_its_height():
    slope = 1 - np.abs(np.linspace(-1, 1, 241))
    levels = np.full((241, 241, 3), 120.0)
    levels[..., 0] += 60 * np.minimum.outer(slope, slope)
    after = Image.fromarray(np.rint(levels).astype(np.uint8))
    (hill,) = moved(Image.new("RGB", (241, 241), (120, 120, 120)), after)
    assert np.abs(np.subtract(hill.peak, 120)).max() <= 1
    assert np.abs(np.subtract(hill.box, (60, 60, 181, 181))).max() <= 4


def test_a_slope_is_no_place_of_its_own():
    """Where the shift falls in steps, the ring around the highest is not told of again."""
    after = painted(((200, 130, 120), (60, 30, 180, 150)), ((230, 130, 120), (90, 60, 150, 120)))
    (place,) = moved(BEFORE, after)
    assert np.abs(np.subtract(place.box, (60, 30, 180, 150))).max() <= 2
    after = painted(((177, 130, 120), (60, 30, 180, 150)), ((230, 130, 120), (90, 60, 150, 120)))
    (place,) = moved(BEFORE, after)
    assert np.abs(np.subtract(place.box, (90, 60, 150, 120))).max() <= 2


def test_a_bump_on_a_slope_is_no_place_of_its_own():
    slope, bump = ((180, 128, 120), (30, 20, 200, 160)), ((184, 128, 120), (30, 20, 60, 50))
    (place,) = moved(BEFORE, painted(slope, bump, ((225, 128, 120), (90, 60, 150, 120))))
    assert np.abs(np.subtract(place.box, (90, 60, 150, 120))).max() <= 3
    assert len(moved(BEFORE, painted(bump, ((225, 128, 120), (90, 60, 150, 120))))) == 2


def test_a_thin_rim_that_goes_another_way_is_no_place():
    rim, middle = ((147, 136, 123), (76, 46, 164, 134)), ((190, 120, 115), (80, 50, 160, 130))
    (place,) = moved(BEFORE, painted(rim, middle))
    assert place.turned == "redder"
    assert len(moved(BEFORE, painted(((147, 136, 123), (10, 10, 40, 40)), middle))) == 2


def test_the_colour_told_is_one_that_stands_there():
    striped = np.full((100, 100, 3), (200, 40, 40), np.uint8)
    striped[:, ::4] = 0
    before = Image.fromarray(striped)
    after = Image.fromarray(striped + np.array((0, 40, 0), np.uint8))
    (place,) = moved(before, after)
    assert place.colours == ("#c82828", "#c85028")
    assert called(place.before) == "red"


def test_a_large_picture_is_told_of_in_its_own_pixels():
    before = Image.new("RGB", (2400, 1201), (160, 130, 120))
    after = painted(((190, 120, 115), (800, 400, 1200, 1201)), on=before)
    (place,) = moved(before, after)
    assert place.box == (800, 400, 1200, 1201)
    assert place.mask.size < 1_000_000
    assert place.colours[1] == "#be7873"


grids = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 90), st.integers(0, 40)
)


@settings(max_examples=60)
@given(grids)
def test_what_holds_for_any_smooth_change(drawn):
    seed, width, height, strength = drawn
    rng = np.random.default_rng(seed)
    before = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    grid = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
    shift = np.asarray(grid.resize((width, height), Image.Resampling.BILINEAR), float) / 127.5 - 1
    levels = np.asarray(before) + np.rint(strength * shift)
    after = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    found = moved(before, after)
    distance = distances(before, after)
    assert len(found) <= 4
    assert np.max(sum((place.mask.astype(int) for place in found), np.zeros(1))) <= 1
    for place in found:
        x0, y0, x1, y1 = place.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        inside = place.mask[y0:y1, x0:x1]
        assert inside.sum() == place.mask.sum()
        assert inside.any(0).all()
        assert inside.any(1).all()
        x, y = place.peak
        assert place.mask[y, x]
        assert distance[y, x] == pytest.approx(distance[place.mask].max(), abs=1e-4)
        assert place.delta_e == pytest.approx(float(distance[place.mask].mean()), abs=1e-3)
        assert place.turned
    amounts = [place.delta_e * place.mask.sum() for place in found]
    assert amounts == sorted(amounts, reverse=True)
    if found:
        again = moved(before, after)
        assert [one.as_dict() for one in again] == [one.as_dict() for one in found]
