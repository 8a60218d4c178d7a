"""The planted target: how much of its region is left, through JPEG and services' levels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from probe import Prober, service
from probe.errors import UsageError
from probe.image import decode, encode
from probe.mock import PlantedTarget, environment, serve
from probe.mock.scorer import Received
from probe.types import Codec

REGION = (0.2, 0.25, 0.5, 0.75)
JPEG = Codec("jpeg", 85)


def photo(seed=0, size=(320, 240)):
    """Blotches of colour, as a photograph has them, with some grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)).astype(int)
    grain = rng.integers(-6, 7, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def covered(image, region, colour=(255, 0, 255)):
    x0, y0, x1, y1 = region
    copy, (width, height) = image.copy(), image.size
    box = tuple(round(v) for v in (x0 * width, y0 * height, x1 * width, y1 * height))
    copy.paste(colour, box)
    return copy


def sent(image, codec=JPEG):
    """The picture as it arrives."""
    return Received(decode(encode(image, codec)))


def score(target, image, label="nsfw", codec=JPEG):
    (answer,) = target.score([sent(image, codec)], Codec())
    return answer[label]


@pytest.fixture
def target():
    planted = PlantedTarget({"nsfw": REGION})
    assert score(planted, photo()) == pytest.approx(0.95)
    return planted


@given(st.floats(0, 1), st.sampled_from([Codec("png"), Codec("jpeg", 75), Codec("jpeg", 95)]))
def test_the_score_is_the_share_of_the_region_that_is_left(share, codec):
    planted = PlantedTarget({"nsfw": REGION})
    image = photo()
    score(planted, image, codec=codec)
    x0, y0, x1, y1 = REGION
    left = covered(image, (x0, y0, x0 + share * (x1 - x0), y1))
    assert score(planted, left, codec=codec) == pytest.approx(0.95 - 0.9 * share, abs=0.06)


def test_what_is_covered_elsewhere_does_not_count(target):
    assert score(target, covered(photo(), (0.55, 0, 1, 1))) == pytest.approx(0.95, abs=0.02)
    assert score(target, covered(photo(), (0, 0.8, 1, 1))) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("codec", [Codec("png"), Codec("jpeg", 60), Codec("jpeg", 95)])
def test_another_codec_or_size_is_still_the_same_picture(target, codec):
    assert score(target, photo(), codec=codec) == pytest.approx(0.95, abs=0.02)
    smaller = photo().resize((200, 150), Image.Resampling.LANCZOS)
    assert score(target, smaller, codec=codec) == pytest.approx(0.95, abs=0.03)
    assert score(target, covered(smaller, REGION), codec=codec) < 0.1


def test_every_new_picture_has_the_whole_region(target):
    assert score(target, photo(1)) == pytest.approx(0.95)
    assert score(target, covered(photo(1), REGION)) < 0.1
    assert score(target, covered(photo(), REGION)) < 0.1


def test_several_labels_have_regions_of_their_own_and_nsfw_its_complement():
    planted = PlantedTarget({"dog": (0, 0, 0.3, 0.3), "nsfw": REGION})
    assert planted.limits.labels == ("dog", "nsfw", "sfw")
    assert planted.limits.question == "dog"
    (whole,) = planted.score([sent(photo())], Codec())
    (less,) = planted.score([sent(covered(photo(), REGION))], Codec())
    assert whole["dog"] == pytest.approx(less["dog"], abs=0.15)
    assert less["nsfw"] < 0.1
    assert less["sfw"] == pytest.approx(1 - less["nsfw"])


@pytest.mark.parametrize(
    "region", [(0, 0, 2, 1), (0.5, 0, 0.5, 1), (0.6, 0, 0.5, 1), (-1, 0, 1, 1)]
)
def test_a_region_that_is_none_is_named(region):
    with pytest.raises(UsageError, match="'nsfw'"):
        PlantedTarget({"nsfw": region})
    with pytest.raises(UsageError, match="label"):
        PlantedTarget({})


def test_its_identity_says_what_is_planted():
    planted = PlantedTarget({"nsfw": REGION})
    assert planted.identity == "planted nsfw=0.2,0.25,0.5,0.75 floor 0.05"
    assert PlantedTarget({"nsfw": (0, 0, 1, 1)}).identity != planted.identity


def test_the_score_moves_over_all_levels_of_the_services_with_words(target):
    x0, y0, x1, y1 = REGION
    found = [
        score(target, covered(photo(), (x0, y0, x0 + share * (x1 - x0), y1)))
        for share in np.linspace(0, 1, 9)
    ]
    assert all(more > less for more, less in pairwise(found))
    words = (0.05, 0.25, 0.5, 0.75, 0.95)
    assert {min(words, key=lambda word: abs(word - one)) for one in found} == set(words)
    assert {round(one * 3) for one in found} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "name", ["clarifai", "google-safesearch", "azure-content-safety", "openai-moderation"]
)
def test_the_planted_region_is_found_through_services(name, monkeypatch, tmp_path):
    with serve(PlantedTarget({"nsfw": REGION}), rates=()) as server:
        for variable, value in environment(server.url).items():
            monkeypatch.setenv(variable, value)
        prober = Prober(service(name), ledger=tmp_path / "ledger.db")
        heat = prober.heatmap(photo(), label="nsfw", budget=64)
        height, width = heat.values.shape
        y, x = np.unravel_index(np.nanargmax(heat.values), heat.values.shape)
        assert REGION[0] <= (x + 0.5) / width <= REGION[2]
        assert REGION[1] <= (y + 0.5) / height <= REGION[3]
