from __future__ import annotations

import base64
import json

import pytest


@pytest.fixture
def openai(need):
    return need("openai")


def moderate(openai, url, *pictures, key="right"):
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        return client.moderations.create(
            model="omni-moderation-latest",
            input=[
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64," + base64.b64encode(p).decode()},
                }
                for p in pictures
            ],
        )


def test_the_scores_are_the_planted_ones(openai, url, pictures):
    (shown,) = moderate(openai, url, pictures.planted).results
    assert shown.category_scores.sexual == pytest.approx(0.95)
    assert shown.flagged
    assert shown.categories.sexual
    (clean,) = moderate(openai, url, pictures.blank).results
    assert clean.category_scores.sexual == pytest.approx(0.05)
    assert not clean.flagged


def test_its_types_hold_without_leniency(openai, url, pictures):
    """The client takes an answer as it comes; the types behind it can be made to look."""
    answer = moderate(openai, url, pictures.planted)
    said = answer.to_dict()
    assert type(answer).model_validate(said).to_dict() == said
    (result,) = answer.results
    for part in ("categories", "category_scores", "category_applied_input_types"):
        fields = type(getattr(result, part)).model_fields
        assert set(said["results"][0][part]) == {
            field.alias or name for name, field in fields.items()
        }


def test_a_wrong_key_is_its_authentication_error(openai, url, pictures):
    with pytest.raises(openai.AuthenticationError):
        moderate(openai, url, pictures.planted, key="wrong")


def test_too_many_requests_is_its_rate_limit_error(openai, throttled, pictures):
    with pytest.raises(openai.RateLimitError):
        moderate(openai, throttled, pictures.planted)


def test_no_picture_and_two_pictures_are_its_bad_request_error(openai, url, pictures):
    with pytest.raises(openai.BadRequestError):
        moderate(openai, url, pictures.junk)
    with pytest.raises(openai.BadRequestError) as error:
        moderate(openai, url, pictures.planted, pictures.blank)
    assert error.value.code == "too_many_images"


def test_the_profile_sends_what_the_client_sends(openai, captured, rendered, pictures):
    answer = {"id": "m", "model": "m", "results": []}
    theirs = captured(lambda url: moderate(openai, url, pictures.planted), answer)
    environ = {"OPENAI_API_KEY": "right", "OPENAI_BASE_URL": "http://127.0.0.1/v1"}
    ours = rendered("openai-moderation", environ, pictures.planted)
    assert ours.path == theirs.path
    assert json.loads(ours.body) == json.loads(theirs.body)
    for name in ("authorization", "content-type"):
        assert ours.headers[name] == theirs.headers[name]
