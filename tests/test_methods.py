from pathlib import Path

import numpy as np
import pytest

from probe.errors import UsageError
from probe.methods import METHODS, Method, method
from probe.perturb import opacity, snap
from probe.testing.samplers import check_sampler
from probe.types import Box, Canvas, Identity, Mask, Scene, Scores

CANVAS = Canvas((96, 64), (96, 64), 8)
TARGET = (0.25, 0.25, 0.5, 0.75)


def score_of(perturbation):
    """A model that looks at one region only and sees what share of it is shown."""
    if isinstance(perturbation, Identity):
        return 0.9
    x0, y0, x1, y1 = TARGET
    if isinstance(perturbation, Mask):
        covered = opacity(perturbation, CANVAS)[16:48, 24:48]
        return 0.9 * (1 - covered.mean() / 255)
    width = min(x1, perturbation.x1) - max(x0, perturbation.x0)
    height = min(y1, perturbation.y1) - max(y0, perturbation.y0)
    share = max(width, 0) * max(height, 0) / ((x1 - x0) * (y1 - y0))
    return 0.9 * (1 - share if isinstance(perturbation, Box) else share)


def heat(name, budget=63, **options):
    chosen = METHODS[name]
    estimator = chosen.estimator(CANVAS, "x")
    estimator.update(Identity(), Scores({"x": score_of(Identity())}))
    for proposal in chosen.plan(Scene(CANVAS), budget, 0, **options).ask(budget):
        perturbation = snap(proposal, CANVAS)
        estimator.update(perturbation, Scores({"x": score_of(perturbation)}))
    return estimator.heatmap()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_samplers_contract_and_says_what_it_is(name):
    check_sampler(lambda seed: METHODS[name].plan(Scene(CANVAS), 63, seed), budget=63)
    assert METHODS[name].summary


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_hottest_where_the_model_looks(name):
    values = heat(name).values
    y, x = np.unravel_index(np.nanargmax(values), values.shape)
    assert TARGET[0] <= x / 96 < TARGET[2]
    assert TARGET[1] <= y / 64 < TARGET[3]


def test_the_kinds_of_maps():
    assert {name: heat(name).kind for name in METHODS} == {
        "multiscale": "evidence",
        "adaptive": "evidence",
        "grid": "evidence",
        "windows": "score",
        "keep": "evidence",
        "cover+keep": "evidence",
        "rise": "evidence",
        "lime": "evidence",
        "kernelshap": "evidence",
    }


def test_the_grid_is_the_plain_mean_of_what_covers():
    classic = heat("grid")
    assert classic.values == pytest.approx(0.9 - classic.mean_score, abs=1e-6)


def test_multiscale_shrinks_and_its_mean_score_does_not():
    values, plain = heat("multiscale").values, 0.9 - heat("multiscale").mean_score
    assert (np.abs(values) <= np.abs(plain) + 1e-6).all()
    assert values.max() < plain.max()


def test_options_reach_the_sampler():
    plan = METHODS["grid"].plan(Scene(CANVAS), 99, 0, size=32, stride=32).ask(99)
    assert len(plan) == 6
    assert isinstance(plan[0], Box)


def test_the_options_and_their_defaults_are_listed():
    assert METHODS["grid"].options == {"size": 0.25, "stride": 0.125}
    assert METHODS["grid"].settle({"size": 9}) == {"size": 9, "stride": 0.125}


def test_an_unknown_option_gets_the_nearest_one():
    with pytest.raises(UsageError, match=r"no option 'strid'. Did you mean 'stride'\?.*size"):
        METHODS["grid"].settle({"strid": 3})
    with pytest.raises(UsageError, match="no option"):
        METHODS["multiscale"].plan(Scene(CANVAS), 63, 0, size=3)


@pytest.mark.parametrize(("budget", "seed", "message"), [(-1, 0, "budget"), (63, -1, "seed")])
def test_negative_numbers_are_refused(budget, seed, message):
    with pytest.raises(UsageError, match=message):
        METHODS["multiscale"].plan(Scene(CANVAS), budget, seed)


def test_a_grid_too_large_for_the_budget_is_refused_in_the_plan():
    with pytest.raises(UsageError, match="needs 49 answers"):
        METHODS["grid"].plan(Scene(CANVAS), 48)


def test_methods_are_found_by_name():
    assert method("grid") is METHODS["grid"]
    with pytest.raises(UsageError, match=r"no method 'multiscal'. Did you mean 'multiscale'\?"):
        method("multiscal")


def test_a_method_of_ones_own_needs_a_sampler_and_an_estimator():
    def halves(scene, budget, seed, *, side="left"):
        return METHODS["grid"].plan(scene, budget, seed, size=(0.5, 1.0), stride=(0.5, 1.0))

    own = Method("halves", "covers halves", halves, METHODS["grid"].estimator)
    assert own.options == {"side": "left"}
    assert len(own.plan(Scene(CANVAS), 2, 0, side="right").ask(9)) == 2


@pytest.mark.parametrize("name", METHODS)
def test_every_method_and_each_of_its_options_is_in_the_docs(name):
    page = (Path(__file__).parent.parent / "docs" / "methods.md").read_text("utf-8")
    assert f"| `{name}` |" in page
    for option in METHODS[name].options:
        assert f"`{option}`" in page
