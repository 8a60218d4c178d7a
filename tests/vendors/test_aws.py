from __future__ import annotations

import json

import pytest


@pytest.fixture
def rekognition(need):
    boto3, config = need("boto3", "botocore.config")

    def connect(url):
        return boto3.client(
            "rekognition",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="right",
            aws_secret_access_key="secret",
            config=config.Config(retries={"total_max_attempts": 1}),
        )

    return connect


def moderation(answer):
    return {label["Name"]: label["Confidence"] for label in answer["ModerationLabels"]}


def test_the_confidences_are_the_planted_scores_in_percent(rekognition, url, pictures):
    client = rekognition(url)
    shown = client.detect_moderation_labels(Image={"Bytes": pictures.planted}, MinConfidence=0.0)
    assert moderation(shown)["Explicit"] == pytest.approx(95)
    clean = client.detect_moderation_labels(Image={"Bytes": pictures.blank}, MinConfidence=0.0)
    assert moderation(clean)["Explicit"] == pytest.approx(5)


def test_labels_below_the_floor_are_left_out(rekognition, url, pictures):
    client = rekognition(url)
    assert moderation(client.detect_moderation_labels(Image={"Bytes": pictures.planted}))
    assert not moderation(client.detect_moderation_labels(Image={"Bytes": pictures.blank}))


def test_labels_of_the_other_operation(rekognition, url, pictures):
    answer = rekognition(url).detect_labels(Image={"Bytes": pictures.planted}, MinConfidence=0.0)
    assert {"nsfw", "sfw"} <= {label["Name"] for label in answer["Labels"]}


@pytest.mark.parametrize("operation", ["DetectModerationLabels", "DetectLabels"])
def test_the_answers_are_of_the_service_model(rekognition, url, pictures, operation):
    """botocore drops what it does not know and takes any type; its validator does not."""
    from botocore import xform_name
    from botocore.validate import validate_parameters

    client, raw = rekognition(url), []
    client.meta.events.register(
        "before-parse", lambda response_dict, **_: raw.append(response_dict)
    )
    getattr(client, xform_name(operation))(Image={"Bytes": pictures.planted}, MinConfidence=0.0)
    body = json.loads(raw[0]["body"])
    shape = client.meta.service_model.operation_model(operation).output_shape
    assert set(body) <= set(shape.members)
    validate_parameters(body, shape)


def test_throttling_is_its_exception_of_status_400(rekognition, throttled, pictures):
    client = rekognition(throttled)
    kinds = (
        client.exceptions.ThrottlingException,
        client.exceptions.ProvisionedThroughputExceededException,
    )
    with pytest.raises(kinds) as error:
        client.detect_moderation_labels(Image={"Bytes": pictures.planted})
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    ("which", "kind"),
    [("junk", "InvalidImageFormatException"), ("tiny", "InvalidParameterException")],
)
def test_a_bad_picture_is_its_exception(rekognition, url, pictures, which, kind):
    client = rekognition(url)
    with pytest.raises(getattr(client.exceptions, kind)):
        client.detect_moderation_labels(Image={"Bytes": getattr(pictures, which)})
