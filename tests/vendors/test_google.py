from __future__ import annotations

import json
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import requests


@pytest.fixture
def google(need):
    vision, rest, credentials, errors = need(
        "google.cloud.vision_v1",
        "google.cloud.vision_v1.services.image_annotator.transports.rest",
        "google.auth.api_key",
        "google.api_core.exceptions",
    )
    return SimpleNamespace(
        vision=vision,
        transport=rest.ImageAnnotatorRestTransport,
        key=credentials.Credentials,
        errors=errors,
        words=vision.Likelihood,
    )


def ask(google, url, *pictures, key="right", feature="SAFE_SEARCH_DETECTION"):
    vision = google.vision
    transport = google.transport(
        host=urlsplit(url).netloc, url_scheme="http", credentials=google.key(key)
    )
    requests = [
        vision.AnnotateImageRequest(
            image=vision.Image(content=picture),
            features=[vision.Feature(type_=vision.Feature.Type[feature])],
        )
        for picture in pictures
    ]
    with vision.ImageAnnotatorClient(transport=transport) as client:
        return client.batch_annotate_images(requests=requests, retry=None, timeout=30)


def test_the_words_are_those_of_the_planted_scores(google, url, pictures):
    shown, clean = ask(google, url, pictures.planted, pictures.blank).responses
    assert shown.safe_search_annotation.adult == google.words.VERY_LIKELY
    assert clean.safe_search_annotation.adult == google.words.VERY_UNLIKELY
    assert not shown.error.code


def test_labels_come_with_their_scores(google, url, pictures):
    (shown,) = ask(google, url, pictures.planted, feature="LABEL_DETECTION").responses
    found = {label.description: label.score for label in shown.label_annotations}
    assert found["nsfw"] == pytest.approx(0.95)


def test_a_bad_picture_fails_alone(google, url, pictures):
    first, bad, last = ask(google, url, pictures.planted, pictures.junk, pictures.blank).responses
    assert bad.error.code == 3
    assert bad.error.message
    assert not bad.safe_search_annotation
    assert first.safe_search_annotation.adult == google.words.VERY_LIKELY
    assert last.safe_search_annotation.adult == google.words.VERY_UNLIKELY


def test_a_wrong_key_is_one_of_its_client_errors(google, url, pictures):
    kinds = (google.errors.BadRequest, google.errors.Forbidden, google.errors.Unauthorized)
    with pytest.raises(kinds, match="API key not valid"):
        ask(google, url, pictures.planted, key="wrong")


def test_too_many_requests_is_its_own_error(google, throttled, pictures):
    with pytest.raises(google.errors.TooManyRequests):
        ask(google, throttled, pictures.planted)


def test_more_than_sixteen_pictures_are_its_bad_request(google, url, pictures):
    with pytest.raises(google.errors.BadRequest):
        ask(google, url, *[pictures.blank] * 17)


def test_every_field_is_one_of_the_service(google, url, pictures, rendered):
    environ = {"GOOGLE_API_KEY": "right", "GOOGLE_VISION_BASE": url}
    for name in ("google-safesearch", "google-labels"):
        ours = rendered(name, environ, pictures.planted, pictures.junk)
        reply = requests.post(url + ours.path, data=ours.body, headers=ours.headers, timeout=30)
        answer = google.vision.BatchAnnotateImagesResponse.from_json(reply.text)
        assert len(answer.responses) == 2


def test_the_profile_sends_what_the_client_sends(google, captured, rendered, pictures):
    images = [pictures.planted, pictures.blank]
    theirs = captured(lambda url: ask(google, url, *images), {"responses": [{}, {}]})
    ours = rendered("google-safesearch", {"GOOGLE_API_KEY": "right"}, *images)
    assert ours.path == urlsplit(theirs.path).path
    expected = json.loads(theirs.body)
    for request in expected["requests"]:  # the client sends the number of the word
        (feature,) = request["features"]
        feature["type"] = google.vision.Feature.Type(feature["type"]).name
    assert json.loads(ours.body) == expected
    assert ours.headers["x-goog-api-key"] == theirs.headers["x-goog-api-key"]
    assert ours.headers["content-type"] == theirs.headers["content-type"]
