from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from probe.evaluate import evaluate
from tests.evaluate.samples import drawn
from tests.evaluate.test_delong import by_pairs


def grouped(truth, scores, places, names=None, **options):
    names = names or tuple("abcdefgh"[: places.max() + 1])
    return evaluate(
        truth, scores, groups=places, group_names=names, **{"bootstrap": 100, **options}
    )


def test_a_group_is_what_it_would_be_by_itself():
    truth, scores = drawn(900)
    places = np.arange(900) % 3
    found = grouped(truth, scores, places, bootstrap=400)
    for place, group in enumerate(found.groups):
        rows = places == place
        alone = evaluate(truth[rows], scores[rows], bootstrap=400).services[0]
        assert group.auc == alone.auc
        assert group.average_precision.value == alone.average_precision.value
        assert group.average_precision.low == pytest.approx(alone.average_precision.low, abs=0.02)
        assert (group.pictures, group.positives) == (rows.sum(), truth[rows].sum())
    assert found.services[0].auc == evaluate(truth, scores, bootstrap=400).services[0].auc


def test_thresholds_of_the_whole_are_judged_in_each_group():
    truth, scores = drawn(900)
    places = np.arange(900) % 2
    found = grouped(truth, scores, places, fpr=(0.1,))
    chosen = found.services[0].at_fpr[0].threshold.value
    for place, group in enumerate(found.groups):
        rows = places == place
        assert [at.threshold for at in group.at] == [0.5, chosen]
        for at in group.at:
            yes = scores[rows] >= at.threshold
            assert at.recall.value == pytest.approx(yes[truth[rows]].mean())
            assert at.fpr.value == pytest.approx(yes[~truth[rows]].mean())


def test_a_group_of_all_pictures_does_not_differ_from_them():
    truth, scores = drawn(300)
    (group,) = grouped(truth, scores, np.zeros(300, int)).groups
    assert group.difference.as_dict() == pytest.approx({"value": 0, "low": 0, "high": 0})
    assert not group.stands_out


def test_the_difference_of_a_part_has_the_variance_of_leaving_pictures_out():
    """The jackknife of the log-odds, over positives and over negatives, as DeLong's variance is."""
    truth, scores = drawn(400, digits=2, apart=1.0)
    places = (np.arange(400) % 4 > 0).astype(int)

    def apart(keep):
        parts = (keep & (places == 0), keep)
        return np.subtract(
            *(logit(by_pairs(truth[rows], scores[None, rows])[0][0]) for rows in parts)
        )

    total = 0.0
    for kind in (truth, ~truth):
        values = []
        for row in np.flatnonzero(kind):
            values.append(apart(np.arange(400) != row))
        total += (len(values) - 1) ** 2 / len(values) * np.var(values, ddof=1)
    found = grouped(truth, scores, places)
    difference, whole = found.groups[0].difference, found.services[0].auc.value
    reach = (logit(difference.high + whole) - logit(difference.low + whole)) / 2
    assert reach == pytest.approx(2.4 * total**0.5, rel=0.1)  # t, 98.75% at either side


def test_groups_of_one_kind_say_so():
    truth, scores = drawn(300)
    places = truth.astype(int)
    found = grouped(truth, scores, places, ("clean", "bad"))
    assert [group.auc.value for group in found.groups] == [None, None]
    assert [group.average_precision.value for group in found.groups] == [None, None]
    assert found.groups[0].at[0].recall.value is None
    assert found.groups[0].at[0].fpr.value is not None
    assert "All pictures are of one kind in 'clean', 'bad': no AUC there." in found.notes


@pytest.mark.parametrize(("sets", "most"), [(25, 4), pytest.param(300, 24, marks=pytest.mark.slow)])
def test_equal_groups_seldom_stand_out_however_many_they_are(sets, most):
    stood = 0
    for seed in range(sets):
        truth, scores = drawn(1_000, seed)
        found = grouped(truth, scores, np.arange(1_000) % 8)
        stood += any(group.stands_out for group in found.groups)
    assert stood <= most  # one in twenty is to be expected


def test_a_group_that_the_service_cannot_tell_stands_out():
    truth, scores = drawn(2_000)
    places = (np.arange(2_000) % 5 == 0).astype(int)
    scores[places == 1] = np.random.default_rng(0).random((places == 1).sum())
    found = grouped(truth, scores, places, ("photo", "drawing"))
    assert [group.stands_out for group in found.groups] == [True, True]
    assert any(
        note.startswith("The AUC differs from that of all pictures in 'photo' by 0.")
        for note in found.notes
    )
