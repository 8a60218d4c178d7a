"""Services in bad weather: the map is the one of a fine day, and every call is accounted for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from probe import Prober
from probe.api.transport.pace import Pace
from probe.backends import resolve
from probe.errors import BackendError, QuotaExhausted
from probe.mock import Faults, environment, serve
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec, Scores

SERVICES = ("clarifai", "google-safesearch", "openai-moderation", "huggingface", "openmoderate")
PAID = ("reset", "cut", "truncated", "html", "partial", "item", "missing", "nan")
"""Faults of a request that was scored and paid for."""
PNG = Codec("png")
PICTURE = planted_picture()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Back-off is tested where the pace is."""
    monkeypatch.setitem(Pace.__init__.__kwdefaults__, "uniform", lambda: 0.0)


@pytest.fixture
def server():
    with serve(Planted(), rates=()) as running:
        yield running


def prober(name, server, monkeypatch, ledger):
    if name == "probe/1":
        return Prober(server.url, codec=PNG, ledger=ledger)
    for variable, value in environment(server.url, "any", name).items():
        monkeypatch.setenv(variable, value)
    return Prober(resolve(name), codec=PNG, ledger=ledger)


def insisting(probe):
    """A page instead of the very first answer ends a run, so the command is repeated."""
    for _ in range(6):
        try:
            return probe()
        except BackendError:
            continue
    raise AssertionError("six times in a row")


def same(one, other):
    return np.array_equal(one.values, other.values, equal_nan=True) and np.array_equal(
        one.stderr, other.stderr, equal_nan=True
    )


@pytest.mark.parametrize("name", [*SERVICES, "probe/1"])
def test_a_fifth_of_all_requests_fails_and_the_map_is_that_of_a_fine_day(
    name, server, monkeypatch, tmp_path
):
    fine = prober(name, server, monkeypatch, tmp_path / "fine.db").probe(PICTURE)
    met: Counter[str] = Counter()
    for seed in range(4):
        server.weather(Faults.parse("all=0.2,wait=0", seed))
        someone = prober(name, server, monkeypatch, tmp_path / f"{seed}.db")
        result = insisting(lambda someone=someone: someone.probe(PICTURE))
        assert result.failures == []
        assert same(result.heatmap(), fine.heatmap())
        assert [a.outcome for a in result.answers] == [a.outcome for a in fine.answers]
        met += Counter(server.faults)
    assert sum(met.values()) > 0


def test_every_request_and_call_is_accounted_for(server, monkeypatch, tmp_path):
    for name in SERVICES:
        for seed in range(4):
            server.weather(Faults.parse("all=0.2,wait=0", seed))
            requests, calls = server.requests, server.calls
            try:
                result = prober(name, server, monkeypatch, tmp_path / f"{name}{seed}").probe(
                    PICTURE
                )
            except BackendError:
                continue
            assert result.requests == server.requests - requests
            paid = server.calls - calls
            answers = sum(answer.source == "sent" for answer in result.answers)
            again = sum(server.faults[kind] for kind in PAID if kind in server.faults)
            assert answers <= paid <= answers + again * resolve(name).limits.batch
            assert paid <= result.calls


def test_every_kind_of_fault_comes_and_goes(server, monkeypatch, tmp_path):
    name = "clarifai"
    fine = prober(name, server, monkeypatch, tmp_path / "fine.db").probe(PICTURE)
    met: Counter[str] = Counter()
    for seed in range(96):
        if len(+met) >= 11:
            break
        server.weather(Faults.parse("all=0.9,wait=0", seed))
        someone = prober(name, server, monkeypatch, tmp_path / f"{seed}.db")
        result = insisting(lambda someone=someone: someone.probe(PICTURE))
        assert result.failures == []
        assert same(result.heatmap(), fine.heatmap())
        met += Counter(server.faults)
    assert len(+met) >= 11, met


@pytest.mark.parametrize("seed", range(4))
def test_independent_faults_leave_holes_that_the_same_command_fills(
    seed, server, monkeypatch, tmp_path
):
    name, ledger = "openai-moderation", tmp_path / "foul.db"
    fine = prober(name, server, monkeypatch, tmp_path / "fine.db").probe(PICTURE)
    server.weather(Faults.parse("all=0.2,wait=0,in_a_row=1000", seed))
    received: set[int] = set()
    for _ in range(6):
        someone = prober(name, server, monkeypatch, ledger)
        result = insisting(lambda someone=someone: someone.probe(PICTURE))
        known = {i for i, a in enumerate(result.answers) if isinstance(a.outcome, Scores)}
        assert received <= known
        received = known
        if not result.failures:
            break
    assert result.failures == []
    assert same(result.heatmap(), fine.heatmap())


def test_at_the_end_of_the_quota_what_was_paid_for_is_kept(server, monkeypatch, tmp_path):
    name, ledger = "openai-moderation", tmp_path / "ledger.db"
    fine = prober(name, server, monkeypatch, tmp_path / "fine.db").probe(PICTURE)
    server.weather(Faults.parse("quota=20"))
    with pytest.raises(QuotaExhausted) as caught:
        prober(name, server, monkeypatch, ledger).probe(PICTURE)
    scored = [a for a in caught.value.partial.answers if isinstance(a.outcome, Scores)]
    sent = sum(a.source == "sent" for a in scored)
    assert sent == 20
    server.weather(Faults())
    result = prober(name, server, monkeypatch, ledger).probe(PICTURE)
    assert sum(a.source == "sent" for a in result.answers) == fine.calls - sent
    assert same(result.heatmap(), fine.heatmap())
