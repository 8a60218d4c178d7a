"""The standard error of the default method, against the same design's mean at 65,536 answers."""

import numpy as np
import pytest

from probe.methods import METHODS
from probe.types import Canvas, Identity, Scene, Scores
from tests.benchmarks.calibration import TARGETS, coverage

CANVAS = Canvas((32, 32), (32, 32))


@pytest.mark.parametrize("answers", [32, 64, 128, 256])
def test_two_standard_errors_hold_the_true_map_about_95_times_in_100(answers):
    shares = [coverage(CANVAS, target, answers, seeds=12, truth=8192) for target in TARGETS]
    assert 0.92 < np.mean(shares) < 0.99
    assert min(shares) > 0.7


def test_one_answer_has_no_error_bar():
    estimator = METHODS["multiscale"].estimator(CANVAS, "x")
    estimator.update(Identity(), Scores({"x": 0.9}))
    (box,) = METHODS["multiscale"].plan(Scene(CANVAS), 1).ask(1)
    estimator.update(box, Scores({"x": 0.3}))
    assert np.isnan(estimator.heatmap().stderr).all()


def test_an_even_design_has_smaller_errors_than_a_random_one_and_noise_has_not():
    """Errors of plain means are those of random boxes; batches see what evenness saves."""
    from probe.estimate import CoveringMean

    def errors(score, even):
        estimator = CoveringMean(CANVAS, "x", shrink=True, weight="area", even=even)
        estimator.update(Identity(), Scores({"x": 0.9}))
        for box in METHODS["multiscale"].plan(Scene(CANVAS), 255, coarse=300).ask(255):
            estimator.update(box, Scores({"x": score(box)}))
        return float(np.nanmedian(estimator.heatmap().stderr))

    rng = np.random.default_rng(0)
    smooth = [errors(lambda box: 0.9 - 0.5 * box.x0, even) for even in (True, False)]
    noise = [errors(lambda box: rng.normal(0.5, 0.1), even) for even in (True, False)]
    assert smooth[0] < 0.8 * smooth[1]
    assert noise[0] > 0.8 * noise[1]
