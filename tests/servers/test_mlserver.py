"""MLServer: the Open Inference Protocol with base64 in JSON, one bad picture spoils a batch."""

from __future__ import annotations

import pytest

from probe import Prober
from probe.errors import Rejected
from probe.types import Codec

FLOAT32 = 1e-6
"""The same weights and pixels: sums of a network in another order."""


@pytest.fixture
def url(mlserver):
    return f"{mlserver}/v2/models/nsfw/infer"


@pytest.mark.parametrize("codec", [Codec("png"), Codec("jpeg", 90)])
def test_the_map_is_that_of_the_network_in_this_process(url, same_map, codec):
    result = same_map(url, codec, FLOAT32)
    assert result.calls == 64
    assert result.requests < 12


def test_the_command_line_finds_the_contract_by_the_url_alone(url, occlude):
    status, said = occlude("--api", url, "--codec", "png")
    assert status == 0
    assert said["label"] == "nsfw"
    assert said["reference"]["nsfw"] == pytest.approx(0.655, abs=0.001)
    assert said["failures"] == 0
    status, again = occlude("--api", url, "--codec", "png")
    assert (status, again["calls"]) == (0, 0)


def test_one_bad_picture_is_split_out_of_its_batch(url, one_bad_picture):
    result = one_bad_picture(url, FLOAT32)
    assert result.requests > 4


def test_a_model_that_is_not_there_ends_after_one_request(url, tmp_path, retina):
    nope = Prober(url.replace("nsfw", "nope"), ledger=tmp_path / "ledger.db")
    with pytest.raises(Rejected, match="Model nope not found"):
        nope.probe(retina)


def test_the_command_line_names_a_model_that_is_not_there(url, occlude):
    status, said = occlude("--api", url.replace("nsfw", "nope"))
    assert status == 4
    assert "nope not found" in str(said["error"])


def test_a_server_that_is_down_is_named(occlude):
    status, said = occlude("--api", "http://127.0.0.1:9/v2/models/nsfw/infer")
    assert status == 4
    assert "127.0.0.1:9" in str(said["error"])


def test_what_it_does_to_pictures_is_found_out(url, retina, findings):
    found = findings(url)
    assert found["repeat"].verdict == "ok"
    assert found["order"].verdict == "ok"
    assert found["borders"].said == "plain borders are not trimmed"
    assert found["rim"].said.startswith("at least 6% of the picture on all four sides")
