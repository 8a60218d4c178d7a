"""What is known of a service without asking it."""

from __future__ import annotations

import pytest

from probe.cli.tables import page, record_of
from probe.errors import UsageError
from probe.providers.known import details

ALL = {"AWS_ENDPOINT_URL": "http://127.0.0.1:8124"}
OWN = {"AWS_ENDPOINT_URL_REKOGNITION": "http://127.0.0.1:9000"}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "the region's endpoint of AWS, over https"),
        (ALL, "http://127.0.0.1:8124"),
        (OWN, "http://127.0.0.1:9000"),
        (ALL | OWN, "http://127.0.0.1:9000"),
        (
            ALL | OWN | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "the region's endpoint of AWS, over https",
        ),
    ],
)
def test_rekognition_is_shown_where_it_is(environ, url):
    about = details("rekognition", environ=environ)
    assert about.url == url
    listed = {one.name: one.set for one in about.provider.variables}
    for name in (*ALL, *OWN):
        assert listed[name] is (name in environ)


def test_boto_goes_where_it_is_shown_to_go(monkeypatch):
    pytest.importorskip("boto3")
    from probe.backends.rekognition import Rekognition

    environ = ALL | OWN | {"AWS_REGION": "us-east-1", "AWS_CONFIG_FILE": "/nowhere"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        monkeypatch.delenv(name, raising=False)
    assert f" {details('rekognition').url} " in Rekognition().identity
    monkeypatch.delenv(*OWN)
    assert f" {details('rekognition').url} " in Rekognition().identity


def test_the_settings_of_a_service_are_shown():
    about = details("rekognition", {"operation": "labels"}, {})
    assert "settings  operation=labels, region= (--set KEY=VALUE)" in list(page(about))
    assert record_of(about)["settings"] == {"operation": "labels", "region": ""}
    with pytest.raises(UsageError, match="Did you mean 'operation'"):
        details("rekognition", {"operatoin": "labels"}, {})
    assert any("model=nsfw-recognition" in line for line in page(details("clarifai")))


def test_a_key_in_the_endpoints_url_is_not_shown():
    with pytest.raises(UsageError) as caught:
        details("rekognition", environ={"AWS_ENDPOINT_URL": "http://me:hunter2@a.example"})
    assert "hunter2" not in str(caught.value)
