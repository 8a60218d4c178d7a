from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest


@pytest.fixture
def triton(need):
    http, utils, numpy = need("tritonclient.http", "tritonclient.utils", "numpy")
    return SimpleNamespace(http=http, error=utils.InferenceServerException, numpy=numpy)


def ask(triton, url, *pictures, model="nsfw", binary=False):
    client = triton.http.InferenceServerClient(urlsplit(url).netloc)
    try:
        tensor = triton.http.InferInput("image", [len(pictures), 1], "BYTES")
        rows = [[picture] for picture in pictures]
        tensor.set_data_from_numpy(triton.numpy.array(rows, dtype=object))
        wanted = [triton.http.InferRequestedOutput("probs", binary_data=binary)]
        return client.infer(model, [tensor], outputs=wanted)
    finally:
        client.close()


def test_the_scores_are_the_planted_ones_in_the_order_sent(triton, url, pictures):
    answer = ask(triton, url, pictures.planted, pictures.blank, pictures.planted)
    probs = answer.as_numpy("probs")
    assert probs.shape == (3, 2)
    assert probs[:, 1] == pytest.approx([0.95, 0.05, 0.95])
    assert probs.sum(axis=1) == pytest.approx([1, 1, 1])


def test_a_bad_picture_too_many_and_an_unknown_model_are_its_exception(triton, url, pictures):
    for images in ([pictures.planted, pictures.junk], [pictures.blank] * 9):
        with pytest.raises(triton.error):
            ask(triton, url, *images)


def test_too_many_requests_are_its_exception(triton, throttled, pictures):
    with pytest.raises(triton.error) as error:
        ask(triton, throttled, pictures.planted)
    assert error.value.status() in ("429", "503")


def test_the_profile_sends_what_the_client_sends(triton, captured, rendered, pictures):
    images = [pictures.planted, pictures.blank]
    theirs = captured(lambda url: ask(triton, url, *images), {"outputs": []})
    ours = rendered("triton-binary", {"TRITON_BASE": "http://127.0.0.1"}, *images)
    assert ours.path == theirs.path
    assert parts(ours) == parts(theirs)


def parts(request):
    """The header as JSON, and the tensor behind it."""
    import json

    headers = {name.lower(): value for name, value in request.headers.items()}
    length = int(headers["inference-header-content-length"])
    return json.loads(request.body[:length]), request.body[length:]
