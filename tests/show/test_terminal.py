"""The map as lines of a terminal."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from probe import Prober
from probe.show import preview
from probe.show.terminal import pooled
from probe.testing.planted import Planted, planted_picture

NAN = np.nan
CELL = re.compile(r"\x1b\[38;(2;\d+;\d+;\d+|5;\d+);48;(2;\d+;\d+;\d+|5;\d+)m▀")
PLANTED = (24 / 96, 16 / 64, 48 / 96, 40 / 64)


@pytest.fixture(scope="module")
def run():
    return Prober(Planted()).probe(planted_picture(), budget=128)


def board(text):
    """The characters of the map, row by row."""
    return [list(line[1:-1]) for line in text.splitlines() if line.startswith("|")]


def pixels(text):
    """The truecolor map as (rows, columns, 3), two rows a line."""
    rows = []
    for line in text.splitlines():
        cells = CELL.findall(line)
        if cells:
            rows += [[cell[half].split(";")[1:] for cell in cells] for half in (0, 1)]
    return np.array(rows, int)


def words(text):
    return re.sub(r"\x1b\[[\d;]*m|[▀▌]", "", text)


def centre(where):
    rows, columns = np.nonzero(where)
    height, width = where.shape
    return (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height


def inside(place, region):
    return region[0] <= place[0] <= region[2] and region[1] <= place[1] <= region[3]


def test_the_strongest_character_stands_where_the_patch_was_planted(run):
    drawn = np.array(board(preview(run.heatmap(), 60)))
    assert inside(centre(drawn == "@"), PLANTED)
    assert (drawn[:, -10:] != "@").all()


def test_the_reddest_colour_stands_where_the_patch_was_planted(run):
    drawn = pixels(preview(run.heatmap(), 60, "truecolor"))
    red = drawn[:, :, 0] - drawn[:, :, 2]
    assert inside(centre(red >= red.max() - 10), PLANTED)


def test_the_brightest_window_is_the_strongest_of_scores():
    result = Prober(Planted()).probe(planted_picture(), method="windows")
    text = preview(result.heatmap(), 60)
    assert inside(centre(np.array(board(text)) == "@"), PLANTED)
    assert "0.05 | .:-=+*#%@| 0.6" in text


def test_plain_text_is_ascii_and_has_no_escapes(run, heatmap):
    for drawn in (run.heatmap(), heatmap([[0.5]], label="猫\x1b[31m\u202e", unit="é")):
        text = preview(drawn)
        assert text.isascii()
        assert all(line.isprintable() for line in text.splitlines())
        assert not text.endswith("\n")


def test_the_signs_are_explained_as_far_as_they_occur(heatmap):
    values = np.array([[1.0, 0.6, 0.1, NAN, -0.5, -1.0]])
    drawn = heatmap(values, stderr=np.array([[0, 0, 0, 0, 0.4, 0]]))
    text = preview(drawn, 8)
    assert [line[0] for line in np.array(board(text)).T] == list("@# /.x")
    assert "for it: + 0.2, * 0.4, # 0.6, @ 0.8 to 1" in text
    assert "against it: ~ -0.2, = -0.4, o -0.6, x -0.8 to -1" in text
    assert ". within 2 standard errors of zero" in text
    assert "/ not covered by an answer" in text
    sure = preview(heatmap([[1.0, 0.6]]))
    assert "against" not in sure
    assert "within 2" not in sure
    assert "/" not in sure


def test_colours_are_those_of_the_overlay(heatmap):
    grey = Image.new("RGB", (12, 8), (128, 128, 128))
    values = np.full((8, 12), 0.5)
    values[:, 6:] = -0.5
    drawn = heatmap(values, image=grey)
    text = preview(drawn, 14, "truecolor")
    np.testing.assert_array_equal(pixels(text), np.asarray(drawn.overlay()))
    assert "-0.5" in words(text)
    assert "red speaks for it, blue against" in words(text)
    assert all(line.endswith("\x1b[0m") for line in text.splitlines() if "▀" in line)


def test_a_terminal_of_256_colours_gets_the_nearest(heatmap):
    grey = Image.new("RGB", (12, 8), (128, 128, 128))
    text = preview(heatmap(np.zeros((8, 12)), image=grey), 14, "256")
    cells = CELL.findall(text)
    assert len(cells) == 12 * 4
    assert {cell for pair in cells for cell in pair} == {"5;250"}  # 188, of 185
    assert "38;2" not in text


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((400, 200), (14, 58)),
        ((200, 400), (36, 36)),
        ((5000, 1), (1, 58)),
        ((1, 5000), (36, 1)),
        ((1, 1), (29, 58)),
        ((30_000, 20_000), (19, 58)),
    ],
)
def test_the_proportions_are_kept(heatmap, size, shape):
    drawn = heatmap(np.eye(5, 7), size=size)
    assert np.array(board(preview(drawn, 60))).shape == shape
    colour = pixels(preview(drawn, 60, "truecolor"))
    assert colour.shape == (2 * shape[0], shape[1], 3)


@pytest.mark.parametrize("colour", [None, "truecolor", "256"])
@pytest.mark.parametrize("width", [0, 1, 3, 20, 80, 1000])
def test_it_is_never_wider_or_taller_than_it_may_be(heatmap, width, colour):
    drawn = heatmap(np.eye(40, 60), image=Image.new("RGB", (60, 40)))
    text = preview(drawn, width, colour, height=9)
    lines = [line for line in text.splitlines() if line.startswith("|") or "▀" in line]
    assert 1 <= len(lines) <= 9
    assert max(len(words(line)) for line in lines) <= max(4, min(width, 100))


@pytest.mark.parametrize("colour", [None, "truecolor", "256"])
@pytest.mark.parametrize("kind", ["evidence", "score"])
@pytest.mark.parametrize("values", [[[NAN, NAN]], [[0.0, 0.0]], [[0.3, 0.3]], [[NAN, 1e-30]]])
def test_flat_and_empty_maps_are_drawn(heatmap, values, kind, colour):
    text = preview(heatmap(values, kind=kind), 40, colour)
    assert "nsfw 0.655 for the whole picture" in text
    if np.isnan(values).all():
        assert "empty: no variant got a score" in text
        if colour is None:
            assert {sign for row in board(text) for sign in row} == {"/"}


def test_nothing_small_is_lost(heatmap):
    values = np.zeros((500, 700), np.float32)
    values[123, 457], values[400, 100] = 1.0, -1.0
    drawn = np.array(board(preview(heatmap(values), 40)))
    assert (drawn == "@").sum() == 1
    assert (drawn == "x").sum() == 1
    assert drawn[123 * len(drawn) // 500, 457 * len(drawn[0]) // 700] == "@"


def test_a_significant_pixel_stands_for_its_place_before_a_larger_one_by_luck(heatmap):
    values = np.array([[0.9, 0.3], [NAN, NAN]])
    small = pooled(heatmap(values, stderr=np.array([[0.8, 0.01], [0, 0]])), (1, 2))
    assert small.planes.values[0, 0] == np.float32(0.3)
    assert np.isnan(small.planes.values[1, 0])


@pytest.mark.parametrize(
    "label", ["\x1b[2J", "\x1b]8;;http://x\x07", "\u202e", "x" * 10_000, "a\nb"]
)
def test_labels_of_strangers_move_no_cursor(heatmap, label):
    for colour in (None, "truecolor"):
        text = preview(heatmap([[0.5]], label=label, unit=label), 40, colour)
        assert all(line.isprintable() for line in words(text).splitlines())
        assert max(map(len, words(text).splitlines())) < 200
