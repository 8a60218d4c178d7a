"""Clusters of made-up cells: noise, and directions planted in some of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from probe.audit.likeness import MARGIN, Space, clusters, heart_of
from probe.audit.sight import WIDE

CELLS = 28
SIDE = 5


def direction(seed):
    kind = np.random.default_rng((9, seed)).choice([-1.0, 1.0], WIDE)
    kind[256:] = 0
    return 3 * kind


def picture(seed, *plants):
    """Noise, and (kind, row, column, amount) in blocks of SIDE cells."""
    cells = np.random.default_rng((1, seed)).normal(0, 1, (CELLS, CELLS, WIDE))
    for kind, row, column, amount in plants:
        cells[row : row + SIDE, column : column + SIDE] += amount * direction(kind)
    return cells.astype(np.float32)


def core(row, column, height=SIDE, width=SIDE):
    found = np.zeros((CELLS, CELLS), np.float32)
    found[row : row + height, column : column + width] = 1
    return found / found.sum()


def spot_of(n):
    return 3 + 3 * (n % 6), 2 + 5 * (n % 4)


class World:
    """One region a picture; kinds: of each, None for a region of noise."""

    def __init__(self, kinds):
        self.places = [spot_of(n) for n in range(len(kinds))]
        self.cells = [
            picture(n, *([] if kind is None else [(kind, *place, 1)]))
            for n, (kind, place) in enumerate(zip(kinds, self.places, strict=True))
        ]
        self.cores = [core(*place) for place in self.places]
        self.space = Space.fit(self.cells, [one > 0 for one in self.cores], 0)
        self.vectors = [self.space(one) for one in self.cells]

    def clusters(self, least=3, pictures=None):
        numbers = list(range(len(self.cells))) if pictures is None else pictures
        return clusters(self.space, self.vectors, numbers, self.cores, least)


@cache
def world(*kinds):
    return World(kinds)


def members(found):
    return [sorted(one.members) for one in found]


ONE = (0, 0, 0, 0, None, None, None)
TWO = (0, 1, 0, 1, 0, 1, 0, None)


def test_the_usual_has_mean_0_and_covariance_1():
    seen = world(*ONE)
    usual = np.concatenate(
        [one[part == 0] for one, part in zip(seen.vectors, seen.cores, strict=True)]
    )
    assert usual.dtype == np.float32
    assert np.abs(usual.mean(axis=0)).max() < 0.02
    covariance = np.cov(usual.T)
    assert np.abs(covariance - np.eye(len(covariance))).max() < 0.1


def test_the_same_seed_is_the_same_space():
    seen = world(*ONE)
    again = Space.fit(seen.cells, [one > 0 for one in seen.cores], 0)
    assert np.array_equal(again.whiten, seen.space.whiten)


def test_what_was_planted_is_the_one_kind_and_noise_is_none():
    assert members(world(*ONE).clusters()) == [[0, 1, 2, 3]]


def test_a_kind_has_to_be_in_enough_pictures():
    seen = world(*ONE)
    assert members(seen.clusters(least=4)) == [[0, 1, 2, 3]]
    assert seen.clusters(least=5) == []
    assert seen.clusters(least=8) == []
    twice = World(ONE)
    twice.vectors = [twice.vectors[0], *twice.vectors[1:]]
    shared = clusters(seen.space, seen.vectors, [0, 0, 1, 1], [seen.cores[0]] * 2 + [
        seen.cores[1]] * 2, 3)  # fmt: skip
    assert shared == []


def test_two_kinds_stay_two_and_the_larger_comes_first():
    assert members(world(*TWO).clusters()) == [[0, 2, 4, 6], [1, 3, 5]]


def test_one_kind_that_shows_now_one_of_its_parts_and_now_the_other_is_one():
    """Left and right half stand side by side in all; which of them is the rarest changes."""
    seen = World([None] * 8)
    seen.cells = [
        picture(
            n,
            (0, *spot_of(n), 1 + n % 2 / 3),
            (1, spot_of(n)[0], spot_of(n)[1] + 6, 4 / 3 - n % 2 / 3),
        )
        for n in range(8)
    ]
    seen.cores = [core(*spot_of(n), width=11) for n in range(8)]
    seen.space = Space.fit(seen.cells, [one > 0 for one in seen.cores], 0)
    seen.vectors = [seen.space(one) for one in seen.cells]
    assert members(seen.clusters()) == [list(range(8))]


def test_the_place_is_found_in_pictures_that_had_no_part_and_nothing_where_there_is_none():
    seen = world(*ONE)
    detector = seen.clusters()[0].detector
    for n in range(6):
        row, column = 4 + 3 * n, 20 - 3 * n
        spot = detector.best(seen.space(picture(100 + n, (0, row, column, 1))))
        assert detector.finds(spot)
        x, y = spot.peak
        assert column <= x * CELLS <= column + SIDE
        assert row <= y * CELLS <= row + SIDE
        x0, y0, x1, y1 = spot.box
        assert x0 * CELLS <= column <= column + SIDE <= x1 * CELLS
        assert y0 * CELLS <= row <= row + SIDE <= y1 * CELLS
        assert max(x1 - x0, y1 - y0) * CELLS <= SIDE + 2 * MARGIN + 2
        for other in (picture(200 + n), picture(300 + n, (1, row, column, 1))):
            assert not detector.finds(detector.best(seen.space(other)))


def test_the_opposite_of_a_kind_is_not_it():
    seen = world(*ONE)
    detector = seen.clusters()[0].detector
    vectors = seen.space(picture(400, (0, 10, 10, -1)))
    assert not detector.finds(detector.best(vectors))
    assert detector.scores(vectors).min() >= 0


def test_what_goes_far_but_mostly_elsewhere_is_not_it():
    detector = world(*ONE).clusters()[0].detector
    across = np.roll(detector.direction, 1)
    across -= (across @ detector.direction) * detector.direction
    across /= np.linalg.norm(across)
    vectors = np.zeros((CELLS, CELLS, len(across)), np.float32)
    vectors[3, 3] = 20 * detector.direction
    vectors[9, 9] = 40 * detector.direction + 100 * across
    scores = detector.scores(vectors)
    assert scores[3, 3] == pytest.approx(20, rel=1e-4)
    assert scores[9, 9] == 0


def test_within_says_where_the_peak_lies():
    seen = world(*ONE)
    detector = seen.clusters()[0].detector
    vectors = seen.space(picture(500, (0, 2, 2, 1.3), (0, 20, 20, 1)))
    assert max(detector.best(vectors).peak) < 0.3
    spot = detector.best(vectors, core(18, 18, 9, 9) > 0)
    assert min(spot.peak) > 0.6
    assert min(spot.box[:2]) > 0.5
    nowhere = detector.best(vectors, core(12, 12, 2, 2) > 0)
    assert not detector.finds(nowhere)
    assert 12 / CELLS <= min(nowhere.peak) <= max(nowhere.peak) <= 14 / CELLS


def test_hearts_are_the_cells_that_belong_most():
    part = np.zeros((CELLS, CELLS), np.float32)
    part[3, 4], part[3, 5], part[3, 6] = 0.5, 0.11, 0.09
    assert np.argwhere(heart_of(part)).tolist() == [[3, 4], [3, 5]]


def whole(space):
    return all(
        np.isfinite(one).all()
        for one in (space.mean, space.scale, space.components, space.centre, space.whiten)
    )


@pytest.mark.parametrize("level", [0.0, 3.0])
@pytest.mark.parametrize("number", [1, 4])
def test_pictures_in_which_all_cells_are_equal_are_no_trouble(level, number):
    cells = [np.full((CELLS, CELLS, WIDE), level, np.float32)] * number
    cores = [core(3, 3)] * number
    space = Space.fit(cells, [one > 0 for one in cores], 0)
    assert whole(space)
    vectors = [space(one) for one in cells]
    assert np.isfinite(np.stack(vectors)).all()
    for one in clusters(space, vectors, range(number), cores, 3):
        spot = one.detector.best(vectors[0])
        assert np.isfinite([spot.score, *spot.box]).all()


def test_one_picture_makes_a_space_and_fewer_regions_than_needed_make_no_cluster():
    cells = [picture(0, (0, 3, 3, 1))]
    space = Space.fit(cells, [core(3, 3) > 0], 0)
    assert whole(space)
    vectors = [space(one) for one in cells]
    assert clusters(space, vectors, [0, 0], [core(3, 3)] * 2, 3) == []
    assert clusters(space, vectors, [], [], 3) == []
    assert members(clusters(space, vectors, [0], [core(3, 3)], 1)) == [[0]]
