"""A change toward a label: bounded, smooth, where it matters, and what each place does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from probe.errors import UsageError
from probe.inside.change import CELLS, change, undone
from probe.inside.colours import distances, moved
from probe.mock.scorer import Received
from probe.types import Codec
from tests.inside.nets import white_box

PICTURE = Image.new("RGB", (90, 60), (120, 90, 100))


def looking(weights, activation="softmax", rows=2, columns=1):
    """Scores `yes` by the mean colours of the parts of a picture: (3, rows, columns) weights."""
    size = 3 * rows * columns
    layers = nn.Sequential(
        nn.AdaptiveAvgPool2d((rows, columns)), nn.Flatten(), nn.Linear(size, 2, bias=False)
    )
    given = torch.tensor(weights, dtype=torch.float32).reshape(size)
    layers[2].weight.data = torch.stack([-given, given])
    return white_box(layers, 32, activation=activation)


def greenness(**options):
    """By how green the lower half is."""
    return looking([[0, 0], [0, 0.05], [0, 0]], **options)


def scorer(network, asked=None):
    def score(image):
        if asked is not None:
            asked.append(image)
        return network.score([Received(image)], Codec())[0]

    return score


@pytest.mark.parametrize("strength", [3, 12])
def test_the_change_goes_where_the_network_looks_and_no_further(strength):
    network = greenness()
    found = change(network, PICTURE, "yes", scorer(network), strength=strength)
    before, after = (scores["yes"] for scores in found.scores)
    assert after > before
    assert after > max(found.controls)
    assert found.largest == np.abs(found.difference).max() == strength
    assert (found.difference[40:, :, 1] == strength).all()
    assert not found.difference[:20].any()
    # smooth: no step larger than between neighbours of a coarse grid
    assert np.abs(np.diff(found.difference, axis=0)).max() <= max(1, strength // 3)
    distance = distances(found.before, found.after)
    assert found.delta_e == pytest.approx((distance.mean(), distance.max()))
    (place,) = found.places
    assert place.number == 1
    assert place.turned.startswith("greener")
    assert place.box[0::2] == (0, 90)
    assert place.box[3] == 60
    assert 22 <= place.box[1] <= 30
    again = change(network, PICTURE, "yes", scorer(network), strength=strength)
    assert again.after.tobytes() == found.after.tobytes()
    assert again.controls == found.controls
    assert [one.as_dict() for one in again.places] == [one.as_dict() for one in found.places]


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 255), st.integers(1, 40), st.integers(1, 40))
def test_no_channel_moves_by_more_than_the_strength(seed, strength, width, height):
    rng = np.random.default_rng(seed)
    network = looking(rng.normal(0, 0.02, (3, 2, 2)).tolist(), rows=2, columns=2)
    picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    found = change(network, picture, "yes", scorer(network), strength=strength, steps=12)
    assert found.largest == np.abs(found.difference).max() <= strength
    assert len(found.controls) == 4
    for place in found.places:
        x0, y0, x1, y1 = place.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height


def test_where_the_label_hardly_hangs_nothing_moves():
    weights = np.full((3, 2, 2), 0.0005)
    weights[:, 1, 1] = 0.05
    network = looking(weights, rows=2, columns=2)
    picture = Image.new("RGB", (200, 200), (120, 120, 120))
    found = change(network, picture, "yes", scorer(network))
    assert not found.difference[:80].any()
    assert not found.difference[:, :80].any()
    assert (found.difference[110:, 110:] == 12).all()
    everywhere = change(network, picture, "yes", scorer(network), price=0, steps=200)
    assert (everywhere.difference > 0).mean() > 0.9
    gains = [one.scores[1]["yes"] - one.scores[0]["yes"] for one in (found, everywhere)]
    assert gains[0] >= 0.9 * gains[1]
    assert found.delta_e[0] <= 0.5 * everywhere.delta_e[0]


def two_areas():
    """Two areas that moved, the larger of them where the label hangs less."""
    before = Image.new("RGB", (200, 100), (160, 130, 120))
    after = before.copy()
    after.paste((190, 120, 115), (10, 10, 90, 90))
    after.paste((150, 135, 150), (130, 30, 170, 70))
    only = before.copy()
    only.paste((150, 135, 150), (130, 30, 170, 70))
    return before, after, only


def test_undone_is_as_it_was_there_and_nowhere_else():
    before, after, only = two_areas()
    large, small = moved(before, after)
    assert large.box == (10, 10, 90, 90)
    assert undone(before, after, large).tobytes() == only.tobytes()
    rest = np.asarray(undone(before, after, small))
    assert (rest[:, :100] == np.asarray(after)[:, :100]).all()
    assert (rest[:, 100:] == np.asarray(before)[:, 100:]).all()


def test_undone_makes_no_edge():
    before = Image.new("RGB", (200, 200), (100, 100, 100))
    after = Image.new("RGB", (200, 200), (140, 100, 100))
    spot = before.copy()
    spot.paste((140, 100, 100), (80, 80, 120, 120))
    (place,) = moved(before, spot)
    found = np.asarray(undone(before, after, place), int)[..., 0]
    assert (found[80:120, 80:120] == 100).all()
    assert found[0, 0] == 140
    assert np.abs(np.diff(found, axis=0)).max() <= 40 / (200 / CELLS / 2) + 1


def test_what_matters_more_comes_first_with_its_score_undone(monkeypatch):
    before, after, only = two_areas()
    weights = np.zeros((3, 1, 2))
    weights[1, 0, 0], weights[2, 0, 1] = -0.02, 0.2
    network = looking(weights, "none", rows=1, columns=2)
    score = scorer(network)
    monkeypatch.setattr("probe.inside.change._shifted", lambda picture, grid: after)
    found = change(network, before, "yes", score, steps=1)
    first, second = found.places
    assert (first.number, second.number) == (1, 2)
    assert first.box == (130, 30, 170, 70)
    assert second.box == (10, 10, 90, 90)
    other = before.copy()
    other.paste((190, 120, 115), (10, 10, 90, 90))
    assert first.undone == score(other)["yes"]
    assert second.undone == score(only)["yes"]
    assert first.undone < second.undone < found.scores[1]["yes"]


def test_with_its_place_undone_the_score_is_as_before():
    network = greenness()
    found = change(network, PICTURE, "yes", scorer(network))
    before, after = (scores["yes"] for scores in found.scores)
    (place,) = found.places
    assert place.undone == scorer(network)(undone(PICTURE, found.after, place))["yes"]
    assert before <= place.undone < before + 0.05 * (after - before)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_the_score_rises_whatever_turns_logits_into_it(activation):
    network = greenness(activation=activation)
    found = change(network, PICTURE, "yes", scorer(network))
    assert found.scores[1]["yes"] > found.scores[0]["yes"]
    assert (found.difference[40:, :, 1] == 12).all()


def test_a_score_that_is_no_probability_rises_however_high_it_is():
    network = looking([[0, 0], [0, 1.5], [0, 0]], activation="none")
    found = change(network, PICTURE, "yes", scorer(network))
    assert found.scores[0]["yes"] > 130
    assert (found.difference[40:, :, 1] == 12).all()


@pytest.mark.parametrize("weight", [0, 50])
def test_where_nothing_can_be_gained_nothing_moves(weight):
    """The label hangs on nothing, or is certain already."""
    network = looking([[0, 0], [0, weight], [0, 0]])
    found = change(network, PICTURE, "yes", scorer(network))
    assert not found.difference.any()
    assert found.places == []
    assert found.delta_e == (0, 0)
    assert found.controls == [found.scores[0]["yes"]] * 4


def test_random_changes_are_as_large():
    network, asked = greenness(), []
    found = change(network, PICTURE, "yes", scorer(network, asked))
    assert asked[:2] == [found.before, found.after]
    controls = asked[2 : 2 + len(found.controls)]
    assert len(asked) == 2 + len(controls) + len(found.places)
    sizes = [
        np.sqrt(np.mean(np.square(np.asarray(one, float) - np.asarray(PICTURE, float))))
        for one in (found.after, *controls)
    ]
    assert sizes == pytest.approx([sizes[0]] * len(sizes), rel=0.05)
    assert len({one.tobytes() for one in controls}) == len(controls)


def test_the_threads_of_torch_are_given_back():
    network, threads = greenness(), torch.get_num_threads()
    seen = []
    network.module.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    try:
        change(network, PICTURE, "yes", lambda image: {"yes": 0.5}, steps=2)
        assert seen == [1, 1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_strength_out_of_range_is_refused():
    with pytest.raises(UsageError, match="from 1 to 255"):
        change(greenness(), PICTURE, "yes", lambda image: {}, strength=0)
