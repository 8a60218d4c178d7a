import json
import socket
import threading
from base64 import b64encode
from contextlib import closing
from http.client import HTTPConnection

import numpy as np
import pytest
from PIL import Image

from probe import from_callable
from probe.errors import BackendError, UsageError
from probe.image import encode
from probe.limits import Limits
from probe.mock import scorer, serve, serve_forever, server
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec, Failure, Scores

PICTURE = b64encode(encode(planted_picture(), Codec("png"))).decode()


def talk(running, method="POST", path="/score", body=None, headers=None):
    with closing(HTTPConnection("127.0.0.1", running.server_port, timeout=20)) as connection:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(response.read())


def images(*data):
    return {"images": [{"id": str(i), "data": each} for i, each in enumerate(data)]}


def test_it_describes_the_model_behind_it():
    limits = Limits(
        batch=3, formats=("pixels",), min_side=2, labels=("sfw", "nsfw"), question="nsfw"
    )
    with serve(Planted(limits=limits)) as running:
        status, description = talk(running, "GET", "/")
    assert status == 200
    assert description == {
        "contract": "probe/1",
        "identity": "planted 1",
        "labels": ["sfw", "nsfw"],
        "question": "nsfw",
        "batch": 3,
        "concurrency": 2,
        "formats": ["jpeg", "png"],
        "min_side": 2,
        "max_side": None,
        "max_pixels": 50_000_000,
        "max_request_bytes": 64 * 2**20,
        "threshold": None,
        "seen": [0, 0, 1, 1],
        "deterministic": False,
        "price": None,
    }


def test_it_scores_and_counts():
    with serve(Planted()) as running:
        for _ in range(2):
            status, answer = talk(running, body=images(PICTURE, PICTURE))
            assert status == 200
            assert answer["identity"] == "planted 1"
            assert [r["id"] for r in answer["results"]] == ["0", "1"]
            assert answer["results"][1]["scores"]["nsfw"] == pytest.approx(0.95)
        talk(running, "GET", "/")
        assert (running.requests, running.calls) == (2, 4)


def test_a_model_without_an_identity_gets_one_for_as_long_as_it_runs():
    names = []
    for _ in range(2):
        with serve(Planted(identity=None)) as running:
            first = talk(running, "GET", "/")[1]["identity"]
            assert talk(running, "GET", "/")[1]["identity"] == first
            names.append(first)
    assert names[0] != names[1]


def header_of_a_huge_png():
    """400 megapixels stated, nothing behind."""
    data = bytearray(encode(Image.new("RGB", (1, 1)), Codec("png")))
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    return b64encode(bytes(data)).decode()


@pytest.mark.parametrize(
    "bad",
    [
        "aGVsbG8=!",
        "",
        b64encode(b"hello").decode(),
        b64encode(encode(planted_picture(), Codec("png"))[:100]).decode(),
        b64encode(encode(Image.new("RGB", (3, 9)), Codec("png"))).decode(),
        b64encode(encode(Image.new("RGB", (301, 9)), Codec("png"))).decode(),
        header_of_a_huge_png(),
    ],
)
def test_a_picture_that_cannot_be_used_is_refused_alone(bad):
    limits = Limits(batch=8, formats=("pixels",), min_side=4, max_side=300)
    with serve(Planted(limits=limits)) as running:
        status, answer = talk(running, body=images(PICTURE, bad, PICTURE))
    results = answer["results"]
    assert status == 200
    assert [set(r) - {"id"} for r in results] == [{"scores"}, {"error"}, {"scores"}]
    assert results[1]["error"]["kind"] == "refused"
    message = results[1]["error"]["message"]
    assert message.isprintable()
    assert (message == "data is not base64") == ("!" in bad)
    assert running.calls == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"hello", "expected JSON"),
        (b"", "expected JSON"),
        (b"[" * 50_000, "deep"),
        ({}, "images"),
        (images(), "images"),
        ({"images": {"id": "0", "data": PICTURE}}, "images"),
        ({"images": [PICTURE]}, r"\$\.images\[0\]"),
        ({"images": [{"id": 0, "data": PICTURE}]}, r"\$\.images\[0\]"),
        ({"images": [{"id": "0", "data": None}]}, r"\$\.images\[0\]"),
        ({"images": [{"id": "x" * 101, "data": PICTURE}]}, r"\$\.images\[0\]"),
        ({"images": [{"id": "0", "data": PICTURE}] * 2}, "id"),
        (images(*[PICTURE] * 9), "9 images; at most 8"),
    ],
)
def test_a_request_of_another_shape_is_400_and_says_why(body, says):
    with serve(Planted()) as running:
        status, answer = talk(running, body=body)
        assert status == 400
        assert running.calls == 0
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(answer["error"]["message"])


def test_a_request_too_large_is_413_without_being_kept(monkeypatch):
    monkeypatch.setattr(server, "MAX_REQUEST", 2_000_000)
    with serve(Planted()) as running:
        status, answer = talk(running, body=b" " * 7_000_000)
        assert status == 413
        assert "2000000 bytes" in answer["error"]["message"]
        assert talk(running, body=images(PICTURE))[0] == 200


def test_too_many_pixels_in_one_request_are_413(monkeypatch):
    monkeypatch.setattr(scorer, "MAX_ALL_PIXELS", 96 * 64 * 2)
    with serve(Planted()) as running:
        assert talk(running, body=images(PICTURE, PICTURE))[0] == 200
        assert talk(running, body=images(PICTURE, PICTURE, PICTURE))[0] == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/score", 404),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/", 404),
        ("DELETE", "/", 501),
        ("OPTIONS", "/score", 501),
    ],
)
def test_other_paths_and_methods_get_an_error_in_json(method, path, status):
    with serve(Planted()) as running:
        assert talk(running, method, path)[0] == status


@pytest.mark.parametrize("length", ["-1", "many", "9" * 20, "\u0661"])
def test_a_body_without_a_sane_length_is_411(length):
    with serve(Planted()) as running:
        headers = {"Content-Length": length.encode()}
        assert talk(running, headers=headers)[0] == 411


@pytest.mark.parametrize("error", [RuntimeError("my secret path"), BackendError("out of order")])
def test_a_backend_that_raises_is_500_and_the_server_goes_on(error):
    planted, failing = Planted(), [True]

    def fn(pictures):
        if failing.pop() if failing else False:
            raise error
        return [planted.answer(p) for p in pictures]

    class Model:
        identity, limits = "model", planted.limits

        def score(self, variants, codec):
            return fn([v.pixels() for v in variants])

    with serve(Model()) as running:
        status, answer = talk(running, body=images(PICTURE))
        message = answer["error"]["message"]
        assert status == 500
        assert "Traceback" not in message
        assert "secret" not in message
        assert "RuntimeError" in message or message == "out of order"
        assert talk(running, body=images(PICTURE))[0] == 200
        assert running.calls == 1


def test_failures_and_scores_that_are_not_finite_stay_with_their_picture():
    outcomes = [
        Scores({"nsfw": 0.5}),
        Failure("throttled", "slow\x1b[0m down"),
        Scores({"nsfw": float("nan")}),
        Failure("lost", "gone"),
    ]

    class Model:
        identity, limits = "model", Limits(batch=4, formats=("pixels",), labels=("nsfw",))

        def score(self, variants, codec):
            return outcomes

    with serve(Model()) as running:
        _, answer = talk(running, body=images(*[PICTURE] * 4))
    kinds = [r.get("error", {}).get("kind") for r in answer["results"]]
    assert kinds == [None, "throttled", "invalid", "unavailable"]
    assert answer["results"][1]["error"]["message"].isprintable()


def test_the_backend_gets_the_pixels_that_were_sent():
    seen = []

    def fn(pictures):
        seen.extend(pictures)
        return [{"nsfw": 0.5}] * len(pictures)

    with serve(from_callable(fn, ["nsfw"], identity="x")) as running:
        talk(running, body=images(PICTURE))
    assert np.array_equal(np.asarray(seen[0]), np.asarray(planted_picture()))


def test_the_backend_is_asked_by_one_thread_at_a_time():
    busy, together = threading.Lock(), []

    def fn(pictures):
        together.append(busy.acquire(blocking=False))
        if together[-1]:
            threading.Event().wait(0.01)
            busy.release()
        return [{"nsfw": 0.5}] * len(pictures)

    with serve(from_callable(fn, ["nsfw"], identity="x")) as running:
        threads = [
            threading.Thread(target=talk, args=(running,), kwargs={"body": images(PICTURE)})
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert together == [True] * 6


def test_closing_ends_every_thread_also_of_idle_connections_and_frees_the_port():
    before = threading.active_count()
    with serve(Planted()) as running:
        idle = HTTPConnection("127.0.0.1", running.server_port, timeout=20)
        idle.request("GET", "/")
        assert idle.getresponse().read()
        mute = socket.create_connection(("127.0.0.1", running.server_port))
        address = ("127.0.0.1", running.server_port)
    idle.close()
    mute.close()
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 1)


def test_an_answer_in_the_making_goes_out_before_the_server_ends():
    asked, go_on = threading.Event(), threading.Event()

    def fn(pictures):
        asked.set()
        go_on.wait(20)
        return [{"nsfw": 0.5}] * len(pictures)

    answers = []
    with serve(from_callable(fn, ["nsfw"], identity="x")) as running:
        client = threading.Thread(
            target=lambda: answers.append(talk(running, body=images(PICTURE)))
        )
        client.start()
        assert asked.wait(20)
        stop_accepting = running.shutdown
        running.shutdown = lambda: (stop_accepting(), go_on.set())
    client.join()
    assert answers[0][0] == 200


def test_a_port_in_use_is_named_with_a_remedy():
    with (
        serve(Planted()) as running,
        pytest.raises(UsageError, match=f"127.0.0.1:{running.server_port}.*in use.*another port"),
        serve(Planted(), port=running.server_port),
    ):
        pass


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 0)])
def test_an_address_that_cannot_be_listened_on_is_named(host, port):
    with (
        pytest.raises(UsageError, match=f"cannot listen on {host}:{port}"),
        serve(Planted(), host, port),
    ):
        pass


def test_serving_forever_tells_where_and_stops_when_interrupted():
    urls = []

    def ready(running):
        urls.append(running.url)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve_forever(Planted(), port=0, ready=ready)
    assert urls[0].startswith("http://127.0.0.1:")
