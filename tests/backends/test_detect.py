from __future__ import annotations

import json
import re
from base64 import b64decode

import pytest

from probe.api.profile import catalogue, grammar
from probe.api.profile.settings import Settings
from probe.backends import resolve
from probe.errors import Unreachable, UsageError
from probe.mock import serve
from probe.providers.asking import Still
from probe.providers.detect import NO_KEY, detect
from probe.providers.drafts import BASE, path_of
from probe.providers.guess import guess
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec, Scores

PICTURE = Still(planted_picture())
PNG = Codec("png")
KEY = "hf-key-0123456789"


@pytest.fixture
def server(wild, reply):
    """A server with these answers by (method and path); anything else is not found.

    An answer is a body, or (body, status), or a function of the request.
    """

    def start(**answers):
        paths = {key.replace("_", "/", 1): value for key, value in answers.items()}
        return started(paths)

    def started(paths):
        def script(server, connection, request):
            method, path, _ = request.decode("latin-1").split(" ", 2)
            answer = paths.get(f"{method} {path}", ({"detail": "Not Found"}, "404 Not Found"))
            if callable(answer):
                answer = answer(request)
            connection.sendall(reply(*answer) if isinstance(answer, tuple) else reply(answer))

        return wild(script)

    return started


def body_of(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


def posted(server) -> list[bytes]:
    """The requests that held a picture."""
    return [request for request in server.requests if body_of(request)]


def works(found, base, tmp_path, monkeypatch):
    """The starting profile loads and reads the same scores from the same server."""
    path = tmp_path / "found.toml"
    path.write_text(found.profile)
    monkeypatch.setenv(BASE, base)
    [outcome] = resolve(path).score([PICTURE], PNG)
    assert outcome == found.scores


@pytest.fixture(scope="module")
def mock():
    with serve(Planted()) as server:
        yield server


def test_the_own_contract_is_found_without_a_call(mock):
    found = detect(mock.url, PICTURE)
    assert (found.contract, found.profile, found.calls) == ("probe/1", None, 0)


@pytest.mark.parametrize(
    ("path", "contract"),
    [
        ("/v2/models/nsfw/infer", "oip-json"),
        ("/v1/models/nsfw:predict", "kserve-v1"),
        ("/v1/models/nsfw:classify", "tfserving-classify"),
        ("/v1/moderate/batch", "openmoderate"),
        ("/classify-many", "nsfwpy"),
        ("/predictions/nsfw", "torchserve"),
        ("/hf-inference/models/Falconsai/nsfw_image_detection", "huggingface"),
        ("/v1/images:annotate", "google-safesearch"),
        (
            "/v2/users/clarifai/apps/main/models/nsfw-recognition/outputs",
            "clarifai",
        ),
    ],
)
def test_a_known_path_takes_one_call_and_gives_a_profile_that_works(
    mock, tmp_path, monkeypatch, path, contract
):
    before = mock.calls
    found = detect(mock.url + path, PICTURE)
    assert (found.contract, found.calls, mock.calls - before) == (contract, 1, 1)
    assert found.scores["nsfw"] == pytest.approx(0.95)
    for name in ("HF_TOKEN", "GOOGLE_API_KEY", "CLARIFAI_PAT"):
        monkeypatch.setenv(name, KEY)
    works(found, mock.url, tmp_path, monkeypatch)


OIP = {"name": "mlserver", "version": "1.7.1", "extensions": []}


def inferred(values, name="output-0", shape=None):
    output = {"name": name, "shape": shape or [1, len(values)], "datatype": "FP64", "data": values}
    return {"model_name": "cats", "outputs": [output]}


def inference_server(server, answer, **more):
    return server(
        {
            "GET /v2": OIP,
            "POST /v2/repository/index": [{"name": "cats", "state": "READY"}],
            "GET /v2/models/cats": {"name": "cats", "inputs": [{"name": "INPUT__0"}]},
            "POST /v2/models/cats/infer": answer,
            **more,
        }
    )


def test_a_server_that_lists_its_models_is_found_by_its_bare_address(server, tmp_path, monkeypatch):
    there = inference_server(server, inferred([0.75, 0.25]))
    found = detect(there.url, PICTURE)
    assert (found.contract, found.calls) == ("oip-json", 1)
    assert found.scores["nsfw"] == 0.25
    assert any("mlserver 1.7.1" in said for said in found.said)
    assert "INPUT__0" in json.loads(body_of(posted(there)[0]))["inputs"][0]["name"]
    assert 'model = "cats"' in found.profile
    works(found, there.url, tmp_path, monkeypatch)


def test_labels_that_the_wire_does_not_hold_are_numbered_and_said(server, tmp_path, monkeypatch):
    there = inference_server(server, inferred([0.5, 0.25, 0.125, 0.125]))
    found = detect(there.url, PICTURE)
    assert (found.contract, found.calls) == ("oip-json", 1)
    assert dict(found.scores) == {
        "class 0": 0.5,
        "class 1": 0.25,
        "class 2": 0.125,
        "class 3": 0.125,
    }
    assert any("names are not in its answers" in said for said in found.said)
    works(found, there.url, tmp_path, monkeypatch)


def test_logits_become_shares(server, tmp_path, monkeypatch):
    there = inference_server(server, inferred([3.0, -1.0, 0.5]))
    found = detect(there.url, PICTURE)
    assert sum(found.scores.values()) == pytest.approx(1)
    assert max(found.scores, key=found.scores.get) == "class 0"
    assert any("softmax" in said for said in found.said)
    works(found, there.url, tmp_path, monkeypatch)


def openapi(path, kind, properties):
    schema = {"$ref": "#/components/schemas/Body"}
    return {
        "openapi": "3.1.0",
        "paths": {
            "/health": {"get": {}},
            path: {"post": {"requestBody": {"content": {kind: {"schema": schema}}}}},
        },
        "components": {"schemas": {"Body": {"properties": properties}}},
    }


def test_an_unknown_contract_is_guessed_by_its_openapi_document(server, tmp_path, monkeypatch):
    def answer(request):
        if b'name="upload_me"' not in request:
            return {"detail": "field required"}, "422 Unprocessable"
        return {"items": [{"tag": "cat", "p": 75.0}, {"tag": "dog", "p": 12.5}], "took": 3}

    document = openapi(
        "/tag", "multipart/form-data", {"upload_me": {"type": "string", "format": "binary"}}
    )
    there = server({"GET /openapi.json": document, "POST /tag": answer})
    found = detect(there.url, PICTURE)
    assert found.contract.startswith("guessed")
    assert dict(found.scores) == {"cat": 0.75, "dog": 0.125}
    assert any("percent" in said for said in found.said)
    assert found.calls == 1
    works(found, there.url, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "wants",
    [b'"image"', b'name="image"', b'name="file"', b"Content-Type: image/png"],
)
def test_the_usual_bodies_are_tried_at_an_unknown_path(server, tmp_path, monkeypatch, wants):
    def answer(request):
        fits = wants in request and (wants != b'"image"' or b"application/json" in request)
        return {"cat": 0.5} if fits else ({"error": "no"}, "400 Bad Request")

    there = server({"POST /my/model": answer})
    found = detect(there.url + "/my/model", PICTURE)
    assert dict(found.scores) == {"cat": 0.5}
    assert found.calls == len(posted(there)) <= 4
    works(found, there.url, tmp_path, monkeypatch)


def test_no_more_calls_than_allowed(server):
    there = server({})
    for most in (0, 1, 3):
        there.requests.clear()
        found = detect(there.url + "/my/model", PICTURE, most=most)
        assert found.contract is None
        assert found.calls == len(posted(there)) == most
        assert any("--max-calls" in said for said in found.said)


def test_a_wrong_key_at_a_known_path_is_found_and_said(server):
    path = "/hf-inference/models/some/model"
    there = server({f"POST {path}": ({"error": "Invalid token"}, "401 Unauthorized")})
    found = detect(there.url + path, PICTURE)
    assert (found.contract, found.scores, found.calls) == ("huggingface", None, 1)
    assert any("Invalid token" in said for said in found.said)
    assert any("HF_TOKEN" in said for said in found.said)
    assert grammar.parse(found.profile, "found").vars["model"] == "some/model"


def test_a_key_that_only_some_servers_want_is_named_where_it_is_wanted(server):
    path = "/v1/moderate/batch"
    there = server({f"POST {path}": ({"error": "no key"}, "401 Unauthorized")})
    found = detect(there.url + path, PICTURE)
    assert (found.contract, found.scores) == ("openmoderate", None)
    assert any("OPENMODERATE_API_KEY" in said for said in found.said)


@pytest.mark.parametrize("status", ["404 Not Found", "401 Unauthorized", "200 OK"])
def test_no_key_is_sent_to_find_out_and_none_is_shown(wild, reply, monkeypatch, status):
    def echo(server, connection, request):
        head = request.partition(b"\r\n\r\n")[0].decode("latin-1")
        connection.sendall(reply({"error": head}, status))

    there = wild(echo)
    monkeypatch.setenv(BASE, "http://127.0.0.1:9")  # nor does the environment lead elsewhere
    profiles = [catalogue.load(name) for name in catalogue.names()]
    secret = {one.name for p in profiles for one in Settings(p, {}).variables if one.secret}
    assert {"CLARIFAI_PAT", "OPENAI_API_KEY", "OPENMODERATE_API_KEY"} <= secret
    for name in secret:
        monkeypatch.setenv(name, KEY)
    paths = {Settings(p, {}).fill(path_of(p.request.url)) for p in profiles}
    shown = []
    for path in ("", *sorted(paths)):
        found = detect(there.url + path, PICTURE, most=40)
        shown += [repr(found)]
    assert len(posted(there)) >= len(paths)
    for request in there.requests:
        assert KEY.encode() not in request
        for basic in re.findall(rb"(?i)authorization: basic (\S+)", request):
            assert KEY.encode() not in b64decode(basic)
    assert any(NO_KEY.encode() in request for request in there.requests)
    assert not any(KEY in text or NO_KEY in text for text in shown)


def test_a_server_that_answers_everything_with_a_page_is_nothing(wild, reply):
    there = wild(lambda _, connection, request: connection.sendall(reply(b"<html>hello</html>")))
    found = detect(there.url, PICTURE, most=3)
    assert (found.contract, found.profile, found.calls) == (None, None, 3)
    assert all("html" in said for _, said in found.tried)


def test_redirects_are_not_followed(wild, reply):
    there = wild(lambda _, c, request: c.sendall(reply({"nsfw": 0.5})))
    away = reply(b"", "307 Moved", Location=f"{there.url}/")
    first = wild(lambda _, connection, request: connection.sendall(away))
    assert detect(first.url + "/x", PICTURE, most=2).contract is None
    assert there.requests == []


@pytest.mark.parametrize(
    "facts",
    [
        {"GET /v2": [1, 2]},
        {"GET /v2": {"name": 3, "version": None}},
        {"GET /v2": OIP, "POST /v2/repository/index": {"models": "x"}},
        {"GET /v2": OIP, "POST /v2/repository/index": [{"name": "a/../b"}, {"name": 3}, None]},
        {"GET /v1/models": {"data": 7, "models": [None, {"id": 1}]}},
        {"GET /openapi.json": {"paths": {"/x": None, "/y": {"post": 3}}}},
        {"GET /openapi.json": {"paths": {"/z": {"post": {"requestBody": {"content": [1]}}}}}},
        {"GET /openapi.json": openapi("/a", "application/json", {"$[": {"type": "string"}})},
        {"GET /openapi.json": openapi("/a", "application/json", {'"\n': {"type": "string"}})},
        {
            "GET /openapi.json": openapi(
                "/a\n/b ' \" {b64}", "multipart/form-data", {"'": {"format": "binary"}}
            )
        },
        {"GET /openapi.json": b"[" * 100_000},
    ],
)
def test_what_a_server_says_of_itself_is_not_trusted(server, facts):
    found = detect(server(facts).url, PICTURE, most=4)
    assert found.contract is None
    assert found.calls <= 4


def test_labels_that_break_files_and_terminals_are_kept_out_of_harm(server, tmp_path, monkeypatch):
    nasty = {'a"b': 0.5, "c'd\\": 0.25, "e\n[limits]\nx": 0.125, "\x1b[31m\x7f": 0.0625}
    there = server({"POST /my/model": {"out": [{"name": k, "score": v} for k, v in nasty.items()]}})
    found = detect(there.url + "/my/model", PICTURE)
    assert dict(found.scores) == nasty
    works(found, there.url, tmp_path, monkeypatch)


def test_odd_keys_on_the_way_to_the_scores_are_kept_out_of_harm(server, tmp_path, monkeypatch):
    there = server({"POST /my/model": {"o'u\"t\x7f\n": {"cat": 0.5, "dog": 0.25}}})
    found = detect(there.url + "/my/model", PICTURE)
    assert dict(found.scores) == {"cat": 0.5, "dog": 0.25}
    works(found, there.url, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["it's%20%22so%22", "caf%C3%A9"])
def test_odd_names_of_models_are_kept_out_of_harm(server, tmp_path, monkeypatch, name):
    there = server({f"POST /predictions/{name}": {"cat": 0.5}})
    found = detect(f"{there.url}/predictions/{name}", PICTURE)
    assert (found.contract, dict(found.scores)) == ("torchserve", {"cat": 0.5})
    works(found, there.url, tmp_path, monkeypatch)


def test_odd_names_of_fields_are_kept_out_of_harm(server, tmp_path, monkeypatch):
    field = {'it\'s "so"': {"type": "string", "format": "binary"}}
    there = server(
        {
            "GET /openapi.json": openapi("/tag", "multipart/form-data", field),
            "POST /tag": lambda request: {"cat": 0.5} if b"it's" in request else {},
        }
    )
    found = detect(there.url, PICTURE)
    assert (found.calls, dict(found.scores)) == (1, {"cat": 0.5})
    works(found, there.url, tmp_path, monkeypatch)


def test_paths_that_are_there_are_tried_before_those_that_are_not(server):
    answer = {"drawing": 0, "hentai": 0.25, "neutral": 0.5, "porn": 0.25, "sexy": 0}
    there = server(
        {
            "GET /classify-many": ({"detail": "Method Not Allowed"}, "405 Method Not Allowed"),
            "POST /classify-many": [answer],
        }
    )
    found = detect(there.url, PICTURE)
    assert (found.contract, found.calls) == ("nsfwpy", 1)
    hidden = server({"POST /classify-many": [answer]})
    assert detect(hidden.url, PICTURE, most=40).contract == "nsfwpy"


def test_the_same_request_is_not_sent_twice(server):
    document = openapi("/tag", "application/json", {"image": {"type": "string"}})
    there = server({"GET /openapi.json": document, "POST /tag": ({}, "400 Bad Request")})
    found = detect(f"{there.url}/tag", PICTURE)
    assert found.calls == len({body_of(request) for request in posted(there)}) == 4


def test_nobody_there(wild):
    there = wild(lambda *_: None)
    there.close()
    with pytest.raises(Unreachable):
        detect(there.url, PICTURE)
    with pytest.raises(UsageError):
        detect("ftp://example.org", PICTURE)


@pytest.mark.parametrize(
    ("answer", "pairs", "labels", "scores", "divide"),
    [
        ([{"label": "a", "score": 0.5}], "[].[label, score]", None, None, 1),
        ({"r": [{"x": 1, "class": "a", "p": 0.1}]}, "r[].[class, p]", None, None, 1),
        ({"a": 0.5, "b": 0.25}, None, "keys(@)", "values(@)", 1),
        ({"out put": {"a": 50, "b": 1}}, None, 'keys("out put")', 'values("out put")', 100),
        ([[0.5, 0.25]], None, ("class 0", "class 1"), "@[0]", 1),
        ({"data": [[{"n": "a", "v": 0.5}]]}, "data[0][].[n, v]", None, None, 1),
    ],
)
def test_labels_and_scores_are_found_in_an_answer(answer, pairs, labels, scores, divide):
    found = guess(answer)
    assert (found.pairs, found.labels, found.scores) == (pairs, labels, scores)
    assert found.divide == divide


@pytest.mark.parametrize("answer", [None, 3, "text", [], {}, [None], {"a": "b"}, {"a": [{}]}])
def test_nothing_is_found_where_nothing_is(answer):
    assert guess(answer) is None


def test_scores_is_what_is_found(mock):
    assert isinstance(detect(mock.url + "/classify-many", PICTURE).scores, Scores)
