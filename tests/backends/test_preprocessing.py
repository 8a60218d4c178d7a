import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from probe.backends.preprocessing import Preprocessing
from probe.errors import UsageError

OPEN_NSFW = Preprocessing(
    (224, 224), (256, 256), jpeg=75, channels="BGR", layout="NHWC", mean=(104, 117, 123)
)


def noise(size, seed=0):
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return pixels.astype(np.uint8)


def inside(region, size):
    """The first and the last + 1 pixel of each axis that touch the region, or lie beside it."""
    (x0, y0, x1, y1), (width, height) = region, size
    return (
        (max(0, math.floor(x0 * width) - 1), min(width, math.ceil(x1 * width) + 1)),
        (max(0, math.floor(y0 * height) - 1), min(height, math.ceil(y1 * height) + 1)),
    )


def with_other_border(pixels, region):
    """The same picture with other noise wherever a pixel lies wholly outside the region."""
    height, width = pixels.shape[:2]
    (left, right), (top, bottom) = inside(region, (width, height))
    other = noise((width, height), seed=1)
    other[top:bottom, left:right] = pixels[top:bottom, left:right]
    return other


SIZES = [(512, 512), (365, 460), (407, 512), (1000, 700), (257, 256), (100, 80), (30, 20), (1, 1)]


@pytest.mark.parametrize("size", [*SIZES, (23, 24), (5000, 3)])
def test_no_pixel_outside_the_seen_region_reaches_the_network(size):
    pixels = noise(size)
    changed = with_other_border(pixels, OPEN_NSFW.seen)
    before, after = (OPEN_NSFW(Image.fromarray(p)) for p in (pixels, changed))
    assert before.tobytes() == after.tobytes()


@settings(max_examples=150, deadline=None)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    kept=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    more=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    shorter=st.booleans(),
    filter=st.sampled_from(["nearest", "box", "bilinear", "bicubic", "lanczos"]),
)
def test_the_seen_region_is_safe_for_any_preprocessing(size, kept, more, shorter, filter):
    width, height = (k + m for k, m in zip(kept, more, strict=True))
    resize = max(width, height) if shorter else (width, height)
    preprocessing = Preprocessing(kept, resize, filter)
    pixels = noise(size)
    changed = with_other_border(pixels, preprocessing.seen)
    before, after = (preprocessing(Image.fromarray(p)) for p in (pixels, changed))
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("size", [(512, 512), (460, 365), (100, 80)])
def test_the_seen_region_hides_most_of_what_is_blind(size):
    """By probing: one pixel at a time from the border inwards, until the input changes."""
    pixels = noise(size)
    before = OPEN_NSFW(Image.fromarray(pixels)).tobytes()
    for axis in (0, 1):
        blind = 0
        while True:
            changed = pixels.copy()
            line = (blind, slice(None)) if axis else (slice(None), blind)
            changed[line] ^= 255
            if OPEN_NSFW(Image.fromarray(changed)).tobytes() != before:
                break
            blind += 1
        claimed = inside(OPEN_NSFW.seen, size)[axis][0]
        assert blind - 2 <= claimed <= blind


def test_without_a_crop_the_whole_picture_is_seen():
    assert Preprocessing((224, 224)).seen == (0, 0, 1, 1)
    assert Preprocessing((224, 224), (224, 224)).seen == (0, 0, 1, 1)


def test_channels_and_layout():
    image = Image.new("RGB", (2, 1), (10, 20, 30))
    image.putpixel((1, 0), (40, 50, 60))
    assert Preprocessing((2, 1))(image).tolist() == [[[[10, 40]], [[20, 50]], [[30, 60]]]]
    bgr = Preprocessing((2, 1), channels="BGR", layout="NHWC")
    assert bgr(image).tolist() == [[[[30, 20, 10], [60, 50, 40]]]]


def test_scale_mean_and_std_are_applied_in_the_order_of_the_channels():
    image = Image.new("RGB", (1, 1), (51, 102, 255))
    preprocessing = Preprocessing(
        (1, 1), channels="BGR", scale=1 / 255, mean=(0.5, 0.2, 0.1), std=(0.5, 0.1, 0.2)
    )
    assert preprocessing(image).ravel() == pytest.approx([1.0, 2.0, 0.5], rel=1e-5)
    assert preprocessing(image).dtype == np.float32


def test_the_shorter_side_is_scaled_and_the_middle_cut_out():
    image = Image.new("RGB", (40, 10), "blue")
    image.paste("red", (10, 0, 30, 10))
    cut = Preprocessing((10, 10), 10, layout="NHWC")(image)
    assert (cut[0, :, :, 0] == 255).all()
    upright = Preprocessing((8, 8), 16, layout="NHWC")(image.transpose(Image.Transpose.ROTATE_90))
    assert (upright[0, :, :, 0] == 255).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"resize": (200, 256)},
        {"resize": 100},
        {"filter": "cubic"},
        {"channels": "GBR"},
        {"layout": "CHW"},
        {"mean": (0.5,)},
        {"std": (1, 0, 1)},
        {"size": (0, 4)},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError):
        Preprocessing(**{"size": (224, 224)} | wrong)
