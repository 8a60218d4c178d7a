from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from probe.errors import OutputError
from probe.judging import Control, Curve, Judgement
from probe.show.curves import figure, save_judgement

KINDS = ("deletion", "insertion")
RED = (178, 24, 43)
GREY = (138, 138, 138)


def curve(kind, *scores, reference=0.8):
    shares = np.linspace(0, 1, len(scores))
    return Curve(kind, list(zip(map(float, shares), scores, strict=True)), reference)


@pytest.fixture
def judged(heatmap):
    def make(own=(0.8, 0.2, 0.1), others=((0.8, 0.7, 0.1),), label="nsfw", what="moved"):
        image = Image.new("RGB", (60, 40), (128, 128, 128))
        return Judgement(
            label=label,
            heatmap=heatmap(np.eye(40, 60), label=label),
            image=image,
            curves={kind: curve(kind, *own) for kind in KINDS},
            control=Control(
                what,
                {kind: curve(kind, *own) for kind in KINDS},
                {kind: [curve(kind, *one) for one in others] for kind in KINDS},
            ),
            reference={label: 0.8},
            budget=40,
        )

    return make


def near(image, colour, within=30):
    far = np.abs(np.asarray(image).astype(int) - colour).max(axis=-1)
    return int((far <= within).sum())


def test_the_map_is_red_and_its_copies_are_grey(judged):
    drawn = figure(judged())
    assert drawn.size == (1200, 440)
    assert near(drawn, RED) > 500
    without = figure(judged(others=()))
    assert near(drawn, GREY) > near(without, GREY) + 200


def test_a_hole_is_a_cross_and_not_a_point(judged):
    whole, holed = figure(judged()), figure(judged(own=(0.8, None, 0.1)))
    assert np.asarray(whole)[:, 400:].tobytes() != np.asarray(holed)[:, 400:].tobytes()


@pytest.mark.parametrize("label", ["$\\frac", "\x1b[31mred", "猫" * 40, "a_{b}^$x$", ""])
def test_labels_are_only_words(judged, label):
    assert figure(judged(label=label)).size == (1200, 440)


@pytest.mark.parametrize("own", [(0.8,), (0.8, None, None), (5.0, 0.0, -3.0)])
def test_whatever_is_known_is_drawn(judged, own):
    assert figure(judged(own=own, others=(own,))).size == (1200, 440)


@pytest.mark.parametrize("what", ["moved", "given"])
def test_the_files_say_what_was_found(judged, tmp_path, what):
    found = judged(what=what)
    picture, record = save_judgement(found, tmp_path / "new", {"plan": "abc"})
    assert (picture.name, record.name) == ("curves.png", "judge.json")
    with Image.open(picture) as drawn:
        assert drawn.size == (1200, 440)
    about = json.loads(record.read_text())
    assert about["schema"] == 1
    assert about["settings"] == {"plan": "abc"}
    assert about["deletion"] == pytest.approx(found.deletion)
    assert about["curves"]["insertion"]["points"] == [[0.0, 0.8], [0.5, 0.2], [1.0, 0.1]]
    assert about["verdict"] == found.verdict


def test_a_folder_that_cannot_be_written_is_said(judged, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        save_judgement(judged(), tmp_path / "file" / "folder", {})
