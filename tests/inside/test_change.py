"""A change toward a label: bounded, smooth, and said in words."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from probe.errors import UsageError
from probe.inside.change import change
from probe.inside.colours import lab, moved, named
from probe.mock.scorer import Received
from probe.types import Codec
from tests.inside.nets import white_box


def greenness():
    """Scores `yes` by how green the lower half is."""
    layers = nn.Sequential(nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(), nn.Linear(6, 2, bias=False))
    weights = torch.zeros(2, 6)
    weights[1, 3] = 0.05  # green, lower half
    weights[0, 3] = -0.05
    layers[2].weight.data = weights
    return white_box(layers, 32, activation="softmax")


PICTURE = Image.new("RGB", (90, 60), (120, 90, 100))


@pytest.mark.parametrize("strength", [3, 12])
def test_the_change_goes_where_the_network_looks_and_no_further(strength):
    network = greenness()

    def score(image):
        return network.score([Received(image)], Codec())[0]

    found = change(network, PICTURE, "yes", score, strength=strength)
    before, after = (scores["yes"] for scores in found.scores)
    assert after > before
    assert after > max(found.controls)
    assert found.largest == np.abs(found.difference).max() == strength
    assert (found.difference[40:, :, 1] == strength).all()
    assert not found.difference[:20].any()
    # smooth: no step larger than between neighbours of a coarse grid
    assert np.abs(np.diff(found.difference, axis=0)).max() <= max(1, strength // 3)
    assert {one["words"].split(" ")[0] for one in found.colours} <= {"greener", "greener,"}
    assert all(one["place"].startswith(("bottom", "middle", "the")) for one in found.colours)
    again = change(network, PICTURE, "yes", score, strength=strength)
    assert again.after.tobytes() == found.after.tobytes()
    assert again.controls == found.controls


def test_a_strength_out_of_range_is_refused():
    with pytest.raises(UsageError, match="from 1 to 255"):
        change(greenness(), PICTURE, "yes", lambda image: {}, strength=0)


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


def test_redder_at_the_lips_can_be_read():
    before = Image.new("RGB", (90, 90), (160, 130, 120))
    after = before.copy()
    after.paste((190, 120, 115), (30, 60, 60, 90))
    (only,) = moved(before, after)
    assert only["place"] == "bottom centre"
    assert only["words"] == "redder"
    assert only["box"] == [30, 60, 60, 90]
    assert moved(before, before) == []


def test_shifts_in_words():
    assert named(np.array([-5.0, 0.2, 4.0])) == "darker and yellower"
    assert named(np.array([0.5, -0.6, 0.2])) == ""
    assert named(np.array([3.0, -3.0, -3.0])) == "lighter, greener and bluer"
