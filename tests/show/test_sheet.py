import numpy as np
import pytest
from PIL import Image

from probe.errors import UsageError
from probe.show import Tile, contact_sheet, sheet_of


def tile(colour, size=(40, 30), caption="0.5"):
    return Tile(Image.new("RGB", size, colour), caption)


def blocks(sheet, colour):
    """Rows and columns at which pixels of exactly this colour stand."""
    where = (np.asarray(sheet) == colour).all(axis=2)
    return np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))


def test_tiles_stand_in_rows_in_their_order():
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    sheet = contact_sheet([tile(red), tile(green), tile(blue)], columns=2)
    (red_rows, red_columns), (_, green_columns) = blocks(sheet, red), blocks(sheet, green)
    blue_rows, blue_columns = blocks(sheet, blue)
    assert red_columns.max() < green_columns.min()
    assert red_rows.max() < blue_rows.min()
    assert red_columns.min() == blue_columns.min()


def test_captions_and_titles_are_drawn():
    bare = contact_sheet([tile("white", caption="")])
    assert np.asarray(bare).min() == 255
    for sheet in (
        contact_sheet([tile("white")]),
        contact_sheet([tile("white", caption="")], title="x"),
    ):
        assert np.asarray(sheet).min() < 100


def test_long_captions_stay_under_their_tile():
    one = contact_sheet([tile("white", caption="w" * 10_000), tile("white", caption="")], columns=2)
    inked = np.flatnonzero((np.asarray(one) < 128).any(axis=(0, 2)))
    assert inked.size
    assert inked.max() < one.width / 2


def test_captions_of_strangers_are_drawn():
    for caption in ("$\\frac", "\x1b[2J\n\0", "猫\u202e", "\ud800"):
        assert contact_sheet([tile("red", caption=caption)]).mode == "RGB"


@pytest.mark.parametrize("count", [1, 64, 700])
@pytest.mark.parametrize("size", [(1, 1), (1000, 3), (3, 1000), (640, 480)])
def test_sheets_are_bounded(count, size):
    sheet = contact_sheet(tile("red", size) for _ in range(count))
    assert sheet.width <= 2_600
    assert sheet.height <= 6_000


def test_what_does_not_fit_is_counted():
    many = contact_sheet((tile("white", (2, 2), "") for _ in range(601)), columns=30)
    fits = contact_sheet((tile("white", (2, 2), "") for _ in range(600)), columns=30)
    assert np.asarray(many).min() < 100
    assert np.asarray(fits).min() == 255


def test_sections_stand_below_each_other():
    sheet = sheet_of([("covered", [tile((255, 0, 0))]), ("windows", [tile((0, 0, 255))] * 3)])
    assert blocks(sheet, (255, 0, 0))[0].max() < blocks(sheet, (0, 0, 255))[0].min()


def test_nothing_to_show_is_a_usage_error():
    with pytest.raises(UsageError, match="at least one picture"):
        contact_sheet([])
    with pytest.raises(UsageError, match="at least 1 column"):
        contact_sheet([tile("red")], columns=0)
