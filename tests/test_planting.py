"""The planted pictures of the benchmark are what their script makes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks import plant
from tests.benchmarks.blackbox import WORSE, BlackBox
from tests.benchmarks.network import Network, more

CROPS = json.loads((plant.FOLDER / "crops.json").read_text())


@pytest.mark.parametrize("what", plant.WISHES, ids=lambda what: what.name)
def test_the_picture_and_its_mask_are_made_again(what):
    case = next(case for case in more() if case.name == what.name)
    made = np.asarray(plant.planted(what, CROPS[what.name]), int)
    assert abs(made - np.asarray(case.image, int)).max() <= 2
    assert (np.any([plant.region(patch) for patch in what.patches], 0) == case.mask).all()


@pytest.mark.slow
def test_the_network_scores_them_as_listed(monkeypatch, tmp_path):
    monkeypatch.setattr("tests.benchmarks.network.CACHE", tmp_path)
    listed = json.loads((plant.FOLDER / "more.json").read_text())
    with Network() as network:
        for what, case, entry in zip(plant.WISHES, more(), listed, strict=True):
            assert network(case.image) == pytest.approx(entry["nsfw"], abs=1e-3)
            without = network(plant.background(what.background))
            assert without == pytest.approx(entry["nsfw_without"], abs=1e-3)
            assert entry["nsfw"] >= max(0.2, 5 * without)


@pytest.mark.parametrize(
    ("worse", "answers"),
    [("words", [0, 0.25, 0.75, 1]), ("levels", [0, 1 / 3, 2 / 3, 1])],
)
def test_a_coarse_service_answers_in_steps(worse, answers):
    box = BlackBox(WORSE[worse](lambda image: image.getpixel((0, 0))[0] / 250))
    pixels = np.array([0, 70, 180, 250])[:, None, None, None] * np.ones((4, 2, 2, 3))
    assert box.scores(pixels).tolist() == pytest.approx(answers)
    assert box.calls == 4


def test_noise_is_of_the_size_said_and_repeats():
    noisy = WORSE["noise 0.05"](lambda image: 0.5)
    pictures = [Image.new("RGB", (1, 1), (i, j, 0)) for i in range(20) for j in range(20)]
    drawn = [noisy(picture) for picture in pictures]
    assert np.std(drawn) == pytest.approx(0.05, rel=0.15)
    assert drawn == [noisy(picture) for picture in pictures]
