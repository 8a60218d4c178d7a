from __future__ import annotations

import email
import json
import struct
import sys
from base64 import b64encode
from io import BytesIO
from urllib.parse import parse_qsl, urlsplit

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from probe.api import request
from probe.api.profile import catalogue, grammar
from probe.api.profile.settings import Settings
from probe.errors import MissingExtra, ProfileError

IMAGES = [b"\x89PNG one", b"\x89PNG two, longer"]
TEXTS = [b64encode(image).decode() for image in IMAGES]
KEY = "k3y/with+signs="


def rendered(profile, images=IMAGES[:1], mime="image/png", **environ):
    needed = {v.name: "http://127.0.0.1:9/" for v in Settings(profile, {}).variables if v.needed}
    keys = {v.name: KEY for v in Settings(profile, {}).variables if v.secret}
    return request.render(profile, Settings(profile, needed | keys | environ), images, mime)


def mine(text):
    return grammar.parse(f'name = "mine"\n{text}\n[response]\nresults = "@"\npairs = "@"', "m.toml")


LITERAL = {
    "clarifai": (
        "POST https://api.clarifai.com/v2/users/clarifai/apps/main/models/nsfw-recognition/outputs",
        {
            "inputs": [
                {"id": "i0", "data": {"image": {"base64": TEXTS[0]}}},
                {"id": "i1", "data": {"image": {"base64": TEXTS[1]}}},
            ]
        },
    ),
    "google-safesearch": (
        "POST https://vision.googleapis.com/v1/images:annotate",
        {
            "requests": [
                {"image": {"content": text}, "features": [{"type": "SAFE_SEARCH_DETECTION"}]}
                for text in TEXTS
            ]
        },
    ),
    "google-labels": (
        "POST https://vision.googleapis.com/v1/images:annotate",
        {
            "requests": [
                {
                    "image": {"content": text},
                    "features": [{"type": "LABEL_DETECTION", "maxResults": 50}],
                }
                for text in TEXTS
            ]
        },
    ),
    "azure-content-safety": (
        "POST http://127.0.0.1:9/contentsafety/image:analyze?api-version=2024-09-01",
        {"image": {"content": TEXTS[0]}, "outputType": "FourSeverityLevels"},
    ),
    "openai-moderation": (
        "POST https://api.openai.com/v1/moderations",
        {
            "model": "omni-moderation-latest",
            "input": [
                {
                    "type": "image_url",
                    "image_url": {"url": f"data:image/png;base64,{TEXTS[0]}"},
                }
            ],
        },
    ),
    "roboflow": (
        "POST http://127.0.0.1:9001/infer/classification",
        {
            "api_key": KEY,
            "model_id": "nsfw/1",
            "image": [{"type": "base64", "value": text} for text in TEXTS],
        },
    ),
    "oip-json": (
        "POST http://127.0.0.1:8080/v2/models/nsfw/infer",
        {
            "inputs": [
                {
                    "name": "image",
                    "shape": [2, 1],
                    "datatype": "BYTES",
                    "parameters": {"content_type": "base64"},
                    "data": TEXTS,
                }
            ]
        },
    ),
    "tfserving": (
        "POST http://127.0.0.1:8501/v1/models/nsfw:predict",
        {"instances": [{"b64": text} for text in TEXTS]},
    ),
    "tfserving-classify": (
        "POST http://127.0.0.1:8501/v1/models/nsfw:classify",
        {"examples": [{"image": {"b64": text}} for text in TEXTS]},
    ),
    "kserve-v1": (
        "POST http://127.0.0.1:8080/v1/models/nsfw:predict",
        {"instances": [{"image": {"b64": text}} for text in TEXTS]},
    ),
}


@pytest.mark.parametrize("service", sorted(LITERAL))
def test_a_json_body_is_what_the_service_documents(service):
    line, body = LITERAL[service]
    profile = catalogue.load(service)
    asked = rendered(profile, IMAGES[: min(2, profile.limits.batch)])
    assert f"{asked.method} {asked.url}" == line
    assert json.loads(asked.body) == body
    assert asked.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("service", "header", "value"),
    [
        ("clarifai", "Authorization", f"Key {KEY}"),
        ("google-safesearch", "X-Goog-Api-Key", KEY),
        ("azure-content-safety", "Ocp-Apim-Subscription-Key", KEY),
        ("openai-moderation", "Authorization", f"Bearer {KEY}"),
        ("hive", "Authorization", f"Token {KEY}"),
        ("deepai", "api-key", KEY),
        ("huggingface", "Content-Type", "image/png"),
        ("azure-vision-adult", "Content-Type", "application/octet-stream"),
        ("imagga-nsfw", "Authorization", "Basic " + b64encode(f"{KEY}:{KEY}".encode()).decode()),
    ],
)
def test_a_key_goes_where_the_service_looks_for_it(service, header, value):
    assert rendered(catalogue.load(service)).headers[header] == value


def test_every_profile_renders_as_many_pictures_as_it_says():
    for name in catalogue.names():
        profile = catalogue.load(name)
        images = [b"picture number %d" % i for i in range(profile.limits.batch)]
        asked = rendered(profile, images)
        assert urlsplit(asked.url).scheme in ("http", "https")
        assert "{" not in asked.url + "".join(asked.headers.values())
        assert b"${" not in asked.body
        assert asked == rendered(profile, images)
        for image in images:
            assert image in asked.body or b64encode(image) in asked.body


def parts_of(asked):
    head = f"Content-Type: {asked.headers['Content-Type']}\n\n".encode()
    message = email.message_from_bytes(head + asked.body)
    assert not message.defects
    return [
        (part.get_param("name", header="content-disposition"), part.get_filename(), part)
        for part in message.get_payload()
    ]


def test_a_multipart_body_repeats_the_part_and_numbers_its_files():
    asked = rendered(catalogue.load("clarifai-v1"), IMAGES, "image/jpeg")
    parts = parts_of(asked)
    assert [part[:2] for part in parts] == [
        ("op", None),
        ("model", None),
        ("encoded_data", "0.jpg"),
        ("encoded_data", "1.jpg"),
    ]
    assert [part[2].get_payload(decode=True) for part in parts[2:]] == IMAGES
    assert parts[2][2].get_content_type() == "image/jpeg"
    assert parts[1][2].get_payload() == "nsfw-v1.0"


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
def test_no_picture_breaks_out_of_its_part(images):
    images = [b"\r\n--" + image + b"\r\n--" for image in images]
    asked = rendered(catalogue.load("openmoderate"), images)
    boundary = asked.headers["Content-Type"].partition("boundary=")[2].encode()
    assert asked.body.count(boundary) == len(images) + 1
    assert all(image in asked.body for image in images)


def test_a_boundary_of_one_request_is_not_that_of_another():
    profile = catalogue.load("openmoderate")
    boundary = rendered(profile).headers["Content-Type"].partition("boundary=")[2]
    mean = b"--" + boundary.encode() + b"\r\n\r\nsecond part"
    parts = parts_of(rendered(profile, [mean]))
    assert [part[2].get_payload(decode=True) for part in parts] == [mean]


def test_the_binary_tensor_extension():
    asked = rendered(catalogue.load("triton-binary"), IMAGES)
    length = int(asked.headers["Inference-Header-Content-Length"])
    blob = b"".join(struct.pack("<I", len(image)) + image for image in IMAGES)
    assert asked.body[length:] == blob
    head = json.loads(asked.body[:length])
    assert head["inputs"][0]["shape"] == [2, 1]
    assert head["inputs"][0]["parameters"] == {"binary_data_size": len(blob)}
    assert asked.headers["Content-Type"] == "application/octet-stream"


def test_messagepack_holds_a_list_of_pictures():
    asked = rendered(catalogue.load("nudenet-fastdeploy"), IMAGES)
    assert msgpack.unpackb(asked.body) == IMAGES
    assert asked.url.endswith("/infer?input_type=msgpack")


def test_messagepack_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(MissingExtra, match=r"image-api-probe\[msgpack\]"):
        rendered(catalogue.load("nudenet-fastdeploy"))


def test_raw_and_base64_bodies_are_the_picture_itself():
    assert rendered(catalogue.load("torchserve")).body == IMAGES[0]
    hosted = rendered(catalogue.load("roboflow-hosted"))
    assert hosted.body.decode() == TEXTS[0]
    assert hosted.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert dict(parse_qsl(urlsplit(hosted.url).query)) == {"api_key": KEY}


def test_a_form_holds_the_picture_in_a_field():
    profile = mine("""
[vars]
lang = "a&b"
[request]
method = "POST"
url = "http://127.0.0.1"
body = "form"
fields = { image_base64 = "{b64}", lang = "{lang}", kind = "{mime}" }
""")
    asked = rendered(profile)
    assert dict(parse_qsl(asked.body.decode())) == {
        "image_base64": TEXTS[0],
        "lang": "a&b",
        "kind": "image/png",
    }


def test_pixels_are_nested_lists_of_numbers():
    profile = mine("""
[request]
method = "PUT"
url = "http://127.0.0.1"
body = "json"
template = '{"instances": "$items", "n": "$n"}'
item = '"$pixels"'
[limits]
max_batch = 2
""")
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "png")
    asked = rendered(profile, [file.getvalue()] * 2)
    assert asked.method == "PUT"
    assert json.loads(asked.body) == {"instances": [pixels.tolist()] * 2, "n": 2}


JSON_ONE = """
[vars]
model = "m"
[request]
method = "POST"
url = "http://127.0.0.1/{model}"
headers = { A = "${MINE_KEY:-}", B = "{model}" }
body = "json"
template = '{"i": "{b64}", "m": "{model}", "k": "x ${MINE_KEY:-none} {unknown}", "{model}": 1}'
"""


def test_values_are_put_in_once_and_cannot_leave_their_text():
    profile = mine(JSON_ONE)
    asked = rendered(profile, MINE_KEY='", "evil": "{model} ${HOME}')
    body = json.loads(asked.body)
    assert body.keys() == {"i", "m", "k", "{model}"}
    assert body["k"] == 'x ", "evil": "{model} ${HOME} {unknown}'


def test_a_header_that_comes_out_empty_is_not_sent():
    profile = mine(JSON_ONE)
    assert "A" not in rendered(profile, MINE_KEY="").headers
    assert rendered(profile, MINE_KEY="x").headers["A"] == "x"


def test_a_header_of_the_profile_stands_for_the_usual_one_however_it_is_spelt():
    profile = mine("""
[request]
method = "POST"
url = "http://127.0.0.1"
headers = { content-type = "image/x-special" }
body = "raw"
""")
    assert rendered(profile).headers == {"content-type": "image/x-special"}


def test_too_many_pictures_for_a_body_are_refused():
    for name in ("openai-moderation", "torchserve", "roboflow-hosted"):
        with pytest.raises(ProfileError, match="holds 1 picture, not 2"):
            rendered(catalogue.load(name), IMAGES)


def test_a_request_shows_no_key():
    asked = rendered(catalogue.load("api4ai"))
    assert KEY not in repr(asked)
    assert "k3y" in asked.url


# identity


def identity(profile, **environ):
    return request.identity(profile, Settings(profile, environ))


def test_an_identity_says_who_where_and_how():
    said = identity(catalogue.load("clarifai", {"model": "moderation-recognition"}))
    assert said.startswith("clarifai https://api.clarifai.com/v2/users/clarifai/apps/main/models/m")
    assert said.count(" ") == 2


def test_an_identity_needs_no_key_and_does_not_change_with_it():
    profile = mine(JSON_ONE)
    assert identity(profile) == identity(profile, MINE_KEY=KEY)
    assert identity(catalogue.load("sightengine"))


def test_what_is_asked_changes_an_identity_and_how_it_is_read_does_not():
    base = identity(mine(JSON_ONE))
    assert base != identity(mine(JSON_ONE.replace('model = "m"', 'model = "n"')))
    assert identity(catalogue.load("roboflow", {"model_id": "cats/2"})) != identity(
        catalogue.load("roboflow")
    )
    assert base != identity(mine(JSON_ONE.replace("127.0.0.1", "127.0.0.2")))
    assert base != identity(mine(JSON_ONE.replace('"x ', '"y ')))
    assert base != identity(mine(JSON_ONE.replace('B = "', 'B = "b')))
    assert base == identity(mine(f"{JSON_ONE}\nok_status = [200, 207]"))
    assert base == identity(mine(f"{JSON_ONE}\n[limits]\nconcurrency = 3\n[scores]\ndivide = 2"))
    reordered = JSON_ONE.replace('A = "${MINE_KEY:-}", B = "{model}"', 'B = "{model}", A = "${MINE_KEY:-}"')  # fmt: skip  # noqa: E501
    assert base == identity(mine(reordered.replace('{"i": "{b64}", ', '{ "i":"{b64}",')))


def test_another_address_is_another_service():
    profile = catalogue.load("openai-moderation")
    there = identity(profile, OPENAI_BASE_URL="http://127.0.0.1:8000/v1/")
    assert there.split()[1] == "http://127.0.0.1:8000/v1/moderations"
    assert there != identity(profile)
