from itertools import islice

import numpy as np
import pytest
from scipy.stats import qmc

from probe.perturb.sobol import BITS, points


def first(n, seed=0):
    return np.array(list(islice(points(seed), n)))


@pytest.mark.parametrize("seed", [0, 1, 77])
def test_they_are_the_librarys_points_under_a_digital_shift(seed):
    whole = (first(1024, seed) * 2**BITS).astype(int)
    theirs = (qmc.Sobol(4, scramble=False, bits=BITS).random(1024) * 2**BITS).astype(int)
    assert (whole ^ whole[0] == theirs).all()


def test_the_shift_is_drawn_from_the_seed():
    assert (first(8, 3) == first(8, 3)).all()
    starts = np.array([first(1, seed)[0] for seed in range(200)])
    assert starts.mean(0) == pytest.approx([0.5] * 4, abs=0.08)


def test_every_power_of_two_puts_one_point_into_each_equal_part_of_every_dimension():
    for k in (4, 6, 8):
        parts = np.sort((first(2**k, 5) * 2**k).astype(int), axis=0)
        assert (parts == np.arange(2**k)[:, None]).all()


def test_they_lie_inside_the_cube():
    some = first(5000, 9)
    assert some.min() > 0
    assert some.max() < 1
