"""The test that tells a map from noise: its rate of false alarms, its power, its edges."""

from __future__ import annotations

import numpy as np
import pytest

from probe.estimate.permutation import p_value
from probe.perturb import multiscale
from probe.types import Box, Canvas, Keep, Mask, Scene, Window

CANVAS = Canvas((96, 64), (96, 64))


def boxes(n=40):
    return multiscale(Scene(CANVAS), n, 0).ask(n)


def hidden(box, x0=0.3, y0=0.3, x1=0.5, y1=0.6):
    """The share of a patch that a box covers."""
    across = max(0.0, min(box.x1, x1) - max(box.x0, x0)) / (x1 - x0)
    down = max(0.0, min(box.y1, y1) - max(box.y0, y0)) / (y1 - y0)
    return across * down


def test_noise_alone_is_called_a_map_no_more_often_than_stated():
    design, random = boxes(), np.random.default_rng(0)
    found = [p_value(design, random.normal(0.5, 0.1, 40), CANVAS) <= 0.1 for _ in range(100)]
    assert 2 <= sum(found) <= 20  # 10 expected; both ends are beyond 2.6 standard deviations


def test_a_planted_patch_is_found_in_noise_a_quarter_of_its_size():
    design, random = boxes(), np.random.default_rng(1)
    scores = [0.9 - 0.2 * hidden(box) + random.normal(0, 0.05) for box in design]
    assert p_value(design, scores, CANVAS) == 0.005
    assert p_value(design, random.permutation(scores), CANVAS) > 0.05


@pytest.mark.parametrize("scale", [1e-20, 1, 1e29])
@pytest.mark.parametrize("shift", [0.0, -3.0])
def test_scale_and_offset_of_the_scores_do_not_matter(scale, shift):
    design = boxes(12)
    scores = np.array([hidden(box) + n % 5 for n, box in enumerate(design)])
    plain = p_value(design, scores, CANVAS)
    assert 0.005 < plain < 1
    assert p_value(design, (scores + shift) * scale, CANVAS) == plain


@pytest.mark.parametrize("kind", [Window, Keep])
def test_windows_and_kept_regions_hang_on_the_place_too(kind):
    design = boxes()
    scores = [hidden(box) for box in design]
    changes = [kind(box.x0, box.y0, box.x1, box.y1) for box in design]
    assert p_value(changes, scores, CANVAS) == 0.005


def test_masks_hang_on_the_place_too():
    random = np.random.default_rng(0)
    grids = [random.integers(0, 2, 12) for _ in range(40)]
    changes = [Mask(bytes((255 * grid).astype(np.uint8)), 4) for grid in grids]
    assert p_value(changes, [float(grid[5]) for grid in grids], CANVAS) == 0.005
    assert p_value(changes, random.normal(size=40), CANVAS) > 0.05


def test_what_cannot_be_told():
    assert p_value(boxes(7), range(7), CANVAS) is None
    assert p_value([], [], CANVAS) is None
    assert p_value([Box(0, 0, 1, 1)] * 9, range(9), CANVAS) is None
    assert p_value(boxes(9), [0.1] * 9, CANVAS) == 1.0
