"""What the mock answers is what the profile reads, in the form of the recorded answers."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlencode

import msgpack
import pytest

from probe import from_callable
from probe.api.profile import catalogue
from probe.api.profile.settings import Settings
from probe.api.response.reader import Reader
from probe.backends.contract import read_answer, read_description
from probe.mock import environment, services
from probe.mock.message import Asked
from probe.types import Failure, Scores
from tests.mock.spoken import (
    AMAZON,
    KEY,
    PROFILES,
    asked,
    backend,
    brightness,
    picture,
    profile_of,
    reply,
)

FIXTURES = json.loads((Path(__file__).parents[1] / "api" / "fixtures.json").read_text("utf-8"))
RECORDED = {
    "clarifai": "clarifai_v2",
    "clarifai-v1": "clarifai_v1",
    "google-safesearch": "google_safesearch",
    "google-labels": "google_labels",
    "azure-content-safety": "azure_content_safety",
    "azure-vision-adult": "azure_cv32_adult",
    "azure-content-moderator": "azure_content_moderator",
    "openai-moderation": "openai_moderation",
    "openai-chat": "openai_chat",
    "sightengine": "sightengine",
    "hive": "hive_v2",
    "imagga-nsfw": "imagga_categories",
    "imagga-tags": "imagga_tags",
    "api4ai": "api4ai",
    "picpurify": "picpurify",
    "deepai": "deepai",
    "huggingface": "huggingface",
    "roboflow": "roboflow_single",
    "roboflow-hosted": "roboflow_single",
    "oip-json": "oip_v2_flat",
    "triton-binary": "oip_v2_flat",
    "tfserving": "tfserving_row",
    "tfserving-classify": "tfserving_classify",
    "kserve-v1": "kserve_v1",
    "torchserve": "torchserve",
    "openmoderate": "openmoderate_batch",
    "nudenet-fastdeploy": "nudenet_fastdeploy",
    "nsfwjs-express": "nsfwjs_express",
    "nsfwpy": "nsfwpy_many",
    "rekognition-moderation": "aws_moderation",
    "rekognition-labels": "aws_labels",
}
ALL = [*PROFILES, *AMAZON]
SCORES = (0.0, 0.04, 0.3, 0.52, 0.78, 1.0)
WORDS = (0.05, 0.25, 0.5, 0.75, 0.95)
OF_LABELS = {"sfw", "nsfw", "tabby", "tiger_cat"}
"""Labels that are keys: which they are depends on the model."""


def level(name, score):
    """The score as far as the service can say it."""
    if name == "google-safesearch":
        return min(WORDS, key=lambda word: abs(word - score))
    if name == "azure-content-safety":
        return round(score * 3) / 3
    if name == "nudenet-fastdeploy":
        return score if score >= 0.25 else 0.0
    return score


def outcomes(desk, name, images):
    said = desk.post(asked(name, images))
    assert said.status in profile_of(name).request.ok_status
    return Reader(profile_of(name)).outcomes(reply(said), len(images))


def loud(asked_by):
    """Rekognition leaves out what is below 50 percent unless it is asked not to."""
    body = {**json.loads(asked_by.body), "MinConfidence": 0}
    return Asked(asked_by.method, asked_by.target, asked_by.headers, json.dumps(body).encode())


def test_every_profile_that_is_shipped_is_spoken():
    assert set(PROFILES) == set(catalogue.names())
    assert set(RECORDED) == set(ALL)


@pytest.mark.parametrize("name", PROFILES)
def test_what_is_answered_is_what_the_profile_reads(name, desk):
    most = profile_of(name).limits.batch
    for first in range(0, len(SCORES), most):
        scores = SCORES[first : first + most]
        found = outcomes(desk(), name, [picture(score) for score in scores])
        assert len(found) == len(scores)
        for got, score in zip(found, scores, strict=True):
            assert got["nsfw"] == pytest.approx(level(name, score), abs=1e-9)
            if profile_of(name).sfw:
                assert got["sfw"] == pytest.approx(1 - level(name, score), abs=1e-9)


@pytest.mark.parametrize("name", AMAZON)
def test_amazon_answers_in_percent_what_is_above_the_floor(name, desk):
    label = "Explicit" if name.endswith("moderation") else "nsfw"
    floor = 0.5 if name.endswith("moderation") else 0.55
    for score in SCORES:
        request = asked(name, [picture(score)])
        for floored, ask in ((floor, request), (0.0, loud(request))):
            (got,) = Reader(profile_of(name)).outcomes(reply(desk().post(ask)), 1)
            assert got.get(label, 0.0) == pytest.approx(score if score >= floored else 0.0)


BEYOND = {
    "clarifai": {"$.outputs[].model.model_version.id: str"},
    "openai-chat": {
        "$.created: number",
        "$.model: str",
        "$.usage.completion_tokens: number",
        "$.usage.prompt_tokens: number",
        "$.usage.total_tokens: number",
    },
    "triton-binary": {"$.model_version: str"},
}
"""What other documents of the service say about its answers, beside the recorded one."""
SHORT = {
    "clarifai": {"$.outputs[].input.data.image.url: str"},
    "triton-binary": {"$.id: str", "$.outputs[].parameters.content_type: str"},
    "google-safesearch": {"$.responses[].error.code: number", "$.responses[].error.message: str"},
    "openmoderate": {"$.results[].error: str"},
    "rekognition-labels": {"$.Labels[].Categories[].Name: str", "$.Labels[].Parents[].Name: str"},
}
"""What the recorded answer has of a failed picture, of another server, of an ontology."""


def leaves(node, where="$"):
    """Every leaf as its path and kind; labels that are keys are any label."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from leaves(child, f"{where}.{'LABEL' if key in OF_LABELS else key}")
    elif isinstance(node, list):
        for child in node:
            yield from leaves(child, f"{where}[]")
    else:
        number = isinstance(node, int | float) and not isinstance(node, bool)
        yield f"{where}: {'number' if number else type(node).__name__}"


@pytest.mark.parametrize("name", ALL)
def test_answers_have_the_form_of_the_recorded_ones(name, desk):
    recorded = FIXTURES[RECORDED[name]]["response"]
    images = [picture(0.9), picture(0.2)][: profile_of(name).limits.batch]
    said = desk().post(asked(name, images))
    answered = msgpack.unpackb(said.body) if "nudenet" in name else json.loads(said.body)
    if name == "roboflow":
        answered = answered[0]  # a list where several are asked
    expected = set(leaves(recorded)) - SHORT.get(name, set()) | BEYOND.get(name, set())
    assert set(leaves(answered)) == expected


@pytest.mark.parametrize(
    "name", ["clarifai", "clarifai-v1", "google-safesearch", "api4ai", "openmoderate"]
)
def test_one_bad_picture_among_good_ones_fails_alone(name, desk):
    images = [picture(0.9), b"this is no picture", picture(0.2)]
    if profile_of(name).limits.batch == 1:
        (got,) = outcomes(desk(), name, images[1:2])
        assert isinstance(got, Failure)
        return
    made = desk()
    found = outcomes(made, name, images)
    assert [type(one) for one in found] == [Scores, Failure, Scores]
    assert found[0]["nsfw"] > found[2]["nsfw"]
    assert found[1].kind == "refused"


@pytest.mark.parametrize("name", ["oip-json", "triton-binary", "tfserving", "roboflow", "nsfwpy"])
def test_one_bad_picture_fails_the_whole_request_where_it_does_at_the_service(name, desk):
    said = desk().post(asked(name, [picture(0.9), b"this is no picture"]))
    assert said.status >= 400
    assert said.calls == 0


def test_a_backend_that_takes_few_at_once_is_asked_several_times(desk):
    sizes = []

    def fn(images):
        sizes.append(len(images))
        return brightness(images)

    scores = [0.1, 0.3, 0.5, 0.7, 0.9]
    found = outcomes(desk(backend(fn, batch=2)), "clarifai", [picture(score) for score in scores])
    assert [one["nsfw"] for one in found] == pytest.approx(scores)
    assert sizes == [2, 2, 1]


def test_answers_that_carry_ids_carry_the_clients_own(desk):
    request = asked("clarifai", [picture(0.1), picture(0.9)])
    body = json.loads(request.body)
    body["inputs"][0]["id"], body["inputs"][1]["id"] = "seven", "eleven"
    said = desk().post(Asked("POST", request.target, request.headers, json.dumps(body).encode()))
    assert [one["input"]["id"] for one in json.loads(said.body)["outputs"]] == ["seven", "eleven"]
    said = desk().post(asked("openmoderate", [picture(0.1), picture(0.9)]))
    assert [one["source"] for one in json.loads(said.body)["results"]] == ["0.jpg", "1.jpg"]


def google(desk, features, query=""):
    request = asked("google-safesearch", [picture(0.9), picture(0.2)])
    body = json.loads(request.body)
    for one in body["requests"]:
        one["features"] = [{"type": feature} for feature in features]
    target = request.target + query
    said = desk.post(Asked("POST", target, request.headers, json.dumps(body).encode()))
    return json.loads(said.body)["responses"]


@pytest.mark.parametrize("features", [["SAFE_SEARCH_DETECTION", "LABEL_DETECTION"], [6, 4]])
def test_google_answers_each_feature_that_is_asked(features, desk):
    for one, score in zip(google(desk(), features), (0.9, 0.2), strict=True):
        assert one["safeSearchAnnotation"]["adult"] in ("VERY_LIKELY", "UNLIKELY")
        found = {label["description"]: label["score"] for label in one["labelAnnotations"]}
        assert found["nsfw"] == pytest.approx(score)
    assert set(google(desk(), features[:1])[0]) == {"safeSearchAnnotation"}
    assert set(google(desk(), features[1:])[0]) == {"labelAnnotations"}
    assert google(desk(), ["FACE_DETECTION"]) == [{}, {}]


def test_google_says_numbers_for_words_to_clients_that_ask_for_them(desk):
    query = "?" + urlencode({"$alt": "json;enum-encoding=int"})
    first, second = google(desk(), ["SAFE_SEARCH_DETECTION"], query)
    assert first["safeSearchAnnotation"]["adult"] == 5
    assert second["safeSearchAnnotation"]["adult"] == 2


@pytest.mark.parametrize(
    ("name", "body", "kind", "seen"),
    [
        ("huggingface", lambda b: {"inputs": b, "parameters": {"top_k": 1}}, "json", 1),
        ("roboflow", lambda b: {"model_id": "nsfw/1", "image": {"value": b}}, "json", 1),
        ("openai-moderation", lambda b: {"input": [
            {"type": "text", "text": "x"}, {"image_url": {"url": f"data:image/png;base64,{b}"}}
        ]}, "json", 1),
        ("tfserving", lambda b: {"signature_name": "x", "instances": [{"b64": b}]}, "json", 1),
        ("clarifai", lambda b: {
            "user_app_id": {"user_id": "clarifai"}, "model": {"id": "x"},
            "inputs": [{"data": {"image": {"base64": b, "allow_duplicate_url": True}}}] * 2,
        }, "json", 2),
    ],
)  # fmt: skip
def test_other_forms_of_requests_are_read_too(name, body, kind, seen, desk):
    request = asked(name, [picture(0.9)])
    data = json.dumps(body(b64encode(picture(0.9)).decode())).encode()
    headers = {**request.headers, "content-type": "application/json"}
    said = desk().post(Asked("POST", request.target, headers, data))
    assert (said.status, said.calls) == (200, seen)


def test_the_likeliest_labels_alone_are_answered_where_that_is_asked(desk):
    data = {"inputs": b64encode(picture(0.9)).decode(), "parameters": {"top_k": 1}}
    request = asked("huggingface", [picture(0.9)])
    headers = {"content-type": "application/json"}
    said = desk().post(Asked("POST", request.target, headers, json.dumps(data).encode()))
    assert json.loads(said.body) == [{"label": "nsfw", "score": pytest.approx(0.9)}]


def test_a_label_that_the_backend_has_by_name_gets_its_own_score(desk):
    def fn(images):
        return [{"nsfw": 0.9, "violence": 0.96, "sfw": 0.1}] * len(images)

    model = from_callable(fn, ["nsfw", "sfw", "violence"], identity="x", question="nsfw")
    (got,) = outcomes(desk(model), "google-safesearch", [picture(0.5)])
    assert (got["adult"], got["violence"], got["racy"]) == (0.95, 0.95, 0.75)
    (got,) = outcomes(desk(model), "azure-content-safety", [picture(0.5)])
    assert (got["Sexual"], got["Violence"], got["Hate"]) == (1.0, 1.0, 0.0)


def test_scores_that_are_no_probabilities_are_cut_for_services_and_kept_for_the_contract(desk):
    def fn(images):
        return [{"nsfw": 7.5, "sfw": -3.0}] * len(images)

    (got,) = outcomes(desk(backend(fn)), "clarifai", [picture(0.5)])
    assert (got["nsfw"], got["sfw"]) == (1.0, 0.0)
    said = desk(backend(fn)).post(asked("probe", [picture(0.5)]))
    assert json.loads(said.body)["results"] == [{"id": "0", "scores": {"nsfw": 7.5, "sfw": -3.0}}]


def test_a_model_of_several_kinds_has_its_own_labels(desk):
    for model, labels in (
        ("moderation-recognition", {"safe", "explicit", "suggestive", "drug", "gore"}),
        ("general-image-recognition", {"nsfw", "sfw"}),
    ):
        request = asked("clarifai", [picture(0.9)])
        target = request.target.replace("nsfw-recognition", model)
        said = desk().post(Asked("POST", target, request.headers, request.body))
        (output,) = json.loads(said.body)["outputs"]
        assert {one["name"] for one in output["data"]["concepts"]} == labels
        assert output["model"]["id"] == model


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        ("/v2/health/ready", "ready"),
        ("/v2/health/live", "live"),
        ("/v2/models/nsfw", "inputs"),
        ("/v2/models/nsfw/ready", "ready"),
        ("/v2/models/nsfw/config", "max_batch_size"),
        ("/v1/models/nsfw", "model_version_status"),
        ("/v1/models/nsfw/metadata", "metadata"),
        ("/v1/info/", "results"),
        ("/ping", "status"),
        ("/health", "status"),
        ("/", "contract"),
    ],
)
def test_pages_describe_models_and_health(path, holds, desk):
    said = desk().get(path)
    assert said.status == 200
    assert holds in json.loads(said.body)


def test_the_token_step_gives_the_token_that_opens_the_service(desk):
    profile = profile_of("clarifai-v1")
    made = desk(key=KEY)

    def token(secret):
        form = {"grant_type": "client_credentials", "client_id": KEY, "client_secret": secret}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return made.post(Asked("POST", "/v1/token/", headers, urlencode(form).encode()))

    assert token("wrong").status == 401
    given = json.loads(token(KEY).body)
    assert {"access_token", "expires_in", "scope", "token_type"} == set(given)
    request = asked("clarifai-v1", [picture(0.9)])
    assert made.post(request).status == 401
    headers = {**request.headers, "authorization": f"Bearer {given['access_token']}"}
    said = made.post(Asked("POST", request.target, headers, request.body))
    assert Reader(profile).outcomes(reply(said), 1)[0]["nsfw"] == pytest.approx(0.9)


def test_the_environment_has_every_variable_that_a_profile_needs():
    given = environment("http://127.0.0.1:8000", "k")
    for name in PROFILES:
        assert Settings(catalogue.load(name), given).missing == ()
    assert given["OPENAI_BASE_URL"] == "http://127.0.0.1:8000/v1"
    assert given["CLARIFAI_PAT"] == "k"
    assert environment("http://h", "k", "clarifai") == {
        "CLARIFAI_API_BASE": "http://h",
        "CLARIFAI_PAT": "k",
    }


def test_the_contract_is_read_by_its_own_client(desk):
    made = desk()
    described = read_description(made.get("/").body.decode(), "here")
    answer = read_answer(made.post(asked("probe", [picture(0.9)])).body, described, 1)
    assert answer.identity == described.identity == "brightness 1"
    assert answer.outcomes[0]["nsfw"] == pytest.approx(0.9)


def test_services_are_found_by_their_own_pieces_alone():
    for service in services.load().values():
        assert service.told["errors"]["other"]["status"] >= 400
        for name in ("request", "throttled", "busy", "picture", "quota", "crash", "model"):
            assert service.case(name).status
