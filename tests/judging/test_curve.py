from __future__ import annotations

import numpy as np
import pytest

from probe.judging.control import Control
from probe.judging.curve import Curve

STEPS = (0, 12, 14, 18, 20, 32)


def curve(kind, scores, **about):
    points = [(step / 32, score) for step, score in zip(STEPS, scores, strict=True)]
    return Curve(kind, points, **{"reference": 1.0, **about})


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_the_error_is_how_far_noise_moves_the_area(kind):
    truth, rng = np.array([0.8, 0.5, 0.3, 0.2, 0.1, 0.6]), np.random.default_rng(0)
    own, noise, unchanged = (0 if kind == "deletion" else -1), 0.05, 3
    areas = []
    for _ in range(4000):
        scores = truth + noise * rng.normal(size=truth.size)
        reference = truth[own] + noise * rng.normal(size=unchanged).mean()
        scores[own] = reference
        areas.append(curve(kind, scores, reference=reference).area)
    stated = curve(
        kind, truth, reference=truth[own], noise=noise, reference_error=noise / unchanged**0.5
    )
    assert stated.noise_error == pytest.approx(np.std(areas), rel=0.05)
    assert stated.stderr > stated.noise_error


def test_a_hole_is_bridged_and_counted():
    whole, holed = (curve("deletion", [1, 0.5, score, 0, 0, 0]) for score in (0.5 * 4 / 6, None))
    assert holed.area == pytest.approx(whole.area)
    assert (whole.holes, holed.holes) == (0, 1)
    assert holed.as_dict()["points"][2] == [14 / 32, None]


def control(own, *others, noise=None):
    """Each a pair of heights, of the deletion and of the insertion curve."""

    def flat(pair):
        kinds = zip(("deletion", "insertion"), pair, strict=True)
        return {kind: curve(kind, [height] * 6, noise=noise) for kind, height in kinds}

    every = [flat(pair) for pair in others]
    return Control(
        "moved",
        flat(own),
        {kind: [one[kind] for one in every] for kind in ("deletion", "insertion")},
    )


def test_gains_add_what_is_taken_and_what_is_brought():
    found = control((0.1, 0.9), (0.5, 0.5), (0.2, 1.1), (0.1, 0.4))
    assert found.gains == pytest.approx([0.8, -0.1, 0.5])
    assert found.gain == pytest.approx(0.4)
    assert found.spread == pytest.approx(np.std([0.8, -0.1, 0.5], ddof=1))
    assert (found.beaten, found.chance, found.ahead) == (2, 0.5, False)


def test_ahead_is_beyond_all_of_them_and_beyond_the_noise():
    assert control((0.1, 0.9), (0.5, 0.5), (0.4, 0.4)).ahead
    assert not control((0.1, 0.9), (0.104, 0.9)).ahead
    assert control((0.1, 0.9), (0.5, 0.5), (0.4, 0.4)).chance == pytest.approx(1 / 3)
    assert not control((0.1, 0.9), (0.5, 0.5), (0.4, 0.4), noise=0.9).ahead


@pytest.mark.parametrize(
    ("worse", "better", "ahead"),
    [(4, 0, True), (3, 1, False), (8, 1, True), (16, 3, True), (15, 4, False)],
)
def test_a_few_of_many_controls_may_be_better(worse, better, ahead):
    found = control((0.1, 0.9), *[(0.5, 0.5)] * worse, *[(0.05, 0.95)] * better)
    assert found.ahead is ahead
    assert found.chance == pytest.approx((1 + better) / (1 + worse + better))


def test_a_control_with_a_hole_is_left_out():
    holed = curve("insertion", [0.5, None, 0.5, 0.5, 0.5, 0.5])
    found = control((0.1, 0.9), (0.5, 0.5), (0.4, 0.4))
    found.curves["insertion"][0] = holed
    assert found.gains == pytest.approx([0.8])
    assert found.spread is None
    none = control((0.1, 0.9), (0.5, 0.5))
    none.own["insertion"] = holed
    assert none.gains == []
    assert none.ahead is None
