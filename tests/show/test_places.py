import numpy as np
import pytest
from PIL import Image

from probe.errors import UsageError
from probe.show.panels import panels
from probe.show.places import CROP, Shown, outlined, places_page

GREY = Image.new("RGB", (120, 80), (128, 128, 128))


def area(box, size=(120, 80)):
    mask = np.zeros((size[1], size[0]), bool)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = True
    return mask


def shown(box, heading="the centre", lines=("redder",), size=(120, 80)):
    return Shown(area(box, size), box, heading, lines, ("#ff0000", "#0000ff"))


def drawn_on(found, image=GREY):
    return (np.asarray(found) != np.asarray(image)).any(2)


def test_the_outline_is_at_the_edge_and_closed():
    found = outlined(GREY, [area((40, 20, 80, 60))], badges=False)
    drawn = drawn_on(found)
    near = np.zeros((80, 120), bool)
    near[17:63, 37:83] = True
    near[23:57, 43:77] = False
    assert drawn.any()
    assert not drawn[~near].any()
    colours = {tuple(colour) for colour in np.asarray(found)[drawn]}
    assert colours == {(0, 0, 0), (255, 255, 255)}
    for line in (drawn[40], drawn[:, 60]):
        assert len(np.flatnonzero(np.diff(line.astype(int)))) == 4
    whole = drawn_on(outlined(GREY, [area((0, 0, 120, 80))], badges=False))
    assert whole[0].all()
    assert whole[:, -1].all()
    assert not whole[5:-5, 5:-5].any()


def test_a_mask_of_another_size_is_drawn_at_the_pictures():
    small = drawn_on(outlined(GREY, [area((10, 5, 20, 15), (30, 20))], badges=False))
    large = drawn_on(outlined(GREY, [area((40, 20, 80, 60))], badges=False))
    rows = [np.flatnonzero(one.any(1))[[0, -1]] for one in (small, large)]
    assert np.abs(np.subtract(*rows)).max() <= 1


@pytest.mark.parametrize("box", [(0, 0, 10, 10), (110, 70, 120, 80), (40, 20, 80, 60)])
def test_each_number_stands_beside_its_place_within_the_picture(box):
    bare = outlined(GREY, [area(box)], badges=False)
    found = drawn_on(outlined(GREY, [area(box)]), bare)
    rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
    assert 10 <= len(columns) <= 17
    assert abs(columns[0] - max(0, box[0] - 15)) <= 2
    assert abs(rows[0] - max(0, box[1] - 15)) <= 2
    two = drawn_on(outlined(GREY, [area((20, 20, 40, 40)), area(box)]), GREY)
    assert two.sum() > found.sum()


def test_a_page_has_a_row_for_each_with_both_colours():
    one = places_page("title", GREY, GREY, [shown((40, 20, 80, 60))])
    two = places_page("title", GREY, GREY, [shown((40, 20, 80, 60)), shown((0, 0, 9, 9))])
    assert one.width == two.width > 2 * CROP[0]
    assert 2 * one.height > two.height > one.height + CROP[1]
    pixels = np.asarray(two)
    red, blue = ((pixels == colour).all(2) for colour in ((255, 0, 0), (0, 0, 255)))
    assert red.sum() == blue.sum() > 2 * 1000
    edges = [np.flatnonzero(one.any(0)) for one in (red, blue)]
    assert edges[0].max() + 1 == edges[1].min()


def test_crops_show_what_surrounds_the_place_before_and_after():
    before, after = (Image.new("RGB", (120, 80), colour) for colour in ("#204060", "#608020"))
    page = np.asarray(places_page("", before, after, [shown((50, 30, 70, 50))]))
    for colour in ((0x20, 0x40, 0x60), (0x60, 0x80, 0x20)):
        where = (page == colour).all(2)
        rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
        assert len(rows) == len(columns) == CROP[1]


def test_long_and_strange_words_stay_on_the_page():
    plain = places_page("t", GREY, GREY, [shown((40, 20, 80, 60), "", ("", ""))])
    strange = "$\\frac \x1b[2J 猫\u202e\ud800" + "w" * 500
    page = places_page(strange, GREY, GREY, [shown((40, 20, 80, 60), strange, (strange, strange))])
    assert page.size == plain.size
    assert (np.asarray(page)[:, -4:] == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 2), (5, 5)])
def test_any_shape_of_picture_is_drawn(size):
    image = Image.new("RGB", size, (200, 90, 80))
    box = (0, 0, *size)
    page = places_page("t", image, image, [shown(box, size=size)])
    assert page.height < 400
    assert panels("t", [("a", image)] * 3, marks=[area(box, size)]).width < 1400


def test_no_place_is_a_usage_error():
    with pytest.raises(UsageError, match="at least one"):
        places_page("t", GREY, GREY, [])


def test_marks_are_drawn_on_every_panel():
    bare = np.asarray(panels("t", [("a", GREY)] * 3), int)
    marked = np.asarray(panels("t", [("a", GREY)] * 3, marks=[area((40, 20, 80, 60))]), int)
    assert bare.shape == marked.shape
    columns = np.flatnonzero((bare != marked).any((0, 2)))
    thirds = np.bincount(3 * columns // bare.shape[1], minlength=3)
    assert (thirds > 50).all()


def test_lines_that_are_too_long_are_cut_at_the_pages_edge():
    page = np.asarray(panels("t", [("a", GREY)] * 3, lines=["w" * 199]))
    assert (page[:, :12] == 255).all()
    assert (page[:, -12:] == 255).all()
    assert page[-25:].min() < 100
