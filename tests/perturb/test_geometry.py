from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.errors import UsageError
from probe.perturb import canonical, pixels, snap
from probe.types import Box, Canvas, Identity, Window
from tests.perturb.strategies import canvases, regions


def legal_edges(side, grid):
    return {*range(0, side, grid), side}


@given(regions(), canvases())
def test_snapping_again_changes_nothing(region, canvas):
    snapped = snap(region, canvas)
    assert snap(snapped, canvas) == snapped
    assert pixels(snapped, canvas) == pixels(region, canvas)
    assert canonical(snapped, canvas) == canonical(region, canvas)


@given(regions(), canvases())
def test_a_snapped_region_is_exactly_its_pixels_over_the_send_size(region, canvas):
    width, height = canvas.send
    x0, y0, x1, y1 = pixels(region, canvas)
    snapped = snap(region, canvas)
    assert (snapped.x0, snapped.y0, snapped.x1, snapped.y1) == (
        x0 / width, y0 / height, x1 / width, y1 / height,
    )  # fmt: skip


@given(regions(), canvases())
def test_regions_lie_in_the_picture_on_the_grid_and_are_never_empty(region, canvas):
    grid = 1 if isinstance(region, Window) else canvas.grid
    x0, y0, x1, y1 = pixels(region, canvas)
    for low, high, side in ((x0, x1, canvas.send[0]), (y0, y1, canvas.send[1])):
        assert 0 <= low < high <= side
        assert {low, high} <= legal_edges(side, grid)


@given(regions(kinds=(Box,)), canvases())
def test_an_edge_goes_to_the_nearest_legal_one(region, canvas):
    got = pixels(region, canvas)
    for low, high, side, start, end in (
        (region.x0, region.x1, canvas.send[0], got[0], got[2]),
        (region.y0, region.y1, canvas.send[1], got[1], got[3]),
    ):
        edges = legal_edges(side, canvas.grid)
        where = [min(max(edge, 0), 1) * side for edge in (low, high)]
        distance = [min(abs(edge - position) for edge in edges) for position in where]
        if end - start > min(canvas.grid, side - start):  # not a cell given to an empty region
            assert abs(start - where[0]) == pytest.approx(distance[0])
            assert abs(end - where[1]) == pytest.approx(distance[1])


@given(st.integers(1, 600), st.integers(1, 600), st.data())
def test_whole_pixels_stay_themselves(width, height, data):
    canvas = Canvas((width, height), (width, height))
    x0 = data.draw(st.integers(0, width - 1))
    y0 = data.draw(st.integers(0, height - 1))
    x1 = data.draw(st.integers(x0 + 1, width))
    y1 = data.draw(st.integers(y0 + 1, height))
    for kind in (Box, Window):
        region = kind(x0 / width, y0 / height, x1 / width, y1 / height)
        assert pixels(region, canvas) == (x0, y0, x1, y1)


@pytest.mark.parametrize(
    ("region", "name"),
    [
        (Box(0, 0, 1, 1), "box 0 0 100 50"),
        (Box(0.11, 0.1, 0.5, 0.5), "box 8 8 48 24"),
        (Box(0.95, 0.9, 1.3, 1.3), "box 96 48 100 50"),
        (Box(0.3, 0.3, 0.3, 0.3), "box 24 8 32 16"),
        (Box(-2, -2, -1, -1), "box 0 0 8 8"),
        (Box(1.5, 1.5, 2, 2), "box 96 48 100 50"),
        (Window(0.11, 0.1, 0.5, 0.5), "window 11 5 50 25"),
        (Identity(), "identity 0"),
        (Identity(2, full=True), "identity 2 full"),
    ],
)
def test_canonical_names_on_the_jpeg_grid(region, name):
    assert canonical(region, Canvas((200, 100), (100, 50), grid=8)) == name


def test_a_box_may_be_larger_than_the_picture():
    assert pixels(Box(-1, -1, 5, 5), Canvas((30, 20), (30, 20), 8)) == (0, 0, 30, 20)


@pytest.mark.parametrize("edges", [(nan, 0, 1, 1), (0, 0, float("inf"), 1), (1, 0, 0, 1)])
def test_what_is_no_region_is_refused(edges):
    with pytest.raises(UsageError, match="is no region"):
        pixels(Box(*edges), Canvas((9, 9), (9, 9)))
