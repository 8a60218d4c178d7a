"""RISE, LIME, Kernel SHAP and keeps through the whole house: the loop, the ledger, bad luck."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from probe import Prober, from_callable
from probe.errors import BackendError, UsageError
from probe.ledger import Ledger
from probe.limits import Limits
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec, Failure, Scores

METHODS = ["keep", "cover+keep", "rise", "lime", "kernelshap"]
INSIDE = np.s_[16:40, 24:48]


class Moody(Planted):
    """Fails for every `every`-th picture, the first one excepted."""

    def __init__(self, every):
        super().__init__(identity=f"moody {every}")
        self.every = every
        self.limits = replace(self.limits, batch=1)

    def score(self, variants, codec):
        answers = super().score(variants, codec)
        if self.asked > 1 and self.asked % self.every == 0:
            return [Failure("refused", "not this one") for _ in answers]
        return answers


def contrast(values):
    """How many times as high the map is within the planted box as elsewhere, where known."""
    outside = values.copy()
    outside[INSIDE] = np.nan
    return np.nanmean(values[INSIDE]) / np.nanmean(np.abs(outside))


@pytest.fixture
def prober(tmp_path):
    return lambda backend, **options: Prober(backend, ledger=Ledger(tmp_path / "l.db"), **options)


@pytest.mark.parametrize("method", METHODS)
def test_the_planted_box_is_found_and_asking_again_is_free(prober, method):
    backend = Planted()
    result = prober(backend).probe(planted_picture(), method=method, budget=128)
    values = result.heatmap().values
    assert contrast(values) > 2
    assert result.p_value <= 0.05
    assert len(result.answers) == 128
    asked = backend.asked
    again = prober(backend).probe(planted_picture(), method=method, budget=128)
    assert backend.asked == asked
    assert again.calls == 0
    assert np.array_equal(again.heatmap().values, values, equal_nan=True)


@pytest.mark.parametrize("method", METHODS)
def test_every_label_has_its_map_from_the_same_answers(prober, method):
    result = prober(Planted()).probe(planted_picture(), method=method)
    one, other = result.heatmap("nsfw").values, result.heatmap("sfw").values
    np.testing.assert_allclose(one, -other, atol=2e-2 if method == "lime" else 1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_plan_is_what_is_asked(prober, method):
    planned = prober(Planted()).plan(planted_picture(), method=method)
    result = prober(Planted()).probe(planted_picture(), method=method)
    assert list(planned.perturbations) == [answer.perturbation for answer in result.answers]
    assert planned.answers == len(result.answers) == 64


@pytest.mark.parametrize("method", METHODS)
def test_every_snapshot_is_a_map(prober, method):
    backend = Planted()
    for result in prober(backend).stream(planted_picture(), method=method, budget=40):
        heat = result.heatmap()
        assert heat.values.shape == (64, 96)
        assert heat.reference == pytest.approx(0.95)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("every", [2, 5])
def test_failures_are_holes_and_never_zeros(prober, method, every):
    result = prober(Moody(every)).probe(planted_picture(), method=method, budget=128)
    assert len(result.failures) == 128 // every
    assert contrast(result.heatmap().values) > (1.5 if every == 2 else 2)


@pytest.mark.parametrize("method", METHODS)
def test_a_map_of_failures_alone_is_empty(prober, method):
    with pytest.raises(BackendError) as stopped:
        prober(Moody(1)).probe(planted_picture(), method=method)
    assert np.isnan(stopped.value.partial.heatmap().values).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_label_that_never_moves_is_a_flat_map(prober, method):
    flat = from_callable(lambda images: [{"x": 0.25}] * len(images), ["x"], identity="flat")
    heat = prober(flat, repeats=0).heatmap(planted_picture(), method=method)
    np.testing.assert_allclose(heat.values[np.isfinite(heat.values)], 0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_covers_are_sent_as_jpeg_too(prober, method):
    backend = Planted(limits=Limits(batch=8, formats=("jpeg",), labels=("nsfw",)))
    backend.answer = lambda image: Scores({"nsfw": np.asarray(image)[INSIDE][..., 0].mean() / 255})
    backend.score = lambda variants, codec: [
        backend.answer(decoded(variant.encode(codec))) for variant in variants
    ]
    picture = planted_picture()
    values = (
        prober(backend, fill="black", codec=Codec("jpeg", 90))
        .heatmap(picture, method=method, budget=200)
        .values
    )
    y, x = np.unravel_index(np.nanargmax(values), values.shape)
    assert 16 <= y < 40
    assert 24 <= x < 48


def decoded(body):
    from io import BytesIO

    from PIL import Image

    return Image.open(BytesIO(body)).convert("RGB")


@pytest.mark.parametrize("method", METHODS)
def test_a_budget_too_small_is_refused_before_a_call(prober, method):
    backend = Planted()
    if method == "rise":
        assert len(prober(backend).probe(planted_picture(), method=method, budget=2).answers) == 2
        return
    with pytest.raises(UsageError, match="raise it by"):
        prober(backend).probe(planted_picture(), method=method, budget=2)
    assert backend.asked == 0


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_thousand_answers_take_no_more_memory_than_their_small_grids(method):
    shade = from_callable(lambda images: [{"x": 0.5}] * len(images), ["x"])
    picture = planted_picture((256, 256), (64, 64, 128, 128))

    def peak(budget):
        tracemalloc.start()
        try:
            Prober(shade).heatmap(picture, "x", method, budget)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(64)
    grown = peak(1024) - peak(128)
    assert grown < 25e6  # 59 MB as opacities of every pixel
