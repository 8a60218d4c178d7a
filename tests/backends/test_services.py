"""The same planted target through every service that is known, spoken to by a server that
enforces the services' own limits."""

from __future__ import annotations

import pytest

from probe import Prober, service
from probe.api.profile import catalogue
from probe.api.profile.settings import Settings
from probe.errors import BackendError, ProfileError
from probe.mock import serve
from probe.testing import check_backend
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec, Failure

SIZE = (384, 256)
TARGET = (96, 64, 192, 160)


@pytest.fixture(scope="module")
def mock():
    with serve(Planted(red=96 * 96), rates=()) as server:
        yield server


@pytest.fixture
def led_to(mock, monkeypatch):
    """The service by its name, with all its variables set and its address that of the mock."""

    def lead(name):
        if name == "rekognition":
            environ = {"AWS_ENDPOINT_URL": mock.url, "AWS_REGION": "us-east-1"}
            environ |= {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-0123"}
        else:
            profile = catalogue.load(name)
            environ = {
                one.name: "key-0123456789" if one.secret else mock.url + path_before(name)
                for one in Settings(profile, {}).variables
            }
        for variable, value in environ.items():
            monkeypatch.setenv(variable, value)
        return service(name)

    return lead


def path_before(name: str) -> str:
    """What some variables of addresses hold besides the host."""
    more = {"huggingface": "/hf-inference/models", "openai-moderation": "/v1", "openai-chat": "/v1"}
    return more.get(name, "")


@pytest.mark.parametrize("name", [*catalogue.names(), "rekognition"])
def test_the_planted_target_is_found(mock, led_to, tmp_path, name):
    backend = led_to(name)
    limits = backend.limits
    codec = Codec("png") if "png" in limits.formats else None
    requests, calls = mock.requests, mock.calls
    prober = Prober(backend, codec=codec, ledger=tmp_path / "ledger.db")
    result = prober.probe(planted_picture(SIZE, TARGET), label="nsfw", budget=24)
    assert result.failures == []
    assert (result.requests, result.calls) == (mock.requests - requests, mock.calls - calls)
    assert result.calls == 24
    assert result.requests <= 2 + -(-22 // limits.batch)
    if codec is None:
        return  # a JPEG has no pixel of exactly this red
    x0, y0, x1, y1 = result.describe(result.strongest)["box"]
    assert (x0, y0) <= TARGET[:2]
    assert x1 >= TARGET[2]
    assert y1 >= TARGET[3]
    assert result.reference["nsfw"] >= 0.9
    assert result.describe(result.strongest)["score"] <= 0.1
    assert prober.probe(planted_picture(SIZE, TARGET), label="nsfw", budget=24).calls == 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('results = "outputs[0].data"', 'results = "outputs[0].date"'),
        ('scores = "@"', 'scores = "score"'),
        ("[nsfw]", "[scores]\ndivide = 0.5\n[nsfw]"),
        ('shape = "outputs[0].shape"', 'shape = "outputs[0].shape[0]"'),
    ],
)
def test_what_a_wrong_profile_could_not_read_is_read_free_by_the_right_one(
    mock, monkeypatch, tmp_path, right, wrong
):
    monkeypatch.setenv("OIP_BASE", mock.url)
    text, path = catalogue.source_of("oip-json").read_text(), tmp_path / "mine.toml"
    assert right in text
    picture, ledger = planted_picture(SIZE, TARGET), tmp_path / "ledger.db"
    path.write_text(text.replace(right, wrong))
    calls = mock.calls
    with pytest.raises((BackendError, ProfileError)):
        Prober(path, codec=Codec("png"), ledger=ledger).probe(picture, budget=8)
    assert mock.calls > calls
    path.write_text(text)
    calls = mock.calls
    result = Prober(path, codec=Codec("png"), ledger=ledger).probe(picture, budget=8)
    assert result.answers[0].source == "ledger"
    assert result.reference["nsfw"] == pytest.approx(0.95)
    assert mock.calls - calls == result.calls == 7


@pytest.mark.parametrize(
    "name", ["clarifai", "google-safesearch", "azure-content-safety", "openmoderate", "rekognition"]
)
def test_a_service_keeps_the_contract_of_backends(led_to, name):
    picture = planted_picture((192, 128), (24, 16, 120, 112))
    check_backend(lambda: led_to(name), picture)


def test_the_suite_waits_for_a_service_that_throttles():
    class Busy(Planted):
        def score(self, variants, codec):
            if self.asked == 0:
                self.asked = 1
                return [Failure("throttled", "slow down", wait=0.0)] * len(variants)
            return super().score(variants, codec)

    check_backend(Busy)
