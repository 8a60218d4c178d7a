"""Triton: encoded pictures as binary tensors, the server's own errors as JSON called text."""

from __future__ import annotations

import pytest

import probe
from probe import Prober
from probe.errors import Rejected
from probe.types import Codec

FLOAT32 = 1e-5
"""The same weights and pixels, in batches of eight."""


@pytest.fixture
def here(triton, monkeypatch):
    monkeypatch.setenv("TRITON_BASE", triton)


@pytest.mark.parametrize("codec", [Codec("png"), Codec("jpeg", 90)])
def test_the_map_is_that_of_the_network_in_this_process(here, same_map, codec):
    result = same_map("triton-binary", codec, FLOAT32)
    assert result.calls == 64
    assert result.requests < 15


def test_one_bad_picture_is_split_out_of_its_batch(here, one_bad_picture):
    one_bad_picture("triton-binary", FLOAT32)


def test_a_model_that_is_not_there_is_named(here, tmp_path, retina):
    nope = probe.service("triton-binary", model="nope")
    with pytest.raises(Rejected, match="unknown model: 'nope'"):
        Prober(nope, ledger=tmp_path / "ledger.db").probe(retina)


def test_the_command_line_takes_the_name(here, occlude):
    status, said = occlude("--api", "triton-binary", "--codec", "png")
    assert status == 0
    assert said["reference"]["nsfw"] == pytest.approx(0.655, abs=0.001)
