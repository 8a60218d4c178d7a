from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as sk

from probe.errors import OutputError, UsageError
from probe.evaluate import evaluate
from probe.show import (
    evaluation_figure,
    plot_calibration,
    plot_groups,
    plot_precision_recall,
    plot_roc,
    save_figure,
)
from probe.show.evaluation_files import save_evaluation
from tests.evaluate.samples import drawn

BLUE, VERMILION = (0, 114, 178), (213, 94, 0)


@pytest.fixture
def evaluated():
    def make(services=1, groups=0, n=300, **options):
        truth, scores = drawn(n, services=services)
        places = np.arange(n) % groups if groups else None
        names = [f"group {k}" for k in range(groups)]
        options = {"bootstrap": 100, "label": "nsfw", "group_names": names, **options}
        return evaluate(truth, scores, groups=places, **options)

    return make


def near(image, colour, within=12):
    far = np.abs(np.asarray(image).astype(int) - colour).max(axis=-1)
    return int((far <= within).sum())


def pixels(figure):
    figure.set_dpi(60)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def test_one_service_is_blue_and_a_second_vermilion(evaluated):
    one, two = pixels(evaluation_figure(evaluated())), pixels(evaluation_figure(evaluated(2)))
    assert near(one, BLUE) > 300
    assert near(one, VERMILION) == 0
    assert near(two, BLUE) > 300 < near(two, VERMILION)


def test_groups_are_a_panel_more(evaluated):
    one, two = (evaluation_figure(evaluated(groups=k)) for k in (0, 3))
    assert (len(one.axes), len(two.axes)) == (3, 4)
    assert [text.get_text().split("\n")[0] for text in two.axes[3].get_yticklabels()] == [
        "group 0",
        "group 1",
        "group 2",
    ]
    many = plot_groups(evaluated(groups=20))
    assert len(many.get_yticklabels()) == 15
    assert many.get_title() == "AUC by group, without 5 smaller ones"
    with pytest.raises(UsageError, match="without groups"):
        plot_groups(evaluated())


def test_a_group_of_one_kind_is_named_and_has_no_point():
    truth, scores = drawn(300)
    places = np.where(truth, np.arange(300) % 2, 0)
    found = evaluate(truth, scores, groups=places, group_names=("a", ""), bootstrap=100)
    ax = plot_groups(found)
    assert ax.get_yticklabels()[1].get_text().startswith("(none)\n")
    assert np.isnan(ax.lines[3].get_xdata()).all()


@pytest.mark.parametrize("plot", [plot_roc, plot_precision_recall, plot_calibration])
def test_each_panel_goes_into_axes_of_ones_own(evaluated, plot):
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert plot(evaluated(2), ax) is ax
    assert plot(evaluated()) is not ax


@pytest.mark.parametrize("name", ["$\\frac$", "\x1b[31mred", "猫" * 40, "a_{b}^$x$", "<b>&amp;"])
def test_names_are_only_words(evaluated, name, tmp_path):
    found = evaluated(2, groups=2, label=name, names=(name, f"{name}2"), group_names=(name, "y"))
    path = save_figure(evaluation_figure(found), tmp_path / "x.svg")
    assert "\x1b" not in path.read_text()


def test_the_same_figure_is_the_same_bytes_and_text_is_text(evaluated, tmp_path):
    one, other = (
        save_figure(evaluation_figure(evaluated()), tmp_path / name) for name in ("a.svg", "b.svg")
    )
    assert one.read_bytes() == other.read_bytes()
    assert re.search(r"nsfw: 300 pictures, \d\d\.\d% positive", one.read_text())


def test_the_extremes_are_drawn():
    truth = np.arange(40) < 20
    for scores in (truth * 1.0, 1 - truth * 1.0, np.full(40, 0.5)):
        evaluation_figure(evaluate(truth, scores, bootstrap=100)).canvas.draw()
    single = evaluate([True, False], [0.9, 0.1], bootstrap=100)
    evaluation_figure(single).canvas.draw()


def test_the_files_say_what_was_found(evaluated, tmp_path):
    found = evaluated(2, groups=2, fpr=(0.05,))
    paths = save_evaluation(found, tmp_path / "new", {"plan": "abc"}, left_out=[])
    names = ["evaluation.png", "curves.csv", "groups.csv", "evaluation.json"]
    assert [path.name for path in paths] == names
    with Image.open(paths[0]) as drawn_:
        assert drawn_.height == 900
    record = json.loads(paths[3].read_text())
    assert (record["schema"], record["left_out"]) == (1, [])
    assert record["settings"]["plan"] == "abc"
    assert record["settings"]["fpr"] == [0.05]
    rows = list(csv.DictReader(io.StringIO(paths[2].read_text())))
    assert {"auc_low", "difference_high", "recall_at_threshold", "fpr_at_fpr_0.05"} <= set(rows[0])
    assert sum(int(row["pictures"]) for row in rows) == 300


def test_curves_are_thinned_and_their_area_stays(tmp_path):
    truth, scores = drawn(20_000, digits=16)
    found = evaluate(truth, scores, bootstrap=100)
    paths = save_evaluation(found, tmp_path, {})
    rows = list(csv.DictReader(io.StringIO(paths[1].read_text())))
    assert len(rows) <= 2000
    x, y = (np.array([0, *(float(row[name]) for row in rows)]) for name in ("fpr", "recall"))
    assert sk.auc(x, y) == pytest.approx(sk.roc_auc_score(truth, scores), abs=1e-6)
    at = float(rows[700]["threshold"])
    assert int(rows[700]["tp"]) == (truth & (scores >= at)).sum()
    assert int(rows[700]["fp"]) == (~truth & (scores >= at)).sum()


def test_a_disk_that_refuses_is_said(evaluated, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        save_evaluation(evaluated(), tmp_path / "file" / "folder", {})
