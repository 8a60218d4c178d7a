import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from probe.backends.preprocessing import Preprocessing
from probe.errors import ImageError, UsageError
from probe.inside.frame import frame
from probe.inside.views import VIEWS, look
from tests.inside.nets import white_box

NSFW = Preprocessing((224, 224), (256, 256), layout="NHWC", jpeg=75)
PLAIN = Preprocessing((224, 224))
ASPECT = Preprocessing((224, 224), 256)


def marked(size, corner):
    """A grey picture with a red square of a tenth of the shorter side in one corner."""
    picture = Image.new("RGB", size, (120, 120, 120))
    side = max(1, min(size) // 10)
    x = 0 if corner[0] == 0 else size[0] - side
    y = 0 if corner[1] == 0 else size[1] - side
    picture.paste((255, 0, 0), (x, y, x + side, y + side))
    return picture, (slice(y, y + side), slice(x, x + side))


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("size", [(900, 300), (300, 900), (672, 224), (90, 30)])
@pytest.mark.parametrize("preprocessing", [NSFW, PLAIN, ASPECT])
def test_a_mark_in_a_corner_of_a_long_picture_comes_back_there(corner, size, preprocessing):
    picture, where = marked(size, corner)
    laid = frame(picture, preprocessing, "pad")
    seen = preprocessing(laid.image)
    seen = seen[0] if preprocessing.layout == "NHWC" else seen[0].transpose(1, 2, 0)
    redness = seen[:, :, 0] - seen[:, :, 1]
    plane = laid.back(redness)
    assert plane.shape in ((75, 224), (224, 75))
    assert np.isfinite(plane).all()
    # enlarged to the picture, as a heat map is
    network = white_box(nn.Sequential(nn.Flatten(), nn.Linear(3 * 224 * 224, 2)), 224)
    whole = look(network, picture, "gradient").heatmap.values
    assert whole.shape == (size[1], size[0])
    rows = (np.arange(size[1]) * 2 + 1) * plane.shape[0] // (2 * size[1])
    columns = (np.arange(size[0]) * 2 + 1) * plane.shape[1] // (2 * size[0])
    values = plane[rows[:, None], columns]
    outside = np.ones_like(values, bool)
    outside[where] = False
    assert values[where].mean() > 5 * abs(values[outside]).mean()
    y, x = np.unravel_index(np.argmax(values), values.shape)
    assert (y < size[1] / 2) == (corner[1] == 0)
    assert (x < size[0] / 2) == (corner[0] == 0)


@pytest.mark.parametrize("preprocessing", [NSFW, PLAIN, ASPECT])
def test_padded_pixels_are_the_networks_own_one_to_one(preprocessing):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (75, 224, 3), np.uint8))
    exact = Preprocessing(preprocessing.size, preprocessing.resize)
    laid = frame(picture, exact, "pad")
    back = laid.back(exact(laid.image)[0].transpose(1, 2, 0))
    assert np.array_equal(back, np.asarray(picture, np.float32))


def test_squeezed_the_border_is_not_seen():
    picture = Image.new("RGB", (365, 460))
    laid = frame(picture, NSFW, "squeeze")
    plane = laid.back(np.ones((224, 224), np.float32))
    assert plane.shape == (256, 256)
    assert np.isnan(plane[:16]).all()
    assert np.isfinite(plane[16:240, 16:240]).all()
    assert laid.image is picture


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
def test_pictures_of_extreme_shape(size):
    network = white_box(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 2)), 64)
    found = look(network, Image.new("RGB", size, (9, 200, 3)), "gradient")
    assert found.heatmap.values.shape == (size[1], size[0])
    if max(size) == 5000:
        with pytest.raises(ImageError, match="--fit pad"):
            frame(Image.new("RGB", size), ASPECT, "squeeze")


def small():
    torch.manual_seed(5)
    return white_box(
        nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 12, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 2),
        ),
        32,
    )  # fmt: skip


PICTURE = Image.fromarray(np.random.default_rng(2).integers(0, 256, (40, 60, 3), np.uint8))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("fit", ["pad", "squeeze"])
def test_every_view_gives_a_map_of_the_pictures_size(view, fit):
    found = look(small(), PICTURE, view, fit=fit)
    values = found.heatmap.values
    assert values.shape == (40, 60)
    assert np.isfinite(values).all()
    assert np.abs(values).max() == pytest.approx(1)
    assert VIEWS[view].signed or values.min() >= 0
    assert found.scores["yes"] == found.heatmap.reference
    found.heatmap.overlay()
    again = look(small(), PICTURE, view, fit=fit)
    assert np.array_equal(again.heatmap.values, values)


def test_a_layers_strongest_maps_have_a_picture_each():
    found = look(small(), PICTURE, "deconvnet", layer="4")
    peaks = [one["activation"] for one in found.about["maps"]]
    assert 1 <= len(found.parts) == len(peaks) <= 9
    assert peaks == sorted(peaks, reverse=True)
    assert found.parts[0][1].shape == found.signal.shape == (21, 32, 3)


def test_a_layer_is_refused_where_none_is_looked_at():
    with pytest.raises(UsageError, match="looks at no layer"):
        look(small(), PICTURE, "integrated", layer="4")
    with pytest.raises(UsageError, match=r"no view 'deconvnett'\. Did you mean 'deconvnet'"):
        look(small(), PICTURE, "deconvnett")
