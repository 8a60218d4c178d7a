"""NudeNet behind fastDeploy: msgpack both ways, a detector's boxes, nothing for a clean picture."""

from __future__ import annotations

import matplotlib.cbook
import numpy as np
import pytest

from probe import Prober


@pytest.fixture
def here(nudenet, monkeypatch):
    monkeypatch.setenv("NUDENET_BASE", nudenet)


@pytest.fixture
def portrait():
    """Grace Hopper, as matplotlib ships her: 512 x 600, the face at 168-356 x 138-345."""
    return matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)


def test_the_map_of_a_face_lies_on_the_face(here, portrait, tmp_path):
    prober = Prober("nudenet-fastdeploy", ledger=tmp_path / "ledger.db")
    result = prober.probe(portrait, "FACE_FEMALE")
    assert result.reference["FACE_FEMALE"] > 0.5
    assert not result.failures
    values = result.heatmap().values
    y, x = np.unravel_index(np.nanargmax(values), values.shape)
    assert 138 <= y <= 345
    assert 168 <= x <= 356


def test_a_clean_picture_scores_nothing_which_is_an_answer(here, retina, tmp_path):
    prober = Prober("nudenet-fastdeploy", ledger=tmp_path / "ledger.db")
    result = prober.probe(retina, budget=16)
    assert result.reference["nsfw"] == 0
    assert not result.failures


def test_one_bad_picture_is_split_out_of_its_batch(here, portrait, one_bad_picture):
    one_bad_picture("nudenet-fastdeploy", 1e-5, portrait, "FACE_FEMALE")
