"""Faults come as they were planned, by the seed and the pictures, and are counted."""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from http.client import HTTPConnection, IncompleteRead

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.api.http import retry_after
from probe.errors import UsageError
from probe.mock import Faults, serve
from probe.mock.faults import HINTS, KINDS, SHARED, Dice
from probe.mock.message import Asked
from tests.mock.spoken import asked, backend, picture

EVERY = ("429", "503", "reset", "cut", "truncated", "html", "partial", "item", "reorder")
EVERY += ("missing", "nan")
A, B, C = (picture(score) for score in (0.2, 0.5, 0.9))


def drawn(faults, rounds, possible=EVERY):
    """The kinds that hit these pictures, one round after the other."""
    dice = Dice(faults)
    kinds = []
    for pictures in rounds:
        fault, _ = dice.draw(pictures, possible)
        kinds.append(fault.kind if fault else None)
    return kinds


def numbered(count):
    return [[str(number).encode()] for number in range(count)]


def test_a_plan_is_read_from_text_and_from_a_mapping():
    text = "429=0.1, 503=0.02x3,reset=0.05,latency=0.1-0.3,wait=2,quota=7,drift=9,in_a_row=2"
    faults = Faults.parse(text, seed=5)
    assert faults == Faults.of(
        dict(piece.split("=") for piece in text.replace(" ", "").split(",")), 5
    )
    assert faults.chances == {"429": (0.1, 1), "503": (0.02, 3), "reset": (0.05, 1)}
    assert (faults.latency, faults.wait, faults.quota) == ((0.1, 0.3), 2.0, 7)
    assert (faults.drift, faults.in_a_row, faults.seed) == (9, 2, 5)
    assert Faults.parse("") == Faults()
    assert Faults.parse("latency=0.2").latency == (0.2, 0.2)
    assert sum(chance for chance, _ in Faults.parse("all=0.2").chances.values()) == pytest.approx(
        0.2
    )
    assert set(Faults.of({"all": 0.2}).chances) == set(SHARED) == set(EVERY)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rest=0.1", "Did you mean 'reset'"),
        ("429", "expected a chance"),
        ("429=1.1", "expected a chance"),
        ("429=-0.1", "expected a chance"),
        ("429=0.1x0", "expected a chance"),
        ("429=nan", "expected a chance"),
        ("429=0.6,503=0.6", "more than 1"),
        ("latency=0.3-0.1", "from-to"),
        ("latency=soon", "seconds"),
        ("quota=many", "whole number"),
        ("quota=1.5", "whole number"),
    ],
)
def test_a_plan_that_cannot_be_is_named(text, says):
    with pytest.raises(UsageError, match=says):
        Faults.parse(text)


def test_faults_are_about_as_frequent_as_they_were_asked_for():
    kinds = Counter(drawn(Faults.parse("429=0.1,reset=0.3", seed=3), numbered(4000)))
    assert kinds["429"] / 4000 == pytest.approx(0.1, abs=0.02)
    assert kinds["reset"] / 4000 == pytest.approx(0.3, abs=0.03)
    assert set(kinds) == {"429", "reset", None}


def test_another_seed_is_other_weather():
    plans = [drawn(Faults.parse("429=0.5", seed), numbered(64)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


@given(st.permutations(range(24)), st.integers(0, 3))
def test_what_hits_pictures_depends_on_them_and_on_how_often_they_were_seen_alone(order, seed):
    faults = Faults.parse("all=0.6", seed)
    rounds = numbered(8)
    expected = {}
    for at, kind in enumerate(drawn(faults, rounds * 3)):
        expected[at % 8, at // 8] = kind
    seen: Counter[int] = Counter()
    dice = Dice(faults)
    for at in order:
        which = at % 8
        fault, _ = dice.draw(rounds[which], EVERY)
        assert (fault.kind if fault else None) == expected[which, seen[which]]
        seen[which] += 1


def test_the_same_pictures_meet_other_weather_another_time():
    kinds = drawn(Faults.parse("429=0.5,in_a_row=1000"), [[A]] * 64)
    assert 16 < kinds.count("429") < 48


def test_the_order_of_pictures_in_a_request_does_not_matter():
    faults = Faults.parse("429=0.5", seed=1)
    for a, b in zip(range(0, 80, 2), range(1, 80, 2), strict=True):
        pair = [str(a).encode(), str(b).encode()]
        assert drawn(faults, [pair]) == drawn(faults, [pair[::-1]])


def test_no_picture_is_hit_twice_in_a_row_however_it_is_grouped():
    faults = Faults.parse("429=1")
    assert drawn(faults, [[A]] * 6) == ["429", None] * 3
    assert drawn(faults, [[A, B], [A], [A, C], [B], [B]]) == ["429", None, "429", None, "429"]
    assert drawn(faults, [[A, B], [B, C], [B, C]]) == ["429", None, "429"]


def test_more_in_a_row_where_that_is_asked():
    assert drawn(Faults.parse("429=1,in_a_row=3"), [[A]] * 8) == (["429"] * 3 + [None]) * 2
    assert drawn(Faults.parse("503=1x3"), [[A]] * 8) == (["503"] * 3 + [None]) * 2


def test_what_an_answer_cannot_show_does_not_hit():
    assert drawn(Faults.parse("partial=1"), [[A]] * 3, possible=("429",)) == [None] * 3


def test_draws_are_the_same_in_one_thread_and_in_many():
    faults = Faults.parse("all=0.7,latency=0-1", seed=9)
    pictures = numbered(200)
    alone = Dice(faults)
    expected = {one[0]: [alone.draw(one, EVERY) for _ in range(3)] for one in pictures}
    together, got = Dice(faults), {}

    def work(part):
        for one in part:
            got[one[0]] = [together.draw(one, EVERY) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(pictures[k::8],)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == expected
    assert together.counts == alone.counts


def first(desk, kind, name="clarifai", images=(A, B), extra=""):
    """The answer that this fault makes of a request, and the answer to the same again."""
    made = desk(faults=f"{kind}=1{extra}")
    request = asked(name, list(images))
    said, again = made.post(request), made.post(request)
    assert made.dice.counts == {kind: 1}
    assert (again.status, again.calls, again.broken) == (200, len(images), None)
    return said, again


@pytest.mark.parametrize("hint", HINTS)
def test_every_hint_of_too_many_requests(hint, desk):
    name = {"ms": "openai-moderation", "ratelimit": "huggingface", "body": "huggingface"}.get(
        hint, "google-safesearch"
    )
    said, _ = first(desk, f"429-{hint}", name, [A], ",wait=3")
    assert said.calls == 0
    headers = said.headers
    if hint == "seconds":
        assert headers["Retry-After"] == "3"
    elif hint == "date":
        assert 2 <= retry_after(headers["Retry-After"]) <= 4
    elif hint == "ms":
        assert headers["retry-after-ms"] == "3000"
    elif hint == "ratelimit":
        assert headers["RateLimit"] == '"api";r=0;t=3'
    elif hint == "body":
        assert said.status == 503
        assert json.loads(said.body)["estimated_time"] == 3
    else:
        assert not {"Retry-After", "RateLimit", "retry-after-ms"} & set(headers)
    assert said.status == (503 if hint == "body" else 429)


def test_the_hint_has_the_name_that_the_service_gives_it(desk):
    said, _ = first(desk, "429-seconds", "clarifai-v1", [A])
    assert said.headers["X-Throttle-Wait-Seconds"] == "1"


def test_a_plain_429_has_a_hint_of_any_kind(desk):
    hints = set()
    for number in range(40):
        made = desk(faults="429=1", seed=number)
        said = made.post(asked("huggingface", [A]))
        hints |= {(said.status, *sorted(set(said.headers) - {"Content-Type"}))}
    assert len(hints) >= 5


def test_unavailable_costs_nothing(desk):
    said, _ = first(desk, "503")
    assert (said.status, said.calls) == (503, 0)
    assert "status" in json.loads(said.body)


def test_a_page_comes_instead_of_json(desk):
    said, _ = first(desk, "html")
    assert said.headers["Content-Type"].startswith("text/html")
    assert said.calls == 0


def test_json_that_ends_too_early_was_paid_for(desk):
    said, again = first(desk, "truncated")
    assert said.calls == 2
    assert again.body.startswith(said.body)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(said.body)


def outputs(said):
    return json.loads(said.body)["outputs"]


def test_an_element_is_missing(desk):
    said, again = first(desk, "partial")
    (kept,) = outputs(said)
    assert kept in outputs(again)


def test_one_picture_fails_for_a_while(desk):
    said, _ = first(desk, "item")
    assert said.status == 207
    assert sorted(one["status"]["code"] for one in outputs(said)) == [10000, 10030]
    assert said.calls == 2


def test_the_order_changes_where_answers_carry_ids(desk):
    said, again = first(desk, "reorder")
    assert outputs(said) != outputs(again)
    by_id = [sorted(outputs(one), key=lambda o: o["input"]["id"]) for one in (said, again)]
    assert by_id[0] == by_id[1]
    made = desk(faults="reorder=1")
    made.post(asked("google-safesearch", [A, B]))
    assert made.dice.counts == {}


def test_a_label_is_missing_in_one_element(desk):
    said, _ = first(desk, "missing")
    names = [{one["name"] for one in output["data"]["concepts"]} for output in outputs(said)]
    assert sorted(names, key=len) == [{"sfw"}, {"sfw", "nsfw"}]


@pytest.mark.parametrize(
    "name", ["clarifai", "google-safesearch", "picpurify", "azure-content-safety"]
)
def test_a_score_is_no_number(name, desk):
    said, again = first(desk, "nan", name, [A])
    assert b"NaN" in said.body
    assert b"NaN" not in again.body


def test_another_model_answers_after_a_while(desk):
    made = desk(faults="drift=4")
    request = asked("clarifai", [A, B])
    answers = [outputs(made.post(request)) for _ in range(3)]
    assert answers[0] == answers[1] != answers[2]
    versions = [one[0]["model"]["model_version"]["id"] for one in answers]
    assert versions[0] == versions[1] != versions[2]
    assert made.dice.counts["drift"] == 1


def test_latency_is_waited_for_within_its_range(desk):
    made = desk(faults="latency=0.1-0.3")
    for score in (0.1, 0.2, 0.3, 0.4):
        made.post(asked("clarifai", [picture(score)]))
    assert len(set(made.pauses)) == 4
    assert all(0.1 <= pause <= 0.3 for pause in made.pauses)
    made = desk()
    made.post(asked("clarifai", [A]))
    assert made.pauses == []


def test_the_projects_own_contract_has_weather_too(desk):
    for kind in ("429", "503", "truncated", "partial", "item", "reorder", "missing", "nan"):
        made = desk(faults=f"{kind}=1")
        request = asked("probe", [A, B])
        foul, fine = made.post(request), made.post(request)
        assert (foul.status, foul.body) != (fine.status, fine.body)
        assert made.dice.counts == {kind: 1}


def talk(server, request):
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        connection.request("POST", request.target, request.body, dict(request.headers))
        return connection.getresponse().read()
    finally:
        connection.close()


def test_connections_are_reset_before_and_in_the_middle_of_an_answer():
    request = asked("clarifai", [A])
    with serve(backend(), faults=Faults.parse("reset=1")) as server:
        with pytest.raises(ConnectionResetError) as caught:
            talk(server, request)
        assert caught.type is ConnectionResetError  # and not the end of a stream
        whole = talk(server, request)
        assert (server.requests, server.calls, server.faults) == (2, 2, {"reset": 1})
        server.weather(Faults.parse("cut=1"))
        with pytest.raises((ConnectionResetError, IncompleteRead)):
            talk(server, request)
        assert talk(server, request) == whole
        assert (server.requests, server.calls, server.faults) == (4, 4, {"cut": 1})


def test_asking_for_a_token_is_no_request_to_be_scored():
    with serve(backend()) as server:
        token = Asked("POST", "/v1/token/", {}, b"grant_type=client_credentials")
        assert b"access_token" in talk(server, token)
        assert (server.requests, server.calls) == (0, 0)
        talk(server, asked("clarifai-v1", [A]))
        assert (server.requests, server.calls) == (1, 1)


def test_a_server_that_is_closed_waits_for_no_latency():
    with serve(backend(), faults=Faults.parse("latency=600")) as server:
        request = asked("clarifai", [A])
        came = threading.Event()
        model = server.router.post

        def post(one):
            came.set()
            return model(one)

        server.router.post = post
        client = threading.Thread(target=lambda: talk(server, request))
        client.start()
        assert came.wait(20)
    client.join(20)
    assert not client.is_alive()


def test_every_kind_has_a_word_in_the_documentation():
    from probe.mock import faults

    for kind in (*KINDS, "all", "latency", "quota", "drift", "wait", "in_a_row"):
        assert kind.partition("-")[0] in (faults.__doc__ or "")
    assert math.isclose(sum(c for c, _ in Faults.parse("all=1").chances.values()), 1)
