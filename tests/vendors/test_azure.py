from __future__ import annotations

import json
from types import SimpleNamespace

import pytest


@pytest.fixture
def azure(need):
    safety, models, credentials, errors = need(
        "azure.ai.contentsafety",
        "azure.ai.contentsafety.models",
        "azure.core.credentials",
        "azure.core.exceptions",
    )
    return SimpleNamespace(
        client=safety.ContentSafetyClient,
        models=models,
        key=credentials.AzureKeyCredential,
        errors=errors,
    )


def ask(azure, url, picture, key="right"):
    options = azure.models.AnalyzeImageOptions(
        image=azure.models.ImageData(content=picture), output_type="FourSeverityLevels"
    )
    client = azure.client(url, azure.key(key), api_version="2024-09-01", retry_total=0)
    with client:
        return client.analyze_image(options)


def severities(answer):
    return {one.category: one.severity for one in answer.categories_analysis}


def test_the_severities_are_those_of_the_planted_scores(azure, url, pictures):
    shown = severities(ask(azure, url, pictures.planted))
    assert shown[azure.models.ImageCategory.SEXUAL] == 6
    assert severities(ask(azure, url, pictures.blank))[azure.models.ImageCategory.SEXUAL] == 0
    assert {azure.models.ImageCategory(category) for category in shown} == set(
        azure.models.ImageCategory
    )
    assert set(shown.values()) <= {0, 2, 4, 6}


def test_a_wrong_key_is_its_authentication_error(azure, url, pictures):
    with pytest.raises(azure.errors.ClientAuthenticationError):
        ask(azure, url, pictures.planted, key="wrong")


def test_too_many_requests_is_its_http_error_429(azure, throttled, pictures):
    with pytest.raises(azure.errors.HttpResponseError) as error:
        ask(azure, throttled, pictures.planted)
    assert error.value.status_code == 429
    assert error.value.error.code == "TooManyRequests"


@pytest.mark.parametrize("which", ["junk", "tiny"])
def test_a_bad_picture_is_its_http_error_with_a_code(azure, url, pictures, which):
    with pytest.raises(azure.errors.HttpResponseError) as error:
        ask(azure, url, getattr(pictures, which))
    assert error.value.status_code == 400
    assert error.value.error.code == "InvalidRequestBody"


def test_the_profile_sends_what_the_client_sends(azure, captured, rendered, pictures):
    theirs = captured(lambda url: ask(azure, url, pictures.planted), {"categoriesAnalysis": []})
    environ = {"CONTENT_SAFETY_ENDPOINT": "http://127.0.0.1", "CONTENT_SAFETY_KEY": "right"}
    ours = rendered("azure-content-safety", environ, pictures.planted)
    assert ours.path == theirs.path
    assert json.loads(ours.body) == json.loads(theirs.body)
    for name in ("ocp-apim-subscription-key", "content-type"):
        assert ours.headers[name] == theirs.headers[name]
