"""LitServe: a contract of one's own, in a profile of one's own; requests are batched there."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from probe import Prober
from probe.errors import BackendError
from probe.types import Codec
from tests.servers.running import free_port, litserve

FLOAT32 = 1e-5
"""The same weights and pixels, in batches of whatever came in together."""

PROFILE = Path(__file__).parent / "litserve/profile.toml"


@pytest.fixture
def profile(litserve, monkeypatch):
    monkeypatch.setenv("LITSERVE_BASE", litserve)
    return PROFILE


@pytest.mark.parametrize("codec", [Codec("png"), Codec("jpeg", 90)])
def test_the_map_is_that_of_the_network_in_this_process(profile, same_map, codec):
    result = same_map(str(profile), codec, FLOAT32)
    assert (result.calls, result.requests) == (64, 64)


def test_the_command_line_takes_the_profile(profile, occlude):
    status, said = occlude("--api", profile, "--codec", "png")
    assert status == 0
    assert said["label"] == "nsfw"
    assert said["reference"]["nsfw"] == pytest.approx(0.655, abs=0.001)


def test_a_bad_picture_also_fails_those_batched_with_it_which_are_sent_again(
    profile, one_bad_picture
):
    one_bad_picture(str(profile), FLOAT32)


def test_a_server_that_dies_in_the_middle_costs_no_answer_once_it_is_back(
    installed, retina, tmp_path, monkeypatch
):
    port = free_port()
    monkeypatch.setenv("LITSERVE_BASE", f"http://127.0.0.1:{port}")
    prober = Prober(str(PROFILE), ledger=tmp_path / "ledger.db")
    with ExitStack() as alive:
        alive.enter_context(litserve(installed("litserve"), tmp_path, port))

        def probe():
            for result in prober.stream(retina):
                if len(result.answers) >= 20:
                    alive.close()

        with pytest.raises(BackendError) as stopped:
            probe()
    known = len(stopped.value.partial.answers) - len(stopped.value.partial.failures)
    assert 20 <= known < 64
    with litserve(installed("litserve"), tmp_path, port):
        result = prober.probe(retina)
    assert not result.failures
    assert result.calls == 64 - known
