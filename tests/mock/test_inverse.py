"""Requests are read back into the pictures that they were made of."""

from __future__ import annotations

import json
import struct
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.api.profile import grammar
from probe.mock import Faults, services
from probe.mock.faults import Dice
from probe.mock.inverse import reader
from probe.mock.message import Asked, Refusal
from probe.mock.multipart import Part, parts
from probe.mock.router import Router
from probe.mock.scorer import Scorer
from tests.mock.spoken import AMAZON, PROFILES, asked, backend, profile_of

PICTURES = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=8)

FORM = """
name = "by-form"
[request]
method = "POST"
url = "http://127.0.0.1:8000/tag"
body = "form"
fields = { image = "{b64}", mode = "plain" }
[response]
results = "[@]"
pairs = "[].[label, score]"
[limits]
max_batch = 1
"""


@pytest.mark.parametrize("name", [*PROFILES, *AMAZON])
@settings(max_examples=40)
@given(images=PICTURES)
def test_what_is_read_is_what_was_sent_in_its_order(name, images):
    images = images[: profile_of(name).limits.batch]
    sent = services.load()[name].read(asked(name, images, mime="image/png"))
    assert [one.data for one in sent] == images


@given(image=st.binary(min_size=1, max_size=200))
def test_pictures_in_form_fields_are_read_too(image):
    profile = grammar.parse(FORM, "form.toml")
    request = asked("by-form", [image], profile=profile)
    assert [one.data for one in reader(profile.request)(request)] == [image]


@settings(max_examples=40)
@given(
    body=st.binary(max_size=300), kind=st.sampled_from(["application/json", "image/png", "", "x"])
)
@pytest.mark.parametrize("name", [*PROFILES, *AMAZON, "probe"])
def test_any_body_is_read_refused_or_left_alone(name, body, kind):
    service = services.load()[name]
    headers = {"content-type": kind, "inference-header-content-length": "9"}
    for data in (body, b"{" + body, b"[" + body + b"]"):
        try:
            sent = service.read(Asked("POST", "/", headers, data))
        except Refusal:
            continue
        assert sent is None or all(one.data is not None or one.why for one in sent)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "requests", "data", "image", "base64", "content", "input"]),
            inner,
            max_size=3,
        )
    ),
)


@settings(max_examples=25)
@given(document=JSON)
@pytest.mark.parametrize("name", ["clarifai", "google-safesearch", "openai-moderation", "oip-json"])
def test_any_json_is_read_refused_or_left_alone(name, document):
    body = json.dumps(document).encode()
    sent = services.load()[name].read(Asked("POST", "/", {}, body))
    assert sent is None or all(one.data is not None or one.why for one in sent)


def read(name, document):
    body = json.dumps(document).encode()
    return services.load()[name].read(
        Asked("POST", "/", {"content-type": "application/json"}, body)
    )


@pytest.mark.parametrize(
    "encoded", [b64encode(b"\xfb\xff\xfe"), urlsafe_b64encode(b"\xfb\xff\xfe")]
)
def test_both_alphabets_of_base64_and_data_urls_are_taken(encoded):
    text = encoded.decode()
    for content in (text, f"data:image/png;base64,{text}"):
        (sent,) = read("azure-content-safety", {"image": {"content": content}})
        assert sent.data == b"\xfb\xff\xfe"


def test_a_picture_by_its_url_and_one_that_is_no_base64_say_so():
    inputs = [{"data": {"image": {"url": "https://example.org/x.png"}}},
              {"data": {"image": {"base64": "!!"}}}]  # fmt: skip
    by_url, broken = read("clarifai", {"inputs": inputs})
    assert (by_url.data, broken.data) == (None, None)
    assert "URL" in by_url.why
    assert broken.why == "not base64"
    (by_url,) = read("openai-moderation", {"input": [{"image_url": {"url": "https://e.org/x"}}]})
    assert "URL" in by_url.why


def test_services_at_one_path_are_told_apart_by_their_requests():
    items = {"tfserving": {"b64": "YQ=="}, "kserve-v1": {"image": {"b64": "YQ=="}}}
    for own in items:
        for name, item in items.items():
            sent = read(own, {"instances": [item]})
            assert (sent is not None) == (own == name)


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_binary_tensor_cut_short_is_refused(cut):
    blob = struct.pack("<I", 4) + b"abcd"
    head = json.dumps(
        {"inputs": [{"datatype": "BYTES", "parameters": {"binary_data_size": 8 - cut}}]}
    )
    headers = {"inference-header-content-length": str(len(head))}
    with pytest.raises(Refusal):
        services.load()["triton-binary"].read(
            Asked("POST", "/", headers, head.encode() + blob[:-cut])
        )


def test_a_binary_tensor_of_another_size_than_stated_is_refused():
    blob = struct.pack("<I", 4) + b"abcd"
    for datatype, size in (("BYTES", 7), ("BYTES", 16), ("FP32", 8)):
        tensor = {"datatype": datatype, "parameters": {"binary_data_size": size}}
        head = json.dumps({"inputs": [tensor]}).encode()
        headers = {"inference-header-content-length": str(len(head))}
        with pytest.raises(Refusal):
            services.load()["triton-binary"].read(Asked("POST", "/", headers, head + blob))


def test_parts_have_names_and_file_names_however_they_are_quoted():
    body = (
        b'--b\r\nContent-Disposition: form-data; name="a \\"q\\""; filename="x;y.png"\r\n\r\n'
        b"1\r\n2\r\n"
        b"--b\r\ncontent-disposition: form-data; filename=z; name=plain\r\n\r\n-- no mark\r\n"
        b"--b--\r\nafterwards"
    )
    assert parts(body, "multipart/form-data; boundary=b") == [
        Part('a "q"', b"1\r\n2", "x;y.png"),
        Part("plain", b"-- no mark", "z"),
    ]
    assert parts(body[:-20], "multipart/form-data; boundary=b") is None
    assert parts(body, "multipart/form-data") is None
    assert parts(body, "text/plain") is None


KEYS = ["inputs", "requests", "data", "image", "base64", "content", "input", "instances", "b64"]
KEYS += ["messages", "image_url", "url", "features", "type", "model", "Image", "Bytes", "images"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.sampled_from(["", "x", "YWJj", "http://e.org/x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
)


@settings(max_examples=25)
@given(document=ANYTHING)
@pytest.mark.parametrize("name", [*PROFILES, *AMAZON, "probe"])
def test_any_json_in_place_of_a_request_gets_an_answer(name, document, answered):
    made = asked(name, [b"x"])
    said = answered(Asked("POST", made.target, made.headers, json.dumps(document).encode()))
    assert said.status >= 200
    assert said.body


@pytest.fixture(scope="module")
def answered():
    """What a router that asks for a key, and one that asks for none, say; the latter's."""
    routers = [
        Router(
            Scorer(backend()), Dice(Faults()), key=key, clock=float, pause=lambda s: None, rates=()
        )
        for key in ("k", None)
    ]
    return lambda asked: [router.post(asked) for router in routers][-1]
