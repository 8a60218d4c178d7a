"""LitServe: a contract of one's own, in a profile of one's own; requests are batched there."""

from __future__ import annotations

import pytest

from probe.types import Codec

FLOAT32 = 1e-5
"""The same weights and pixels, in batches of whatever came in together."""

PROFILE = """
name = "my-litserve"
[request]
method = "POST"
url = "${LITSERVE_BASE:-http://127.0.0.1:8000}/predict"
body = "json"
template = '{"image": "{b64}"}'
[response]
results = "[@]"
labels = "keys(scores)"
scores = "values(scores)"
error = "detail"
[nsfw]
labels = ["nsfw"]
[sfw]
labels = ["sfw"]
[limits]
max_batch = 1
concurrency = 4
[retry]
statuses = [500, 503, 504]
base = 0.01
"""


@pytest.fixture
def profile(litserve, tmp_path, monkeypatch):
    monkeypatch.setenv("LITSERVE_BASE", litserve)
    path = tmp_path / "my-litserve.toml"
    path.write_text(PROFILE)
    return path


@pytest.mark.parametrize("codec", [Codec("png"), Codec("jpeg", 90)])
def test_the_map_is_that_of_the_network_in_this_process(profile, same_map, codec):
    result = same_map(str(profile), codec, FLOAT32)
    assert (result.calls, result.requests) == (64, 64)


def test_the_command_line_takes_the_profile(profile, occlude):
    status, said = occlude("--api", profile)
    assert status == 0
    assert said["label"] == "nsfw"
    assert said["reference"]["nsfw"] == pytest.approx(0.655, abs=0.01)


def test_a_bad_picture_also_fails_those_batched_with_it_which_are_sent_again(
    profile, one_bad_picture
):
    one_bad_picture(str(profile), FLOAT32)
