from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from probe.errors import MissingExtra, UsageError
from probe.evaluate import evaluate, read_sample
from probe.evaluate.mistakes import worst
from tests.evaluate.samples import drawn


def test_the_finding_is_a_sentence():
    truth, scores = drawn(2_000)
    found = evaluate(truth, scores, label="nsfw", bootstrap=200)
    (one,) = found.services
    at = one.at_fpr[0]
    assert found.finding == (
        f"nsfw: AUC {one.auc.said()}, average precision {one.average_precision.said()}; at 1% "
        f"false positives the threshold is {at.threshold.value:.3g} and {at.recall.percent()} are "
        "found."
    )
    assert one.auc.said().startswith("0.92 (0.9")


def test_services_that_are_alike_are_said_to_be():
    truth, scores = drawn(200)
    found = evaluate(truth, [scores, 1 - (1 - scores) ** 2], bootstrap=100, names=("a", "b"))
    assert "They are not told apart: the AUC differs by 0.000 (0.000 to 0.000), p = 1.00." in (
        found.finding
    )


def test_all_of_it_is_json():
    truth, scores = drawn(400, services=2)
    places = np.where(np.arange(400) < 5, 2, np.arange(400) % 2)
    truth[:5] = False
    found = evaluate(
        truth, scores, groups=places, group_names=("a", "b", "c"), bootstrap=100, fpr=(1e-4, 0.2)
    )
    record = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert record["pictures"] == record["positives"] + record["negatives"] == 400
    assert [one["group"] for one in record["groups"]] == ["a", "b", "c"]
    assert record["groups"][2]["auc"]["value"] is None
    assert record["settings"] == {
        "threshold": 0.5,
        "fpr": [1e-4, 0.2],
        "bootstrap": 100,
        "seed": 0,
        "level": 0.95,
    }


def test_a_rate_that_no_threshold_keeps():
    truth = np.array([True, True, True, False, False, False])
    scores = np.array([1.0, 1.0, 0.1, 1.0, 0.2, 0.1])
    found = evaluate(truth, scores, fpr=(0.1,), bootstrap=100)
    (at,) = found.services[0].at_fpr
    assert at.threshold.as_dict() == {"value": None, "low": None, "high": None}
    assert (at.tp, at.fp, at.recall.value, at.precision.value) == (0, 0, 0, None)
    assert "no threshold keeps 10% false positives" in found.finding


def test_perfect_scores_have_intervals_too():
    truth = np.arange(40) < 20
    (one,) = evaluate(truth, truth * 0.8 + 0.1, bootstrap=100).services
    assert one.auc.value == one.average_precision.value == 1
    assert 0.8 < one.auc.low < 0.9
    assert 0.8 < one.average_precision.low < 0.9


def test_one_score_for_all_is_chance():
    truth = np.arange(40) < 20
    (one,) = evaluate(truth, np.full(40, 0.5), bootstrap=100).services
    assert one.auc.as_dict() == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert one.average_precision.value == 0.5
    assert one.at_fpr[0].threshold.value is None


def test_few_pictures_are_remarked_on():
    truth, scores = drawn(60, prevalence=0.1)
    notes = evaluate(truth, scores, bootstrap=100).notes
    assert any(note.startswith("Only ") and "positive pictures" in note for note in notes)
    assert any("1% of " in note and "less than 5 pictures" in note for note in notes)


def test_scores_that_are_no_shares_are_remarked_on():
    random = np.random.default_rng(0)
    scores = random.random(3_000)
    truth = random.random(3_000) < scores
    assert evaluate(truth, scores, bootstrap=100).notes == []
    (note,) = evaluate(truth, scores**3, bootstrap=100).notes
    assert note.startswith("label is not calibrated: its scores are off by 0.2")


@pytest.mark.parametrize(
    ("truth", "scores", "options", "says"),
    [
        ([1, 1], [0.1, 0.2], {}, "both kinds are needed"),
        ([], [], {}, "both kinds are needed"),
        ([1, 0], [0.1, 1.2], {}, "numbers of 0..1"),
        ([1, 0], [0.1, np.nan], {}, "numbers of 0..1"),
        ([1, 0], [0.1], {}, "do not fit"),
        ([1, 0], [[0.1, 0.2]] * 3, {}, "do not fit"),
        ([1, 2], [0.1, 0.2], {}, "true or false"),
        ([1, 0], [0.1, 0.2], {"fpr": (0,)}, "between 0 and 1"),
        ([1, 0], [0.1, 0.2], {"fpr": (np.nan,)}, "between 0 and 1"),
        ([1, 0], [0.1, 0.2], {"threshold": 1.5}, "in 0..1"),
        ([1, 0], [0.1, 0.2], {"bootstrap": 5}, "too few"),
    ],
)
def test_what_cannot_be_measured_is_said(truth, scores, options, says):
    with pytest.raises(UsageError, match=says):
        evaluate(truth, scores, **options)


def test_the_worst_mistakes_come_first(write):
    rows = "a,0.9,1\nb,0.7,0\nc,0.95,0\nd,0.2,1\ne,0.1,0\nf,0.5,0\n=g,0.1,1\n"
    sample = read_sample(write("picture,nsfw,truth\n" + rows))
    found = worst(sample, 0.5)
    assert [one["picture"] for one in found["false_positives"]] == ["c", "b", "f"]
    assert found["misses"] == [
        {"row": 8, "picture": "=g", "score": 0.1},
        {"row": 5, "picture": "d", "score": 0.2},
    ]


def test_without_scikit_learn_or_pyarrow_the_extra_is_named(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtra, match=r"scikit-learn .* pip install .*\[evaluate\]"):
        evaluate([1, 0], [0.5, 0.4])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    name = write("picture,nsfw,truth\na,0.9,1\nb,0.1,0\n")
    with pytest.raises(MissingExtra, match=r"pyarrow .*\[evaluate\]"):
        read_sample(name)


def test_nothing_heavy_is_imported_before_it_is_used():
    heavy = "print(*{'pyarrow', 'sklearn', 'scipy'} & {*sys.modules})"
    code = f"import probe.evaluate, sys; {heavy}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"
