import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from probe.errors import UsageError
from probe.perturb import Renderer, canonical, cells, kind, name, opacity, parse_fill, snap
from probe.types import Box, Canvas, Codec, Identity, Keep, Mask, Window

CANVAS = Canvas((96, 64), (96, 64), 8)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8))


def rendered(change, fill="#102030", canvas=CANVAS):
    return np.asarray(Renderer(NOISE, canvas, parse_fill(fill)).render(change))


def test_a_box_and_a_keep_of_the_same_region_are_complements():
    box, keep = Box(0.25, 0.25, 0.5, 0.75), Keep(0.25, 0.25, 0.5, 0.75)
    assert (opacity(box, CANVAS) == 255 - opacity(keep, CANVAS)).all()
    covered = opacity(keep, CANVAS) > 0
    assert covered.mean() == 1 - 1 / 8
    picture = rendered(keep)
    assert (picture[covered] == (16, 32, 48)).all()
    assert (picture[~covered] == np.asarray(NOISE)[~covered]).all()


def test_a_keep_of_a_blurred_fill_stands_on_the_blurred_picture():
    keep = Keep(0, 0, 0.5, 1)
    picture = rendered(keep, "blur")
    assert (picture[:, :48] == np.asarray(NOISE)[:, :48]).all()
    assert picture[:, 48:].std() < np.asarray(NOISE)[:, 48:].std() / 2


def test_a_hard_mask_is_its_cells_on_the_grid_of_blocks():
    mask = Mask(bytes([255, 0, 0, 0, 0, 255]), 3)
    found = opacity(mask, CANVAS)
    assert set(np.unique(found)) == {0, 255}
    assert (found[:32, :32] == 255).all()
    assert (found[32:, 64:] == 255).all()
    assert found.mean() == pytest.approx(255 / 3)
    five = opacity(Mask(bytes([255, 0, 255, 0, 255]), 5), CANVAS)
    edges = np.flatnonzero(np.diff(five[0].astype(int))) + 1
    assert (edges % 8 == 0).all()


def test_a_mask_covers_by_its_opacity():
    half = Mask(bytes([128]), 1)
    expected = np.asarray(NOISE) * (127 / 255) + np.array([16, 32, 48]) * (128 / 255)
    assert np.abs(rendered(half) - expected).max() <= 1


def test_a_mask_shows_what_lies_outside_of_its_region():
    mask = Mask(bytes([255]), 1, (0.5, -0.5, 1.5, 0.5))
    assert (opacity(mask, CANVAS)[:32, 48:] == 255).all()
    assert opacity(mask, CANVAS).sum() == 255 * 32 * 48


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 10**6),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_a_smooth_mask_is_linear_between_the_centres_of_its_cells(columns, rows, seed, w, h):
    grid = np.random.default_rng(seed).integers(0, 256, (rows, columns))
    canvas = Canvas((w, h), (w, h))
    found = opacity(Mask(grid.astype(np.uint8).tobytes(), columns, smooth=True), canvas)
    for y in range(h):
        for x in range(w):
            px = min(max((x + 0.5) / w * columns - 0.5, 0), columns - 1)
            py = min(max((y + 0.5) / h * rows - 0.5, 0), rows - 1)
            i, j = min(int(px), max(columns - 2, 0)), min(int(py), max(rows - 2, 0))
            k, m = min(i + 1, columns - 1), min(j + 1, rows - 1)
            top = grid[j, i] * (1 - (px - i)) + grid[j, k] * (px - i)
            low = grid[m, i] * (1 - (px - i)) + grid[m, k] * (px - i)
            assert abs(found[y, x] - (top * (1 - (py - j)) + low * (py - j))) <= 0.5001


@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from([1, 8]))
def test_cells_are_the_finest_grid_of_whole_blocks_within_the_limit(width, height, grid):
    canvas = Canvas((width, height), (width, height), grid)
    columns, rows = cells(canvas)
    assert max(columns, rows) <= 128
    step = -(-max(width, height) // max(columns, rows))
    assert step < 2 * max(grid, -(-max(width, height) // 128)) + grid


def test_a_mask_on_cells_changes_no_pixel_of_a_jpeg_outside_its_cover():
    columns, rows = cells(CANVAS)
    assert (columns, rows) == (12, 8)
    chosen = np.random.default_rng(1).random((rows, columns)) < 0.3
    mask = Mask((chosen * 255).astype(np.uint8).tobytes(), columns)
    renderer = Renderer(NOISE, CANVAS, parse_fill("black"))

    def sent(change):
        from io import BytesIO

        data = renderer.variant(change).encode(Codec("jpeg"))
        return np.asarray(Image.open(BytesIO(data)))

    changed = (sent(mask) != sent(Identity())).any(axis=2)
    assert not (changed & (opacity(mask, CANVAS) == 0)).any()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Box(0, 0, 1, 1), True),
        (Keep(0, 0, 1, 1), False),
        (Keep(0, 0, 0.5, 1), True),
        (Mask(bytes(4), 2), False),
        (Mask(bytes([0, 0, 0, 9]), 2), True),
        (Identity(), False),
    ],
)
def test_what_changes_no_pixel_is_known(change, said):
    assert Renderer(NOISE, CANVAS, parse_fill("#102030")).changes(change) is said


def test_what_masks_and_keeps_are_called():
    mask = Mask(bytes([1, 2]), 2, (0.0, 0.0, 0.5, 1.0), smooth=True)
    assert kind(mask) == "mask"
    assert kind(Keep(0, 0, 1, 1)) == "keep"
    assert canonical(Keep(0.26, 0, 1, 1), CANVAS) == "keep 24 0 96 64"
    assert canonical(mask, CANVAS).startswith("mask 2x1 0.0 0.0 0.5 1.0 smooth a12871fee210fb86")
    assert name(mask) == "mask a12871fee210"
    assert snap(mask, CANVAS) is mask
    others = [
        Mask(bytes([1, 3]), 2, (0.0, 0.0, 0.5, 1.0), smooth=True),
        Mask(bytes([1, 2]), 1, (0.0, 0.0, 0.5, 1.0), smooth=True),
        Mask(bytes([1, 2]), 2, (0.0, 0.0, 0.6, 1.0), smooth=True),
        Mask(bytes([1, 2]), 2, (0.0, 0.0, 0.5, 1.0)),
    ]
    assert len({canonical(other, CANVAS) for other in [mask, *others]}) == 5


def test_what_is_no_mask_is_refused():
    with pytest.raises(ValueError, match="3 cells are no grid of 2 columns"):
        Mask(bytes(3), 2)
    with pytest.raises(UsageError, match="is no region"):
        opacity(Mask(bytes(4), 2, (0.5, 0, 0.5, 1)), CANVAS)
    with pytest.raises(ValueError, match="window"):
        opacity(Window(0, 0, 1, 1), CANVAS)
