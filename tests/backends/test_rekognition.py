from __future__ import annotations

import json
import pickle

import pytest
from botocore.stub import Stubber

from probe.backends import resolve
from probe.backends.connection import Connection
from probe.backends.rekognition import Rekognition
from probe.errors import (
    AuthError,
    BackendError,
    ProfileError,
    QuotaExhausted,
    Rejected,
    Unreachable,
    UsageError,
)
from probe.types import Codec, Failure, Scores

PNG = Codec("png")
SECRET = "aws-secret-0123456789"
ANSWER = {
    "ModerationLabels": [
        {
            "Confidence": 97.5,
            "Name": "Exposed Female Nipple",
            "ParentName": "Explicit Nudity",
            "TaxonomyLevel": 3,
        },
        {
            "Confidence": 90.0,
            "Name": "Explicit",
            "ParentName": "",
            "TaxonomyLevel": 1,
        },
        {
            "Confidence": 95.0,
            "Name": "Explicit",
            "ParentName": "",
            "TaxonomyLevel": 1,
        },
    ],
    "ModerationModelVersion": "7.0",
}
NUDE = "Non-Explicit Nudity of Intimate parts and Kissing"


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    """Nothing of the machine's own AWS settings."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def asked(sample, operation="moderation", answer=ANSWER):
    """What the operation makes of `answer`, which botocore checks against its model."""
    backend = Rekognition({"operation": operation})
    variant = sample(codec=PNG)
    parameters = {"Image": {"Bytes": variant.encode(PNG)}, "MinConfidence": 0.0}
    method = "detect_moderation_labels"
    if operation == "labels":
        method, parameters = "detect_labels", parameters | {"MaxLabels": 1000}
    with Stubber(backend._client().api) as stub:
        stub.add_response(method, answer, parameters)
        [outcome] = backend.score([variant], PNG)
    return backend, outcome


def test_moderation_labels_are_read_in_percent_and_nsfw_is_made_of_them(sample):
    backend, outcome = asked(sample)
    assert outcome["Explicit"] == 0.95
    assert outcome["Exposed Female Nipple"] == 0.975
    assert (outcome["nsfw"], outcome["sfw"]) == (0.95, pytest.approx(0.05))
    assert backend.reading.read(outcome.raw, *outcome.part) == outcome
    assert backend.limits.question == "nsfw"


def test_nudity_that_is_not_explicit_counts_half_and_absent_is_zero(sample):
    _, outcome = asked(sample, answer={"ModerationLabels": [{"Name": NUDE, "Confidence": 80.0}]})
    assert outcome["nsfw"] == pytest.approx(0.4)
    _, outcome = asked(sample, answer={"ModerationLabels": []})
    assert (outcome["nsfw"], outcome["sfw"]) == (0, 1)


def test_labels_are_another_operation_with_another_identity(sample):
    answer = {"Labels": [{"Name": "Dog", "Confidence": 99.0}], "LabelModelVersion": "3.0"}
    backend, outcome = asked(sample, "labels", answer)
    assert dict(outcome) == {"Dog": 0.99}
    assert backend.limits.question is None
    assert backend.identity != Rekognition().identity


def test_its_limits_are_those_of_the_developer_guide():
    limits = Rekognition().limits
    assert (limits.batch, limits.min_side, limits.max_side) == (1, 80, 10_000)
    assert (limits.max_bytes, limits.missing, limits.formats) == (5_242_880, 0, ("jpeg", "png"))
    assert limits.host == "rekognition.eu-west-1.amazonaws.com:443"
    assert limits.price.as_of


def test_the_identity_names_region_and_operation_and_no_key(monkeypatch):
    before = Rekognition().identity
    assert "eu-west-1" in before
    assert SECRET not in before
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    assert Rekognition().identity == before
    assert Rekognition({"region": "us-east-1"}).identity != before
    assert SECRET.encode() not in pickle.dumps(Rekognition())
    assert pickle.loads(pickle.dumps(Rekognition())).identity == before


@pytest.fixture
def amazon(wild, reply, monkeypatch):
    """A server at AWS_ENDPOINT_URL with one answer for everything."""

    def start(body, status="200 OK", **headers):
        headers = {"Content-Type": "application/x-amz-json-1.1", **headers}
        server = wild(lambda _, c, request: c.sendall(reply(body, status, **headers)))
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return server

    return start


def test_the_endpoint_of_the_environment_is_asked_once_and_signed(amazon, sample):
    server = amazon(ANSWER)
    [outcome] = resolve("rekognition").score([sample(codec=PNG)], PNG)
    assert outcome["nsfw"] == 0.95
    [request] = server.requests
    assert b"X-Amz-Target: RekognitionService.DetectModerationLabels" in request
    assert b"AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE" in request
    assert json.loads(request.partition(b"\r\n\r\n")[2])["MinConfidence"] == 0


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("400 Bad Request", "ThrottlingException", "throttled"),
        ("400 Bad Request", "ProvisionedThroughputExceededException", "throttled"),
        ("500 Error", "InternalServerError", "unavailable"),
        ("503 Busy", "ServiceUnavailableException", "unavailable"),
        ("400 Bad Request", "ImageTooLargeException", "refused"),
        ("400 Bad Request", "InvalidImageFormatException", "refused"),
        ("400 Bad Request", "InvalidParameterException", "refused"),
        ("400 Bad Request", "AccessDeniedException", AuthError),
        ("403 Forbidden", "InvalidSignatureException", AuthError),
        ("400 Bad Request", "UnrecognizedClientException", AuthError),
        ("400 Bad Request", "ServiceQuotaExceededException", QuotaExhausted),
        ("404 Not Found", "UnknownOperationException", Rejected),
    ],
)
def test_errors_are_told_apart_by_their_code_after_one_request(amazon, sample, status, code, kind):
    server = amazon({"__type": code, "message": f"no, {SECRET}"}, status)
    backend = Rekognition()
    if isinstance(kind, str):
        [outcome] = backend.score([sample(codec=PNG)], PNG)
        assert isinstance(outcome, Failure)
        assert outcome.kind == kind
        said = outcome.message
    else:
        with pytest.raises(kind) as error:
            backend.score([sample(codec=PNG)], PNG)
        said = str(error.value)
    assert code in said
    assert SECRET not in said
    assert len(server.requests) == 1


def test_no_whole_answer_is_lost_and_perhaps_billed(wild, monkeypatch, sample):
    def cut(server, connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
        connection.close()

    monkeypatch.setenv("AWS_ENDPOINT_URL", wild(cut).url)
    [outcome] = Rekognition().score([sample(codec=PNG)], PNG)
    assert (outcome.kind, outcome.billed) == ("lost", True)


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"ModerationLabels": 3}'])
def test_what_is_no_answer_is_no_score(amazon, sample, body):
    amazon(body)
    try:
        [outcome] = Rekognition().score([sample(codec=PNG)], PNG)
    except BackendError:
        return
    assert isinstance(outcome, Failure)


def test_nobody_there(wild, monkeypatch, sample):
    server = wild(lambda *_: None)
    server.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    with pytest.raises(Unreachable, match="127"):
        Rekognition(connection=Connection(timeout=2)).score([sample(codec=PNG)], PNG)


def test_a_changed_model_ends_the_run(amazon, wild, reply, monkeypatch, sample):
    versions = iter(["7.0", "7.0", "7.1"])

    def script(server, connection, request):
        connection.sendall(reply(ANSWER | {"ModerationModelVersion": next(versions)}))

    monkeypatch.setenv("AWS_ENDPOINT_URL", wild(script).url)
    backend = Rekognition()
    for _ in range(2):
        assert isinstance(backend.score([sample(codec=PNG)], PNG)[0], Scores)
    with pytest.raises(Rejected, match=r"7\.1"):
        backend.score([sample(codec=PNG)], PNG)


def test_settings_that_are_missing_are_named(monkeypatch, amazon, sample):
    server = amazon(ANSWER)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ProfileError, match="AWS_ACCESS_KEY_ID"):
        Rekognition().score([sample(codec=PNG)], PNG)
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(ProfileError, match="AWS_REGION"):
        _ = Rekognition().limits
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ProfileError, match="nobody"):
        _ = Rekognition().limits
    assert server.requests == []


def test_keys_are_not_sent_in_the_open(monkeypatch, sample):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://rekognition.invalid")
    with pytest.raises(UsageError, match="--allow-http"):
        Rekognition().score([sample(codec=PNG)], PNG)


@pytest.mark.parametrize(
    ("vars", "says"),
    [
        ({"operatoin": "labels"}, "Did you mean 'operation'"),
        ({"operation": "label"}, "Did you mean 'labels'"),
    ],
)
def test_mistyped_settings_get_the_nearest(vars, says):
    with pytest.raises(UsageError, match=says):
        Rekognition(vars)
