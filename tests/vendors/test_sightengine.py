"""The vendor's client reads JSON into a dict and raises nothing: the fields are what is held."""

from __future__ import annotations

import email.policy
from email.parser import BytesParser

import pytest


@pytest.fixture
def ask(need):
    client = need("sightengine.client").SightengineClient

    def check(url, picture, key="right"):
        asked = client("right", key).check("nudity-2.1")
        asked.endpoint = f"{url}/1.0/"
        return asked.set_bytes(picture)

    return check


def test_the_scores_are_the_planted_ones(ask, url, pictures):
    shown, clean = ask(url, pictures.planted), ask(url, pictures.blank)
    assert shown["status"] == clean["status"] == "success"
    assert shown["nudity"]["sexual_activity"] == pytest.approx(0.95)
    assert clean["nudity"]["sexual_activity"] == pytest.approx(0.05)
    assert clean["nudity"]["none"] == pytest.approx(0.95)


def test_a_wrong_key_and_a_bad_picture_are_failures_with_their_type(ask, url, pictures):
    refused, bad = ask(url, pictures.planted, key="wrong"), ask(url, pictures.junk)
    assert refused["status"] == bad["status"] == "failure"
    assert refused["error"]["type"] in ("argument_error", "credentials_error")
    assert bad["error"]["type"] == "media_error"


def parts(request):
    """name -> content of the fields of a multipart body."""
    head = b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in message.iter_parts()
    }


def test_the_profile_sends_what_the_client_sends(ask, captured, rendered, pictures):
    theirs = captured(lambda url: ask(url, pictures.planted), {"status": "success"})
    environ = {
        "SIGHTENGINE_API_USER": "right",
        "SIGHTENGINE_API_SECRET": "right",
        "SIGHTENGINE_BASE": "http://127.0.0.1",
    }
    ours = rendered("sightengine", environ, pictures.planted)
    assert ours.path == theirs.path
    assert parts(ours) == parts(theirs)
