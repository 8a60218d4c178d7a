"""Services whose model changes: one map holds the answers of one model, over all runs."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from probe import Prober
from probe.api.transport.pace import Pace
from probe.backends import resolve
from probe.backends.connection import Generation
from probe.errors import LedgerError, Rejected
from probe.ledger import Ledger
from probe.ledger.upkeep import erase
from probe.mock import Faults, environment, serve
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec

PNG = Codec("png")
PICTURE = planted_picture()


def model_a():
    return Planted()


def model_b():
    return Planted(floor=0.2, identity="planted 2")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setitem(Pace.__init__.__kwdefaults__, "uniform", lambda: 0.0)


@pytest.fixture
def server():
    with serve(model_a(), rates=()) as running:
        yield running


@pytest.fixture
def ask(server, monkeypatch, tmp_path):
    """ask(budget): one command, with a backend of its own; its Result."""

    for variable, value in environment(server.url, "any", "clarifai", "rekognition").items():
        monkeypatch.setenv(variable, value)

    def once(budget, ledger=tmp_path / "l.db", **options):
        prober = Prober(resolve("clarifai"), codec=PNG, ledger=ledger, **options)
        return prober.probe(PICTURE, budget=budget, label="nsfw")

    return once


def same(one, other):
    outcomes = [[answer.outcome for answer in result.answers] for result in (one, other)]
    maps = [result.heatmap().values for result in (one, other)]
    return outcomes[0] == outcomes[1] and np.array_equal(*maps, equal_nan=True)


def test_a_model_that_changes_between_two_runs_is_asked_everything(server, ask, tmp_path):
    before = ask(24)
    server.serve_instead(model_b())
    with pytest.raises(Rejected, match=r"'planted 1' to 'planted 2'; .* same command asks the new"):
        ask(48)
    after = ask(48)
    assert after.calls == 48
    assert same(after, ask(48, ledger=tmp_path / "fresh.db"))
    assert after.backend == f"{before.backend} version planted 2"


def test_the_answers_of_a_model_that_comes_back_are_used_again(server, ask):
    found = []
    for model in (model_a(), model_b()):
        server.serve_instead(model)
        if found:
            with pytest.raises(Rejected):
                ask(40)
        found.append(ask(32))
    for model, before in zip((model_a(), model_b()), found, strict=True):
        server.serve_instead(model)
        with pytest.raises(Rejected):
            ask(48)
        again = ask(32)
        assert again.calls == 0
        assert same(again, before)


def test_a_model_that_changes_in_the_middle_is_asked_everything_next(server, ask, tmp_path):
    server.weather(Faults.parse("drift=20"))
    with pytest.raises(Rejected, match="another version") as stopped:
        ask(48)
    assert len(stopped.value.partial.answers) <= 20
    after = ask(48)
    assert after.calls == 48
    assert same(after, ask(48, ledger=tmp_path / "fresh.db"))


def test_what_one_command_does_is_done_by_one_prober_too(server, ask):
    prober = Prober(resolve("clarifai"), codec=PNG, ledger=Ledger(None))
    prober.probe(PICTURE, budget=24)
    server.serve_instead(model_b())
    assert prober.plan(PICTURE, budget=48).calls == 24
    with pytest.raises(Rejected):
        prober.probe(PICTURE, budget=48)
    assert prober.plan(PICTURE, budget=48).calls == 48
    assert prober.probe(PICTURE, budget=48).calls == 48


def test_offline_answers_as_the_version_that_answered_last(server, ask):
    before = ask(24)
    server.serve_instead(model_b())
    assert same(ask(24, offline=True), before)
    with pytest.raises(Rejected):
        ask(32)
    with pytest.raises(LedgerError, match="offline"):
        ask(24, offline=True)
    after = ask(32)
    assert same(ask(32, offline=True), after)


def test_threads_of_one_prober_never_mix_two_models(server, ask, tmp_path):
    server.weather(Faults.parse("drift=30"))
    prober = Prober(resolve("clarifai"), codec=PNG, ledger=tmp_path / "l.db")
    gate = threading.Barrier(2)

    def insist(seed):
        gate.wait()
        for _ in range(4):
            try:
                return prober.probe(PICTURE, budget=48, seed=seed)
            except Rejected:
                continue
        raise AssertionError("four times in a row")

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(insist, (1, 2)))
    for seed, result in zip((1, 2), found, strict=True):
        fresh = Prober(resolve("clarifai"), codec=PNG, ledger=tmp_path / f"{seed}.db")
        assert same(result, fresh.probe(PICTURE, budget=48, seed=seed))


def test_a_run_under_way_stays_with_its_version_while_others_ask_the_next(server, ask):
    prober = Prober(resolve("clarifai"), codec=PNG, ledger=Ledger(None))
    under_way = prober.stream(PICTURE, budget=24)
    next(under_way)
    server.serve_instead(model_b())
    with pytest.raises(Rejected):
        prober.probe(PICTURE, budget=32, seed=1)
    prober.probe(PICTURE, budget=32, seed=1)
    with pytest.raises(Rejected, match="'planted 1' to 'planted 2'"):
        list(under_way)


def test_the_version_is_forgotten_with_its_host(server, ask, tmp_path):
    before = ask(24)
    server.serve_instead(model_b())
    with pytest.raises(Rejected):
        ask(32)
    erase(tmp_path / "l.db", host="127.0.0.1")
    assert ask(24).backend == before.backend


def test_rekognition_minds_the_version_too(ask):
    backend, ledger = resolve("rekognition"), Ledger(None)
    prober = Prober(backend, codec=PNG, ledger=ledger)
    picture = planted_picture((120, 90))
    before = prober.probe(picture, budget=8)
    key = f"//{backend.limits.host}/{backend.service_identity}"
    first = json.loads(ledger.recall(key))["first"]
    ledger.remember(key, json.dumps({"first": first, "now": "next"}))
    with pytest.raises(Rejected, match=f"'next' to '{first}'"):
        prober.probe(picture, budget=12)
    after = prober.probe(picture, budget=8)
    assert (after.backend, after.calls) == (before.backend, 0)


def test_a_run_goes_on_as_its_own_version_when_another_run_asks_the_next():
    generation = Generation("it")
    generation.check("1")
    with pytest.raises(Rejected):
        generation.check("2")
    generation.check("1")
    following = Generation("it", generation.news())
    following.check("2")
    assert (generation.identity("it"), following.identity("it")) == ("it", "it version 2")
    assert (generation.news(), following.news()) == (None, None)
    with pytest.raises(Rejected):
        generation.check("2")


def test_long_versions_are_shown_where_they_differ():
    generation = Generation("it")
    generation.check("m" * 90 + "-one")
    with pytest.raises(Rejected, match=r"'…m+-one' to '…m+-two';"):
        generation.check("m" * 90 + "-two")
    with pytest.raises(Rejected, match=r"to '[0-9a-f]{40}…'"):
        generation.check("x" * 10_000)


def test_a_version_is_no_trouble_to_the_ledger_whatever_it_is(tmp_path):
    generation = Generation("it")
    generation.check("1")
    with pytest.raises(Rejected):
        generation.check("\ud800\x1b")
    with Ledger(tmp_path / "l.db") as ledger:
        ledger.remember("it", generation.news())
        assert Generation("it", ledger.recall("it")).identity("it") == r"it version \ud800\x1b"
