"""Requests as the vendors' clients make them: in chunks, and without a key where there is none."""

from __future__ import annotations

from base64 import b64encode

import pytest
import requests

from probe.image import encode
from probe.mock import serve
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec

PICTURE = encode(planted_picture(), Codec("png"))
VISION = "/vision/v3.2/analyze?visualFeatures=Adult&language=en&model-version=latest"
KEY = {"Ocp-Apim-Subscription-Key": "right"}


def test_an_upload_in_chunks_is_scored_like_one_of_known_length():
    with serve(Planted(), key="right") as running:
        for body in (PICTURE, iter([PICTURE[:100], PICTURE[100:]])):
            reply = requests.post(running.url + VISION, body, headers=KEY, timeout=20)
            assert reply.json()["adult"]["adultScore"] == pytest.approx(0.95)
        assert (running.requests, running.calls) == (2, 2)


def test_a_service_without_credentials_lets_everyone_in_whatever_the_key():
    body = {"instances": [{"b64": b64encode(PICTURE).decode()}]}
    with serve(Planted(), key="right") as running:
        reply = requests.post(f"{running.url}/v1/models/nsfw:predict", json=body, timeout=20)
        assert reply.json() == {"predictions": [pytest.approx([0.05, 0.95])]}
        refused = requests.post(running.url + VISION, PICTURE, timeout=20)
        assert refused.status_code == 401
