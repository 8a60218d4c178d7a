from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import requests

MODEL = {"user": "clarifai", "app": "main", "model": "nsfw-recognition"}


@pytest.fixture
def clarifai(need):
    channel, messages, codes, service, stub, reader = need(
        "clarifai_grpc.channel.clarifai_channel",
        "clarifai_grpc.grpc.api.resources_pb2",
        "clarifai_grpc.grpc.api.status.status_code_pb2",
        "clarifai_grpc.grpc.api.service_pb2",
        "clarifai_grpc.grpc.api.service_pb2_grpc",
        "google.protobuf.json_format",
    )
    return SimpleNamespace(
        channel=channel.ClarifaiChannel,
        messages=messages,
        codes=codes,
        service=service,
        stub=stub.V2Stub,
        json=reader,
    )


def ask(clarifai, url, *pictures, key="right"):
    channel = clarifai.channel.get_json_channel(base_url=url)
    messages, service = clarifai.messages, clarifai.service
    inputs = [
        messages.Input(id=f"i{n}", data=messages.Data(image=messages.Image(base64=picture)))
        for n, picture in enumerate(pictures)
    ]
    request = service.PostModelOutputsRequest(
        user_app_id=messages.UserAppIDSet(user_id=MODEL["user"], app_id=MODEL["app"]),
        model_id=MODEL["model"],
        inputs=inputs,
    )
    with channel.session:
        return clarifai.stub(channel).PostModelOutputs(
            request, metadata=(("authorization", f"Key {key}"),)
        )


def concepts(output):
    return {concept.name: concept.value for concept in output.data.concepts}


def test_the_scores_are_the_planted_ones_in_the_order_sent(clarifai, url, pictures):
    answer = ask(clarifai, url, pictures.planted, pictures.blank, pictures.planted)
    assert answer.status.code == clarifai.codes.SUCCESS
    assert [output.status.code for output in answer.outputs] == [clarifai.codes.SUCCESS] * 3
    assert [output.input.id for output in answer.outputs] == ["i0", "i1", "i2"]
    shown = [concepts(output) for output in answer.outputs]
    assert [one["nsfw"] for one in shown] == pytest.approx([0.95, 0.05, 0.95])
    assert [one["sfw"] for one in shown] == pytest.approx([0.05, 0.95, 0.05])


def test_a_bad_picture_fails_alone(clarifai, url, pictures):
    answer = ask(clarifai, url, pictures.planted, pictures.junk, pictures.blank)
    assert answer.status.code == clarifai.codes.MIXED_STATUS
    first, bad, last = answer.outputs
    assert bad.status.code not in (clarifai.codes.SUCCESS, clarifai.codes.ZERO)
    assert bad.status.code in clarifai.codes.StatusCode.values()
    assert not bad.data.concepts
    assert concepts(first)["nsfw"] == pytest.approx(0.95)
    assert concepts(last)["nsfw"] == pytest.approx(0.05)


def test_a_wrong_key_and_too_many_requests_have_their_codes(clarifai, url, throttled, pictures):
    refused = ask(clarifai, url, pictures.planted, key="wrong")
    assert refused.status.code in (
        clarifai.codes.CONN_KEY_INVALID,
        clarifai.codes.CONN_KEY_NOT_FOUND,
    )
    assert not refused.outputs
    assert ask(clarifai, throttled, pictures.planted).status.code == clarifai.codes.CONN_THROTTLED


def test_every_field_is_one_of_the_service(clarifai, url, rendered, pictures):
    """The channel drops fields that it does not know; the strict reader does not."""
    for key in ("right", "wrong"):
        environ = {"CLARIFAI_PAT": key, "CLARIFAI_API_BASE": url}
        ours = rendered("clarifai", environ, pictures.planted, pictures.junk)
        reply = requests.post(url + ours.path, data=ours.body, headers=ours.headers, timeout=30)
        message = clarifai.service.MultiOutputResponse()
        clarifai.json.ParseDict(reply.json(), message)
        assert message.status.code


def test_the_profile_sends_what_the_client_sends(clarifai, captured, rendered, pictures):
    images = [pictures.planted, pictures.blank]
    theirs = captured(lambda url: ask(clarifai, url, *images), {"status": {"code": 10000}})
    environ = {"CLARIFAI_PAT": "right", "CLARIFAI_API_BASE": "http://127.0.0.1"}
    ours = rendered("clarifai", environ, *images)
    assert ours.path == theirs.path
    expected = json.loads(theirs.body)
    owner = expected.pop("user_app_id")  # which the address names already
    assert owner == {"user_id": MODEL["user"], "app_id": MODEL["app"]}
    assert json.loads(ours.body) == expected
    for name in ("authorization", "content-type"):
        assert ours.headers[name] == theirs.headers[name]
