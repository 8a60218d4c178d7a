"""Extremal perturbation on a network that looks at one known place."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from probe.inside.extremal import AREAS, extremal
from probe.inside.views import look
from tests.inside.nets import white_box

SIDE = 64
PLACE = (slice(8, 24), slice(36, 60))
"""Rows and columns the network looks at: 9 % of the picture."""


class Looks(nn.Module):
    """The logit of `yes` is how strongly PLACE alternates from pixel to pixel, 0 to 9."""

    def forward(self, x):
        y0, y1, x0, x1 = (n for side in PLACE for n in (side.start, side.stop))
        part = x[:, :1, y0:y1, x0:x1]
        rough = (part[..., 1:] - part[..., :-1]).abs().mean((1, 2, 3))
        return torch.stack([4 - rough * 9, rough * 9], 1)


def network(**options):
    return white_box(Looks(), SIDE, activation="softmax", **options)


@pytest.fixture
def x():
    stripes = np.zeros((SIDE, SIDE), np.float32)
    stripes[:, ::2] = 1
    return torch.from_numpy(np.repeat(stripes[None, None], 3, 1))


WHOLE = (slice(0, SIDE), slice(0, SIDE))


def test_the_masks_hold_the_place_and_have_their_areas(x):
    found = extremal(network(), x, 1, WHOLE)
    for mask, area in zip(found.masks, AREAS, strict=True):
        assert float(mask.mean()) == pytest.approx(area, rel=0.01)
    assert float(found.masks[2][PLACE].mean()) > 0.8  # of 20 %, where the place is 9 %
    assert float(found.masks[0][PLACE].sum() / found.masks[0].sum()) > 0.9
    for small, large in zip(found.masks[:-1], found.masks[1:], strict=True):
        assert bool((large >= small - 1e-6).all())


def test_what_is_kept_says_yes_and_without_it_nothing_does(x):
    box = network()
    found = extremal(box, x, 1, WHOLE)
    kept = [box.score_of(one)["yes"] for one in found.kept]
    covered = [box.score_of(one)["yes"] for one in found.covered]
    assert kept[2] > 0.95 > 0.1 > covered[2]
    assert np.all(np.diff(kept) > -1e-3)


def test_no_rectangle_of_that_area_does_much_better(x):
    """By brute force: every rectangle of 20 % on a grid of 4 pixels."""
    module = Looks()
    found = extremal(network(), x, 1, WHOLE)
    cover = x.mean((2, 3), keepdim=True)
    best = -np.inf
    for rows in range(4, SIDE + 1, 4):
        columns = round(AREAS[2] * SIDE * SIDE / rows / 4) * 4
        if not 4 <= columns <= SIDE:
            continue
        for top in range(0, SIDE - rows + 1, 4):
            for left in range(0, SIDE - columns + 1, 4):
                kept = cover.expand_as(x).clone()
                place = (..., slice(top, top + rows), slice(left, left + columns))
                kept[place] = x[place]
                best = max(best, float(module(kept)[0, 1]))
    assert float(module(found.kept[2])[0, 1]) > 0.8 * best
    assert best > 8


def test_what_lies_around_the_picture_is_never_changed(x):
    cut = (slice(20, 44), slice(0, SIDE))
    found = extremal(network(), x, 1, cut)
    around = np.ones((SIDE, SIDE), bool)
    around[cut] = False
    assert not found.masks.numpy()[:, around].any()
    for one in (*found.kept, *found.covered):
        assert torch.equal(one[0, :, around], x[0, :, around])
    for mask, area in zip(found.masks, AREAS, strict=True):
        assert float(mask[cut].mean()) == pytest.approx(area, rel=0.01)


def test_the_same_again_is_the_same_bit_for_bit(x):
    one, other = (extremal(network(), x, 1, WHOLE, seed=4) for _ in range(2))
    assert torch.equal(one.masks, other.masks)
    assert not torch.equal(one.masks, extremal(network(), x, 1, WHOLE, seed=5).masks)


def test_where_nothing_matters_nothing_is_shown():
    seen = look(network(), Image.new("RGB", (80, 50), (9, 80, 200)), "extremal")
    assert not seen.heatmap.values.any()
    assert seen.about["kept"] == pytest.approx([seen.scores["yes"]] * 4)


def test_a_network_of_one_output():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1800, 1))
    box = white_box(module, 32, labels=("yes",), activation="sigmoid")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    seen = look(box, picture, "extremal")
    assert seen.about["areas"] == AREAS
    assert all(0 <= score <= 1 for score in (*seen.about["kept"], *seen.about["covered"]))
