"""How soon a map settled."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import spearmanr

from probe import Prober
from probe.errors import LabelError
from probe.report import page
from probe.show import convergence, plot_convergence
from probe.testing.planted import Planted, planted_picture


@pytest.fixture(scope="module")
def run():
    return Prober(Planted()).probe(planted_picture(), budget=40)


def test_the_steps_double_and_end_with_all(run):
    assert [step.answers for step in convergence(run)] == [8, 16, 32, 40]
    for total, steps in ((3, [3]), (8, [8]), (9, [8, 9]), (16, [8, 16])):
        part = replace(run, answers=run.answers[:total])
        assert [step.answers for step in convergence(part)] == steps


def test_each_step_is_the_map_that_a_shorter_run_has(run):
    for step in convergence(run):
        shorter = replace(run, answers=run.answers[: step.answers]).heatmap()
        np.testing.assert_array_equal(step.heatmap.planes.values, shorter.planes.values)
        np.testing.assert_array_equal(step.heatmap.planes.stderr, shorter.planes.stderr)


def test_the_correlation_is_spearmans_with_the_last_map(run):
    steps = convergence(run)
    last = steps[-1].heatmap.planes.values.ravel()
    for step in steps[:-1]:
        own = step.heatmap.planes.values.ravel()
        known = np.isfinite(own) & np.isfinite(last)
        assert step.correlation == pytest.approx(spearmanr(own[known], last[known]).statistic)
        assert 0 < step.correlation < 1
    assert steps[-1].correlation == pytest.approx(1)
    assert steps[-2].correlation > steps[0].correlation


def test_another_label_has_its_own_steps(run):
    assert convergence(run, "sfw")[0].heatmap.label == "sfw"
    with pytest.raises(LabelError):
        convergence(run, "cat")


def test_a_flat_map_and_an_empty_one_have_no_correlation(result):
    for made in (result(empty=True), result()):
        made = replace(made, answers=[*made.answers, *made.answers[3:]] * 2)
        flat = convergence(made)
        assert [step.answers for step in flat] == [8, 14]
    assert all(step.correlation is None for step in convergence(result(empty=True)))
    ax = plot_convergence(result(empty=True))
    assert "no correlation" in ax.get_legend().get_texts()[0].get_text()


def test_the_line_holds_the_correlations_over_the_answers(run):
    ax = plot_convergence(run)
    line = ax.lines[1]
    assert list(line.get_xdata()) == [8, 16, 32, 40]
    assert list(line.get_ydata()) == [step.correlation for step in convergence(run)]
    assert [text.get_text() for text in ax.texts] == [f"{y:.2f}" for y in line.get_ydata()[:-1]]
    assert "nsfw" in ax.get_title()
    assert "sfw: how soon" in plot_convergence(run, "sfw").get_title()
    assert "answers" in ax.get_xlabel()
    assert "rank correlation" in ax.get_ylabel()


def test_marks_of_the_scale_do_not_touch(run):
    ax = plot_convergence(replace(run, answers=run.answers[:34]))
    ax.figure.canvas.draw()
    boxes = [mark.get_window_extent() for mark in ax.get_xticklabels()]
    assert [mark.get_text() for mark in ax.get_xticklabels()] == ["8", "16", "34"]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_a_page_says_how_like_the_last_each_map_is(run):
    said = re.findall(r"(\d+) answers: rank correlation with the last ([\d.-]+)<", page(run))
    steps = convergence(run)[:-1]
    assert said == [(str(step.answers), f"{step.correlation:.2f}") for step in steps]
