"""The page and the files of a comparison."""

from __future__ import annotations

import csv
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from probe.decide.comparison import Comparison
from probe.heatmap import Heatmap
from probe.result import Answer, Result
from probe.show.comparison import comparison_figure, headline, save_comparison, shared_scale
from probe.types import Box, Canvas, Failure, Identity, Scores

HALVES = [Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)]


class Fixed:
    """An estimator that has this map, whatever it is told."""

    def __init__(self, heatmap):
        self._heatmap = heatmap

    def update(self, perturbation, scores):
        pass

    def heatmap(self):
        return self._heatmap


@pytest.fixture
def comparison(heatmap):
    def make(one, other, *, size=(40, 30), unit="score", names=("a", "b"), label="nsfw", **about):
        image = Image.new("RGB", size, (128, 128, 128))
        results = []
        for values in (one, other):
            drawn = heatmap(values, label=label, size=size, **about)
            answers = [Answer(Identity(), Scores({label: 0.5}), "sent")]
            answers += [Answer(box, Scores({label: 0.25}), "sent") for box in HALVES]
            results.append(
                Result(
                    image=image,
                    canvas=Canvas(size, drawn.canvas.send),
                    label=label,
                    reference=Scores({label: 0.5}),
                    answers=answers,
                    estimator=lambda _, drawn=drawn: Fixed(drawn),
                    settings=dict.fromkeys(
                        ("picture", "digest", "method", "budget", "seed", "fill", "side", "codec")
                    ),
                )
            )
        return Comparison(names, (results[0], results[1]), unit, "the plan")

    return make


def colours(image):
    return np.asarray(image).astype(int)


def reds(image):
    drawn = colours(image)
    return int((drawn[:, :, 0] > drawn[:, :, 2] + 40).sum())


def blues(image):
    drawn = colours(image)
    return int((drawn[:, :, 2] > drawn[:, :, 0] + 40).sum())


def test_where_the_first_hangs_more_on_it_is_red_and_where_the_second_does_blue(comparison):
    base = comparison_figure(comparison(np.zeros((30, 40)), np.zeros((30, 40))))
    left, right = np.zeros((30, 40)), np.zeros((30, 40))
    left[:, :20], right[:, 20:] = 0.5, 0.5
    drawn = comparison_figure(comparison(left, right))
    same = comparison_figure(comparison(left, left))
    half = 440 * 330 // 2  # pixels of half a panel
    assert reds(drawn) - reds(base) > 2.9 * half  # in both maps and in the difference
    assert 0.9 * half < blues(drawn) - blues(base) < 1.1 * half
    assert 1.9 * half < reds(same) - reds(base) < 2.1 * half
    assert abs(blues(same) - blues(base)) < 500


def test_a_difference_within_both_errors_has_no_colour(comparison):
    left, right = np.full((30, 40), 0.5), np.full((30, 40), 0.2)
    sure = comparison_figure(comparison(left, right, stderr=0.05))
    unsure = comparison_figure(comparison(left, right, stderr=0.12))
    panel = 440 * 330
    assert reds(sure) - reds(unsure) > 0.9 * panel
    assert comparison(left, right, stderr=0.05).agreement == 0
    assert comparison(left, right, stderr=0.12).agreement == 1
    assert "differ on 100% of what both see" in headline(comparison(left, right, stderr=0.05))
    assert "not shown to differ" in headline(comparison(left, right, stderr=0.12))


def test_both_maps_are_on_one_scale(comparison):
    found = comparison([[0.5, -0.1]], [[0.1, -0.8]])
    scale = shared_scale(*found.maps)
    assert (scale.low, scale.high) == pytest.approx((-0.8, 0.8))
    scale = shared_scale(*comparison([[0.5, 0.1]], [[0.3, 0.9]], kind="score").maps)
    assert (scale.low, scale.high) == pytest.approx((0.1, 0.9))


def test_the_weaker_map_is_drawn_paler(comparison):
    weak, strong = np.full((30, 40), 0.1), np.full((30, 40), 0.9)
    alone = comparison_figure(comparison(weak, weak))
    beside = comparison_figure(comparison(strong, weak))
    panel = np.s_[100:300, 550:850]
    assert np.ptp(colours(alone)[panel], axis=2).min() > 40
    assert np.ptp(colours(beside)[panel], axis=2).max() < 40


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (300, 40), (40, 300)])
@pytest.mark.parametrize("kind", ["evidence", "score"])
def test_pictures_of_every_shape_fit_the_page(comparison, size, kind):
    values = [[0.5, np.nan], [0.1, -0.2]]
    drawn = comparison_figure(comparison(values, values, size=size, kind=kind))
    assert drawn.mode == "RGB"
    assert 700 < drawn.width < 1000
    assert 300 < drawn.height < 1300


@pytest.mark.parametrize("values", [[[np.nan]], [[0.0]], [[0.3]]])
def test_flat_and_empty_maps_are_drawn(comparison, values):
    found = comparison(values, values)
    assert comparison_figure(found).mode == "RGB"
    assert "a flat map" in headline(found)


@pytest.mark.parametrize("text", ["$\\frac", "\x1b[31mred\n", "猫\u202e", "x" * 5000, ""])
def test_names_and_labels_of_strangers_are_drawn_as_text(comparison, text, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = comparison([[0.5]], [[0.1]], names=(text, f"{text} (2)"), label=text or "?")
        assert comparison_figure(found).width < 1000
        save_comparison(found, tmp_path)
    table = (tmp_path / "pairs.csv").read_text("utf-8")
    assert not any(ord(character) < 32 and character != "\n" for character in table)


def test_the_files_read_back(comparison, tmp_path):
    found = comparison([[0.5, 0.2]], [[0.1, 0.2]], unit="share", stderr=0.01)
    paths = found.save(tmp_path / "new")
    names = ["compare.png", "a.npz", "b.npz", "pairs.csv", "compare.json"]
    assert [path.name for path in paths] == names
    saved = Heatmap.load(tmp_path / "new" / "a.npz")
    assert saved.unit == "score"
    np.testing.assert_allclose(saved.planes.values, [[0.5, 0.2]], rtol=1e-6)
    record = json.loads((tmp_path / "new" / "compare.json").read_text())
    assert record["settings"]["plan"] == "the plan"
    assert record["settings"]["unit"] == "share"
    assert record["agreement"] == {"score": 0.5, "share": 0.5}
    assert record["names"] == ["a", "b"]
    assert [one["name"] for one in record["services"]] == ["a", "b"]
    rows = list(csv.DictReader((tmp_path / "new" / "pairs.csv").read_text().splitlines()))
    assert [(row["kind"], row["x0"], row["a"], row["b"]) for row in rows] == [
        ("box", "0.0", "0.25", "0.25"),
        ("box", "0.5", "0.25", "0.25"),
    ]


def test_nothing_answered_by_both_is_an_empty_page(comparison, tmp_path):
    found = comparison([[np.nan]], [[np.nan]])
    holes = [Answer(box, Failure("lost", "gone"), "sent") for box in HALVES]
    for result in found.results:
        result.answers[1:] = holes
    assert found.pairs == []
    assert found.strongest is None
    assert found.agreement is None
    assert found.rank_correlation_of_scores is None
    assert len(found.save(tmp_path)) == 5
    assert json.loads((tmp_path / "compare.json").read_text())["variants"] == 0
