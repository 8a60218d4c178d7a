"""The older clients of Azure, which upload in chunks without saying how long the body is."""

from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace

import pytest


@pytest.fixture
def azure(need):
    vision, moderator, credentials, models, errors = need(
        "azure.cognitiveservices.vision.computervision",
        "azure.cognitiveservices.vision.contentmoderator",
        "msrest.authentication",
        "azure.cognitiveservices.vision.computervision.models",
        "azure.cognitiveservices.vision.contentmoderator.models",
    )
    return SimpleNamespace(
        vision=vision.ComputerVisionClient,
        moderator=moderator.ContentModeratorClient,
        key=credentials.CognitiveServicesCredentials,
        vision_error=models.ComputerVisionErrorResponseException,
        moderator_error=errors.APIErrorException,
    )


def adult(azure, url, picture, key="right"):
    with azure.vision(url, azure.key(key)) as client:
        client.config.retry_policy.retries = 0
        found = client.analyze_image_in_stream(BytesIO(picture), visual_features=["Adult"])
    return found.adult


def evaluation(azure, url, picture, key="right"):
    with azure.moderator(url, azure.key(key)) as client:
        client.config.retry_policy.retries = 0
        return client.image_moderation.evaluate_file_input(BytesIO(picture))


def test_the_adult_scores_are_the_planted_ones(azure, url, pictures):
    shown = adult(azure, url, pictures.planted)
    assert shown.adult_score == pytest.approx(0.95)
    assert shown.is_adult_content
    clean = adult(azure, url, pictures.blank)
    assert clean.adult_score == pytest.approx(0.05)
    assert not clean.is_adult_content


def test_the_moderators_scores_are_the_planted_ones(azure, url, pictures):
    shown = evaluation(azure, url, pictures.planted)
    assert shown.adult_classification_score == pytest.approx(0.95)
    assert shown.is_image_adult_classified
    assert shown.status.code == 3000
    assert evaluation(azure, url, pictures.blank).adult_classification_score == pytest.approx(0.05)


@pytest.mark.parametrize(("which", "key"), [("junk", "right"), ("tiny", "right"), ("blank", "no")])
def test_bad_pictures_and_keys_are_their_errors(azure, url, pictures, which, key):
    with pytest.raises(azure.vision_error):
        adult(azure, url, getattr(pictures, which), key)
    with pytest.raises(azure.moderator_error):
        evaluation(azure, url, getattr(pictures, which), key)


def test_the_profiles_send_what_the_clients_send(azure, captured, rendered, pictures):
    answer = {"adult": {"adultScore": 0.5}, "AdultClassificationScore": 0.5}
    for name, send, base, key in (
        ("azure-vision-adult", adult, "VISION_ENDPOINT", "VISION_KEY"),
        (
            "azure-content-moderator",
            evaluation,
            "CONTENT_MODERATOR_ENDPOINT",
            "CONTENT_MODERATOR_KEY",
        ),
    ):
        theirs = captured(lambda url, send=send: send(azure, url, pictures.planted), answer)
        ours = rendered(name, {base: "http://127.0.0.1", key: "right"}, pictures.planted)
        assert ours.path == theirs.path
        assert ours.body == theirs.body
        header = "ocp-apim-subscription-key"
        assert ours.headers[header] == theirs.headers[header]
