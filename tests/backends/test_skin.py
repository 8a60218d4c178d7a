import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from probe.backends.skin import LONGEST, Skin, skin_mask
from probe.types import Codec

SKIN = (198, 134, 102)


def score(image, sample):
    return Skin().score([sample(image)], Codec())[0]


@pytest.mark.parametrize("colour", [SKIN, (160, 105, 75), (230, 160, 120), (120, 75, 50)])
def test_plain_skin_is_all_skin(colour, sample):
    answer = score(Image.new("RGB", (90, 60), colour), sample)
    assert answer["nsfw"] == pytest.approx(1 / 1.3)
    assert answer["sfw"] == pytest.approx(0.3 / 1.3)


@pytest.mark.parametrize("colour", ["blue", "white", "black", "gray", "lime", "red", "#00a0a0"])
def test_other_colours_are_no_skin(colour, sample):
    assert score(Image.new("RGB", (90, 60), colour), sample)["nsfw"] == 0


def test_texture_makes_skin_colours_something_else(sample):
    rng = np.random.default_rng(0)
    shade = rng.uniform(0.4, 1.0, size=(64, 64, 1))
    image = Image.fromarray((shade * SKIN).astype(np.uint8))
    assert score(image, sample)["nsfw"] == 0


def test_the_score_is_a_half_where_thirty_percent_is_skin(sample):
    image = Image.new("RGB", (100, 100), "blue")
    image.paste(SKIN, (0, 0, 100, 30))
    assert score(image, sample)["nsfw"] == pytest.approx(0.5, abs=0.04)


def test_covering_skin_lowers_the_score_and_covering_the_rest_does_not(sample):
    image = Image.new("RGB", (128, 128), "blue")
    image.paste(SKIN, (16, 16, 80, 80))
    before = score(image, sample)["nsfw"]
    hidden, beside = image.copy(), image.copy()
    hidden.paste("black", (16, 16, 48, 80))
    beside.paste("black", (104, 104, 128, 128))
    assert score(hidden, sample)["nsfw"] < before - 0.05
    assert score(beside, sample)["nsfw"] == before


def test_the_mask_is_that_of_the_papers_median_filters():
    rng = np.random.default_rng(3)
    base = np.array(Image.effect_noise((40, 30), 40).convert("RGB"), float) * 0.1 + SKIN
    base[:, 20:] += rng.normal(0, 30, (30, 20, 1))
    image = Image.fromarray(base.clip(0, 255).astype(np.uint8))
    red, green, blue = np.moveaxis(105 * np.log10(np.asarray(image) + 1.0), -1, 0)
    amplitude = ndimage.median_filter(np.abs(green - ndimage.median_filter(green, 9)), 13)
    rg = ndimage.median_filter(red - green, 5)
    by = ndimage.median_filter(blue - (green + red) / 2, 5)
    hue, saturation = np.degrees(np.arctan2(rg, by)), np.hypot(rg, by)
    pale = (hue > 110) & (hue < 150) & (saturation > 20) & (saturation < 60)
    dark = (hue > 130) & (hue < 170) & (saturation > 30) & (saturation < 130)
    expected = (amplitude < 5) & (pale | dark)
    assert 0 < expected.mean() < 1
    assert (skin_mask(image) == expected).mean() > 0.999


def test_large_pictures_are_shrunk_first_and_tiny_ones_work():
    assert skin_mask(Image.new("RGB", (1000, 10), SKIN)).shape == (1, LONGEST)
    assert skin_mask(Image.new("RGB", (1, 1), SKIN)).shape == (1, 1)
