import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from probe.errors import MissingExtra, UsageError
from probe.perturb import parse_fill
from tests.perturb.strategies import noise


@pytest.mark.parametrize(
    ("given_as", "canonical"),
    [
        ("mean", "mean"),
        ("black", "#000000"),
        ("gray", "#808080"),
        ("White", "#ffffff"),
        ("#12aBff", "#12abff"),
        ((1, 2, 255), "#0102ff"),
        ([1, 2, 255], "#0102ff"),
        ("blur", "blur:0.05"),
        ("blur:0.1", "blur:0.1"),
        ("noise", "noise:0"),
        ("noise:7", "noise:7"),
        ("inpaint", "inpaint"),
    ],
)
def test_fills_have_one_canonical_form_that_reads_back(given_as, canonical):
    fill = parse_fill(given_as)
    assert str(fill) == canonical
    assert parse_fill(canonical) == fill == parse_fill(fill)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_every_colour_reads_back(colour):
    assert parse_fill(str(parse_fill(colour))).colour == colour


@pytest.mark.parametrize(
    "bad",
    ["", "blurr", "blur:0", "blur:nan", "blur:x", "noise:-1", "noise:1.5", "mean:3", "#12"],
)
def test_what_is_no_fill_is_refused_with_what_is(bad):
    with pytest.raises(UsageError, match=r"no fill .*Give mean, blur|takes a (fraction|whole)"):
        parse_fill(bad)


def test_a_mistyped_fill_gets_the_nearest_one():
    with pytest.raises(UsageError, match="Did you mean 'noise'"):
        parse_fill("noize")


@pytest.mark.parametrize("bad", [(1, 2), (1, 2, 256), (0, 0, -1), (0.5, 0, 0), None, 7])
def test_what_is_no_colour_is_refused(bad):
    with pytest.raises(UsageError, match="whole numbers from 0 to 255"):
        parse_fill(bad)


def test_the_mean_is_that_of_the_picture():
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[:, :2] = (200, 100, 40)
    assert parse_fill("mean").layer(Image.fromarray(pixels)) == (100, 50, 20)


def test_blur_keeps_the_mean_and_takes_the_contrast():
    base = noise((80, 60))
    layer = np.asarray(parse_fill("blur").layer(base), float)
    assert layer.shape == (60, 80, 3)
    assert layer.mean() == pytest.approx(np.asarray(base, float).mean(), abs=2)
    assert layer.std() < np.asarray(base, float).std() / 5
    wider = np.asarray(parse_fill("blur:0.2").layer(base), float)
    assert wider.std() < layer.std()


def test_noise_is_the_same_for_the_same_seed_only():
    base = noise((31, 17))
    one, again, other = (
        np.asarray(parse_fill(name).layer(base)) for name in ("noise:1", "noise:1", "noise:2")
    )
    assert one.shape == (17, 31, 3)
    assert (one == again).all()
    assert (one != other).mean() > 0.9
    assert one.std() > 60


def test_without_opencv_inpaint_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'image-api-probe\[inpaint\]'"):
        parse_fill("inpaint")


def test_inpaint_carries_on_what_lies_around_and_touches_nothing_else():
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 3, 48, axis=0)
    base = Image.fromarray(np.repeat(ramp, 3, axis=2))
    broken = base.copy()
    broken.paste((0, 255, 0), (20, 16, 40, 32))
    cover = Image.new("L", base.size)
    cover.paste(255, (20, 16, 40, 32))
    patch = np.asarray(parse_fill("inpaint").patch(broken, cover)).astype(int)
    assert np.abs(patch - np.asarray(base)).max() < 40
    shown = np.asarray(cover) == 0
    np.testing.assert_array_equal(patch[shown], np.asarray(base)[shown])


def test_where_nothing_is_left_to_paint_from_inpaint_is_the_mean():
    base = noise((32, 24))
    everything = Image.new("L", base.size, 255)
    patch = parse_fill("inpaint").patch(base, everything)
    assert patch.getpixel((3, 3)) == parse_fill("mean").layer(base)
