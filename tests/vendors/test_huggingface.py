from __future__ import annotations

from types import SimpleNamespace

import pytest

MODEL = "Falconsai/nsfw_image_detection"


@pytest.fixture
def hub(need, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    client, errors = need("huggingface_hub", "huggingface_hub.errors")
    return SimpleNamespace(client=client.InferenceClient, errors=errors)


def ask(hub, url, picture, key="right", **parameters):
    with hub.client(model=f"{url}/hf-inference/models/{MODEL}", token=key) as client:
        return client.image_classification(picture, **parameters)


@pytest.mark.parametrize("parameters", [{}, {"top_k": 2}])
def test_the_scores_are_the_planted_ones(hub, url, pictures, parameters):
    """With parameters the client sends JSON with base64, without them the picture itself."""
    shown = {one.label: one.score for one in ask(hub, url, pictures.planted, **parameters)}
    assert shown == pytest.approx({"nsfw": 0.95, "normal": 0.05})
    clean = {one.label: one.score for one in ask(hub, url, pictures.blank, **parameters)}
    assert clean == pytest.approx({"nsfw": 0.05, "normal": 0.95})


def test_a_wrong_key_and_too_many_requests_are_its_http_errors(hub, url, throttled, pictures):
    with pytest.raises(hub.errors.HfHubHTTPError) as error:
        ask(hub, url, pictures.planted, key="wrong")
    assert error.value.response.status_code == 401
    with pytest.raises(hub.errors.HfHubHTTPError) as error:
        ask(hub, throttled, pictures.planted)
    assert error.value.response.status_code == 429


def test_a_bad_picture_is_its_http_error(hub, url, pictures):
    with pytest.raises(hub.errors.HfHubHTTPError) as error:
        ask(hub, url, pictures.junk)
    assert error.value.response.status_code in (400, 422)


def test_the_profile_sends_what_the_client_sends(hub, captured, rendered, pictures, tmp_path):
    file = tmp_path / "picture.png"  # of bytes the client states no media type
    file.write_bytes(pictures.planted)
    theirs = captured(lambda url: ask(hub, url, file), [])
    environ = {"HF_TOKEN": "right", "HF_INFERENCE_BASE": "http://127.0.0.1/hf-inference/models"}
    ours = rendered("huggingface", environ, pictures.planted)
    assert ours.path == theirs.path
    assert ours.body == theirs.body
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    assert ours.headers["content-type"] == theirs.headers["content-type"]
