"""What a command says when there is little or nothing to say."""

from __future__ import annotations

import json
import os
from zlib import crc32

import numpy as np
import pytest

from probe import Heatmap
from probe.mock import serve
from probe.testing.planted import Planted, planted_picture
from probe.types import Failure, Scores


class Odd(Planted):
    """Answers the unchanged picture as it should, and variants in a way of its own."""

    def __init__(self, odd):
        super().__init__(identity=odd.__name__)
        self.odd = odd

    def score(self, variants, codec):
        whole = planted_picture().tobytes()
        pictures = [variant.pixels().tobytes() for variant in variants]
        return [scores(0.5) if pixels == whole else self.odd(pixels) for pixels in pictures]


def scores(nsfw):
    return Scores({"nsfw": nsfw, "sfw": 1 - nsfw})


def silent(pixels):
    return Failure("refused", "not today")


def flat(pixels):
    return scores(0.5)


def noise(pixels):
    return scores(0.5 + 0.1 * float(np.random.default_rng(crc32(pixels)).normal()))


@pytest.fixture
def probed(run, picture):
    """(exit code, stdout, stderr) of mapping the picture by a model like this."""

    def call(odd, *arguments):
        with serve(Odd(odd)) as server:
            return run("occlude", picture, "--api", server.url, "--codec", "png", *arguments)

    return call


def test_when_all_variants_fail_there_is_no_map_and_the_code_is_three(probed):
    code, out, err = probed(silent, "--budget", 12)
    assert code == 3
    assert "note: Not one of 11 variants got a score, so there is no map: not today" in err
    assert out.startswith("nsfw 0.5.")
    assert " · 11 failures" in out
    assert not os.path.exists("planted.probe/overlay.png")
    assert np.isnan(np.load("planted.probe/map.npy")).all()


def test_a_flat_label_is_said_to_be_flat_and_drawn_without_colour(probed):
    code, out, err = probed(flat)
    assert code == 0
    assert "note: Every variant got the same score: the map is flat" in err
    assert out.startswith("nsfw 0.5. No part of the map stands out of its errors.")


def test_noise_is_said_to_be_noise_and_drawn_without_colour(probed):
    code, out, err = probed(noise)
    assert code == 0
    assert out.startswith("nsfw 0.5. No part of the map stands out of its errors.")
    assert "note: It does not matter which part is changed: shuffled answers" in err
    heatmap = Heatmap.load("planted.probe/map.npz", planted_picture())
    assert heatmap.p_value > 0.05
    assert np.ptp(np.asarray(heatmap.overlay()).astype(int), axis=2).max() < 60


def test_programs_are_told_too(probed):
    code, out, _ = probed(noise, "--json")
    assert code == 0
    assert any("nothing is significant" in note for note in json.loads(out)["notes"])
