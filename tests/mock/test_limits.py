"""Services turn away what they turn away in fact, in their own form."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from probe.api.response.reader import Reader
from probe.errors import AuthError, ProbeError, QuotaExhausted
from probe.image import encode
from probe.limits import Rate
from probe.mock.message import Asked
from probe.types import Codec, Failure
from tests.mock.spoken import AMAZON, KEY, PROFILES, asked, picture, profile_of, reply

OPEN = {
    *("tfserving", "tfserving-classify", "kserve-v1", "oip-json", "triton-binary", "torchserve"),
    *("nudenet-fastdeploy", "nsfwjs-express", "nsfwpy"),
}
"""Services that know no keys."""


def read(name, said, count=1):
    return Reader(profile_of(name)).outcomes(reply(said), count)


def turned_away(name, said, count=1):
    """Whether nothing was scored, and the client is told so."""
    try:
        outcomes = read(name, said, count)
    except ProbeError:
        return said.calls == 0
    return said.calls == 0 and all(isinstance(one, Failure) for one in outcomes)


@pytest.mark.parametrize("name", sorted({*PROFILES, *AMAZON} - OPEN - {"clarifai-v1"}))
def test_the_key_is_looked_for_where_the_profile_puts_it(name, desk):
    made = desk(key=KEY)
    assert made.post(asked(name, [picture(0.9)])).calls == 1
    for wrong in ("wrong", KEY + "s", "r"):
        assert turned_away(name, made.post(asked(name, [picture(0.9)], key=wrong)))


@pytest.mark.parametrize("name", ["clarifai", "google-safesearch", "openai-moderation"])
def test_a_wrong_key_is_told_as_one(name, desk):
    with pytest.raises(AuthError):
        read(name, desk(key=KEY).post(asked(name, [picture(0.9)], key="wrong")))


def test_a_key_stands_behind_its_scheme(desk):
    request = asked("clarifai", [picture(0.9)])
    for header, status in (("Key right", 200), ("right", 401), ("Bearer right", 401)):
        headers = {**request.headers, "authorization": header}
        said = desk(key=KEY).post(Asked("POST", request.target, headers, request.body))
        assert said.status == status


def test_google_takes_its_key_in_the_query_too(desk):
    request = asked("google-safesearch", [picture(0.9)], key="wrong")
    for query, status in (("?key=right", 200), ("?key=wrong", 400)):
        there = Asked("POST", request.target + query, request.headers, request.body)
        assert desk(key=KEY).post(there).status == status


def test_without_a_key_set_any_request_is_let_in(desk):
    request = asked("clarifai", [picture(0.9)])
    assert desk().post(Asked("POST", request.target, {}, request.body)).status == 200


@pytest.mark.parametrize("name", PROFILES)
def test_more_pictures_than_the_service_takes_are_turned_away(name, desk):
    profile = profile_of(name)
    most = profile.limits.batch
    if most == 1 and profile.request.body != "multipart":
        pytest.skip("its requests hold one picture by their form")
    said = desk().post(asked(name, [picture(0.5)] * (most + 1)))
    assert turned_away(name, said, most + 1)


def test_openai_says_how_many_pictures_are_too_many(desk):
    request = asked("openai-moderation", [picture(0.5)])
    body = json.loads(request.body)
    body["input"] *= 2
    said = desk().post(Asked("POST", request.target, request.headers, json.dumps(body).encode()))
    assert said.status == 400
    assert json.loads(said.body)["error"] == {
        "message": "Number of images (2) exceeds maximum of 1",
        "type": "invalid_request_error",
        "param": "input",
        "code": "too_many_images",
    }


SIDES = {
    "azure-content-safety": (50, 2048),
    "azure-vision-adult": (50, None),
    "azure-content-moderator": (128, None),
    "api4ai": (1, 4096),
    "picpurify": (1, 4096),
    "rekognition-moderation": (80, 10_000),
}


@pytest.mark.parametrize("name", SIDES)
def test_sides_are_kept_within_the_services_bounds(name, desk):
    least, most = SIDES[name]
    fits = [(least, least), (least, 300)]
    beyond = [(least - 1, 300), (300, least - 1)] if least > 1 else []
    if most is not None and most < 5000:
        fits.append((most, 300))
        beyond.append((most + 1, 300))
    made = desk()
    for size in fits:
        assert made.post(asked(name, [picture(0.9, size)])).calls == 1
    for size in beyond:
        assert turned_away(name, made.post(asked(name, [picture(0.9, size)])))


def noise():
    bytes_of_noise = np.random.default_rng(0).integers(0, 256, (1400, 1400, 3), dtype=np.uint8)
    return encode(Image.fromarray(bytes_of_noise), Codec("png"))


def test_too_many_bytes_are_turned_away(desk):
    large = noise()
    assert len(large) > 5_242_880
    said = desk().post(asked("rekognition-moderation", [large]))
    assert (said.status, json.loads(said.body)["__type"]) == (400, "ImageTooLargeException")
    said = desk().post(asked("azure-content-safety", [large]))
    assert json.loads(said.body)["error"]["innererror"]["code"] == "InvalidImageSize"
    said = desk().post(asked("google-safesearch", [large, large]))
    assert said.status == 400
    assert "payload size" in json.loads(said.body)["error"]["message"]


@pytest.mark.parametrize(
    ("name", "kind"), [("nsfwjs-express", "png"), ("rekognition-moderation", "webp")]
)
def test_formats_that_a_service_does_not_take_are_turned_away(name, kind, desk):
    file = BytesIO()
    Image.new("RGB", (140, 130)).save(file, kind)
    said = desk().post(asked(name, [file.getvalue()]))
    assert said.status >= 400
    assert said.calls == 0


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("rekognition-moderation", "InvalidImageFormatException"),
        ("huggingface", "cannot identify"),
        ("openai-moderation", "invalid_image"),
        ("mlserver", "Internal Server Error"),
    ],
)
def test_what_is_no_picture_is_turned_away_in_the_services_words(name, fault, desk):
    name = "oip-json" if name == "mlserver" else name
    said = desk().post(asked(name, [b"this is no picture"]))
    assert said.status >= 400
    assert fault in said.body.decode()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("/v2/users/clarifai/apps/main/models/nope/outputs", "Model does not exist"),
        ("/v2/models/nope/infer", "Model nope not found"),
        ("/v1/models/nope:predict", "Servable not found"),
        ("/predictions/nope", "ModelNotFoundException"),
        ("/v2/categories/nope", "categorizer nope"),
    ],
)
def test_an_unknown_model_is_404_in_the_services_own_form(target, says, desk):
    names = {
        "Model does not exist": "clarifai",
        "Model nope not found": "oip-json",
        "Servable not found": "tfserving",
        "ModelNotFoundException": "torchserve",
        "categorizer nope": "imagga-nsfw",
    }
    request = asked(names[says], [picture(0.5)])
    said = desk().post(Asked("POST", target, request.headers, request.body))
    assert said.status == 404
    assert says in said.body.decode()
    assert desk().get("/v2/models/nope").status == 404


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/contentsafety/image:analyse", "error"),
        ("/v2/users/clarifai/apps/main/modles", "status"),
        ("/nowhere", "error"),
    ],
)
def test_an_unknown_path_is_404_in_the_form_of_the_service_nearest_by(target, key, desk):
    said = desk().post(Asked("POST", target, {}, b"{}"))
    assert said.status == 404
    assert key in json.loads(said.body)


@pytest.mark.parametrize("name", ["clarifai", "azure-content-safety", "openmoderate", "hive"])
def test_a_body_of_another_form_is_an_error_of_the_service(name, desk):
    request = asked(name, [picture(0.5)])
    for body in (b"", b"hello", b'{"a": 1}', b"[" * 50_000):
        said = desk().post(Asked("POST", request.target, request.headers, body))
        assert 400 <= said.status < 500
        assert turned_away(name, said)


def test_rate_windows_are_those_of_the_service_by_the_clock(desk):
    made = desk(rates=None)
    request = asked("clarifai", [picture(0.5)])
    assert [made.post(request).status for _ in range(16)] == [200] * 15 + [429]
    throttled = made.post(request)
    assert json.loads(throttled.body)["status"]["code"] == 11005
    assert throttled.headers["Retry-After"] == "1"
    made.now = 0.85
    assert made.post(request).status == 429
    made.now = 0.95  # the window is a tenth shorter: requests take differently long to arrive
    assert [made.post(request).status for _ in range(16)] == [200] * 15 + [429]


def test_all_windows_hold_and_another_may_be_given(desk):
    made = desk(rates=(Rate(2, 1.0), Rate(3, 60.0)))
    request = asked("hive", [picture(0.5)])
    assert [made.post(request).status for _ in range(3)] == [200, 200, 429]
    made.now = 2.0
    assert [made.post(request).status for _ in range(2)] == [200, 429]
    assert made.post(asked("deepai", [picture(0.5)])).status == 200


def test_amazon_throttles_by_400(desk):
    made = desk(rates=(Rate(1, 1.0),))
    request = asked("rekognition-moderation", [picture(0.5)])
    made.post(request)
    said = made.post(request)
    assert (said.status, json.loads(said.body)["__type"]) == (400, "ThrottlingException")


@pytest.mark.parametrize("name", ["clarifai", "openai-moderation", "sightengine"])
def test_the_end_of_the_quota_is_told_as_one(name, desk):
    made = desk(faults="quota=2")
    for _ in range(2):
        assert made.post(asked(name, [picture(0.5)])).status == 200
    with pytest.raises(QuotaExhausted):
        read(name, made.post(asked(name, [picture(0.5)])))
    assert made.dice.counts["quota"] == 1
