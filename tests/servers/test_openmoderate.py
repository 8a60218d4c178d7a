"""openmoderate: multipart batches, errors a picture, four digits, plain borders trimmed."""

from __future__ import annotations

import pytest

from probe.types import Codec

FOUR_DIGITS = 0.5e-4 + 1e-6
"""The server rounds its scores to four digits."""


PATH = "/v1/moderate/batch"


@pytest.mark.parametrize("codec", [Codec("png"), Codec("jpeg", 90)])
def test_the_map_is_that_of_the_network_in_this_process(keeping_borders, same_map, codec):
    result = same_map(keeping_borders + PATH, codec, FOUR_DIGITS)
    assert result.calls == 64
    assert result.requests < 12


def test_one_bad_picture_is_told_by_the_server_itself(keeping_borders, one_bad_picture):
    (hole,) = one_bad_picture(keeping_borders + PATH, FOUR_DIGITS).failures
    assert "Could not load image" in hole.outcome.message


def test_that_it_trims_plain_borders_is_found_out(keeping_borders, openmoderate, findings):
    assert findings(openmoderate + PATH)["borders"].said.startswith("plain borders are trimmed")
    assert findings(keeping_borders + PATH)["borders"].said == "plain borders are not trimmed"


def test_the_command_line_finds_the_contract_by_the_url_alone(openmoderate, occlude):
    status, said = occlude("--api", openmoderate + PATH, "--fill", "blur")
    assert status == 0
    assert said["label"] == "nsfw"
    assert said["failures"] == 0
