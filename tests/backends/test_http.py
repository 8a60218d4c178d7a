"""The client of the contract `probe/1` against well-behaved and hostile servers."""

import gzip
import json
import os
import socket
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from probe.backends import resolve
from probe.backends.http import Http
from probe.errors import (
    AuthError,
    BackendError,
    ContractError,
    QuotaExhausted,
    Rejected,
    Unreachable,
    UsageError,
)
from probe.limits import Price, Rate
from probe.mock import serve
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec, Failure, Scores
from tests.api.hostile import CERTIFICATES, says

PNG = Codec("png")
DESCRIPTION = {
    "contract": "probe/1",
    "identity": "model 3",
    "labels": ["nsfw"],
    "question": "nsfw",
    "batch": 8,
    "concurrency": 2,
    "formats": ["png", "jpeg"],
    "min_side": 16,
    "max_side": 2000,
    "max_pixels": 10**6,
    "max_bytes": 5000,
    "max_request_bytes": 90_000,
    "rate": [{"requests": 15, "seconds": 1}, {"requests": 1000, "seconds": 3600}],
    "threshold": 0.85,
    "seen": [0.1, 0.1, 0.9, 0.9],
    "deterministic": True,
    "price": {"per_call": 0.01, "currency": "USD", "as_of": "2026-10"},
}


def described(url, **options):
    return Http(url, json.dumps(DESCRIPTION), **options)


def answer(*results, identity="model 3"):
    return {"contract": "probe/1", "identity": identity, "results": list(results)}


def ok(name, score=0.5):
    return {"id": name, "scores": {"nsfw": score}}


@pytest.fixture
def ask(wild, reply, sample):
    """Ask a server that sends these bytes (or this document) for `n` pictures."""

    def send(content, n=2, **options):
        data = content if isinstance(content, bytes) else reply(content)
        server = wild(lambda self, connection, request: connection.sendall(data))
        return described(server.url, **options).score([sample(codec=PNG)] * n, PNG)

    return send


def kinds(outcomes):
    return [o.kind if isinstance(o, Failure) else o["nsfw"] for o in outcomes]


# Well-behaved servers


def test_a_served_network_gives_the_same_scores_as_in_process(sample):
    image = Image.effect_noise((96, 64), 80).convert("RGB")
    image.paste((220, 160, 130), (20, 20, 70, 60))
    network = resolve("local")
    (here,) = network.score([sample(image)], Codec())
    with serve(network) as server:
        client = resolve(server.url)
        (there,) = client.score([sample(image, PNG)], PNG)
        assert dict(there) == dict(here)
        assert client.limits.labels == network.limits.labels
        assert client.limits.seen == network.limits.seen
        assert client.identity == f"http {server.url} {network.identity}"


def test_the_description_is_asked_for_once_and_only_when_needed(wild, reply):
    server = wild(lambda self, c, request: c.sendall(reply(DESCRIPTION)))
    client = Http(server.url + "/")
    assert server.requests == []
    for _ in range(3):
        assert client.identity == f"http {server.url} model 3"
        assert client.limits.batch == 8
    assert len(server.requests) == 1
    assert server.requests[0].startswith(b"GET / HTTP/1.1")
    again = Http(server.url, client.description)
    assert (again.identity, again.limits) == (client.identity, client.limits)
    assert len(server.requests) == 1


def test_a_description_at_hand_needs_no_connection():
    client = described("http://127.0.0.1:9")
    assert client.identity == "http http://127.0.0.1:9 model 3"
    limits = client.limits
    assert limits.host == "127.0.0.1:9"
    assert (limits.batch, limits.concurrency, limits.formats) == (8, 2, ("png", "jpeg"))
    assert (limits.min_side, limits.max_side, limits.seen) == (16, 2000, (0.1, 0.1, 0.9, 0.9))
    assert (limits.question, limits.deterministic) == ("nsfw", True)
    assert limits.price == Price(0.01, "USD", "2026-10")
    assert (limits.max_pixels, limits.max_bytes, limits.max_request_bytes) == (10**6, 5000, 90000)
    assert limits.rate == (Rate(15, 1.0), Rate(1000, 3600.0))
    assert limits.threshold == 0.85
    assert limits.inflation == pytest.approx(4 / 3)


def test_what_a_description_leaves_out_has_cautious_defaults():
    few = {"contract": "probe/1", "identity": "m", "labels": ["a"]}
    limits = Http("http://127.0.0.1:9", json.dumps(few)).limits
    assert (limits.batch, limits.concurrency, limits.deterministic) == (1, 1, False)
    assert (limits.question, limits.price, limits.seen) == (None, None, (0, 0, 1, 1))


def test_several_threads_share_one_backend(sample):
    image = planted_picture()
    with serve(Planted(identity="planted")) as server:
        client = resolve(server.url)
        samples = [sample(image, PNG) for _ in range(3)]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: client.score(samples, PNG), range(8)))
        assert [a["nsfw"] for b in answers for a in b] == [pytest.approx(0.95)] * 24
        assert (server.requests, server.calls) == (8, 24)


# Matching by id


def test_results_are_matched_by_id_and_not_by_position(ask):
    outcomes = ask(answer(ok("2", 0.2), ok("0", 0.0), ok("1", 0.1)), n=3)
    assert kinds(outcomes) == [0.0, 0.1, 0.2]


def test_the_body_is_kept_with_every_answer_and_stored_once(ask):
    document = answer(ok("0"), ok("1"))
    one, two = ask(document)
    assert one.raw == json.dumps(document).encode()
    assert one.raw is two.raw


def test_a_missing_result_is_a_failure_of_that_picture_alone(ask):
    assert kinds(ask(answer(ok("1")))) == ["invalid", 0.5]


def test_what_could_not_be_read_keeps_the_body_that_was_paid_for(ask):
    document = answer(ok("1"), {"id": "0", "scores": {"sfw": 1}}, {"id": "2", "error": {}})
    unread, read, refused, missing = ask(document, n=4)
    body = json.dumps(document).encode()
    assert [(o.raw, o.part) for o in (unread, read, missing)] == [
        (body, (0, 4)),
        (body, (1, 4)),
        (body, (3, 4)),
    ]
    assert refused.raw is None


def test_unknown_ids_and_items_without_one_are_ignored(ask):
    results = answer(ok("7"), ok("1"), {"scores": {"nsfw": 1}}, 3, None, {"id": 0}, ok("0"))
    assert kinds(ask(results)) == [0.5, 0.5]


def test_a_result_twice_counts_if_both_say_the_same_and_else_neither(ask):
    assert kinds(ask(answer(ok("0"), ok("1"), ok("0")))) == [0.5, 0.5]
    assert kinds(ask(answer(ok("0", 0.1), ok("1"), ok("0", 0.2)))) == ["invalid", 0.5]
    twice_wrong = answer(ok("0", 0.1), ok("1"), ok("0", 0.2), ok("0", 0.1))
    assert kinds(ask(twice_wrong)) == ["invalid", 0.5]


@pytest.mark.parametrize("kind", ["refused", "invalid", "throttled", "unavailable"])
def test_an_error_of_one_picture_keeps_its_kind_and_a_safe_message(ask, kind):
    error = {"kind": kind, "message": "no\x1b[31m\n" + "x" * 5000}
    failed, good = ask(answer({"id": "0", "error": error}, ok("1")))
    assert (failed.kind, good["nsfw"]) == (kind, 0.5)
    assert failed.message.isprintable()
    assert len(failed.message) <= 220


@pytest.mark.parametrize("error", [{}, {"kind": "lost"}, {"kind": ["refused"], "message": 3}])
def test_an_error_of_no_known_kind_is_invalid(ask, error):
    assert kinds(ask(answer({"id": "0", "error": error}, ok("1")))) == ["invalid", 0.5]


# What a score is


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "1e999", "null", "true", '"0.5"', "[0.5]", "9" * 400, "{}"],
)
def test_a_score_that_is_no_finite_number_fails_alone(ask, reply, value):
    text = json.dumps(answer(ok("0", 123.25), ok("1"))).replace("123.25", value)
    failed, good = ask(reply(text.encode()))
    assert (failed.kind, good["nsfw"]) == ("invalid", 0.5)
    assert "'nsfw'" in failed.message


@pytest.mark.parametrize(
    "scores", ['{"nsfw": 0.1, "nsfw": 0.9}', '{"sfw": 0.5}', "[]", "null", '"nsfw"']
)
def test_ambiguous_or_missing_scores_fail_alone(ask, reply, scores):
    text = json.dumps(answer(ok("0"), ok("1"))).replace('{"nsfw": 0.5}', scores, 1)
    assert kinds(ask(reply(text.encode()))) == ["invalid", 0.5]


def test_scores_of_any_range_and_more_labels_are_kept(ask):
    (scores,) = ask(answer({"id": "0", "scores": {"nsfw": -3, "gore": 55.5}}), n=1)
    assert dict(scores) == {"nsfw": -3.0, "gore": 55.5}


def test_endless_labels_are_refused(ask):
    many = {f"label {i}": 0.5 for i in range(10_001)} | {"nsfw": 0.5}
    long = {"nsfw": 0.5, "x" * 300: 0.5}
    results = answer({"id": "0", "scores": many}, {"id": "1", "scores": long}, ok("2"))
    assert kinds(ask(results, n=3)) == ["invalid", "invalid", 0.5]


# Bodies that are no answer


def test_a_byte_order_mark_is_fine(ask, reply):
    body = b"\xef\xbb\xbf" + json.dumps(answer(ok("0"))).encode()
    assert kinds(ask(reply(body), n=1)) == [0.5]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>\x1b[2J<title>Sign in</title></html>",
        b'{"contract": "probe/1", "identity": "model 3", "results": [}',
        b"\xff\xfe\x00",
        b"[" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"9" * 5_000,
        b"[]",
        b"null",
        b"{}",
        b'{"contract": "probe/2", "identity": "model 3", "results": []}',
        b'{"contract": "probe/1", "identity": "model 3"}',
        b'{"contract": "probe/1", "identity": "model 3", "results": {"0": {}}}',
        b'{"contract": "probe/1", "identity": 3, "results": []}',
        b'{"contract": "probe/1", "contract": "probe/1", "results": []}',
    ],
)
def test_a_body_of_another_shape_is_an_error_of_the_contract_in_one_line(ask, reply, body):
    with pytest.raises(ContractError) as caught:
        ask(reply(body))
    message = str(caught.value)
    assert "127.0.0.1" in message
    assert message.isprintable()
    assert len(message) < 400


def test_json_that_ends_too_early_is_lost(ask, reply):
    outcomes = ask(reply(b'{"contract": "probe/1", "identity": "model 3", "results": ['))
    assert {outcome.kind for outcome in outcomes} == {"lost"}


def test_another_model_in_the_middle_of_a_run_is_never_mixed_in(ask):
    with pytest.raises(Rejected, match="changed from 'model 3' to 'model 4'"):
        ask(answer(ok("0"), ok("1"), identity="model 4"))


@pytest.mark.parametrize(
    ("cut", "headers"),
    [
        (40, "Content-Length: 1000"),
        (40, "Transfer-Encoding: chunked"),
        (60, "Connection: close"),
    ],
)
def test_a_body_cut_short_is_lost_and_perhaps_billed(wild, sample, cut, headers):
    body = json.dumps(answer(ok("0"))).encode()[:cut]
    if "chunked" in headers:
        body = b"%x\r\n%s\r\n" % (len(body), body)

    def script(self, connection, request):
        connection.sendall(f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_RDWR)

    (failed,) = described(wild(script).url).score([sample(codec=PNG)], PNG)
    assert (failed.kind, failed.billed) == ("lost", True)


def test_a_connection_closed_without_an_answer_is_lost_and_perhaps_billed(wild, sample):
    server = wild(lambda self, connection, request: connection.shutdown(socket.SHUT_RDWR))
    failed = described(server.url).score([sample(codec=PNG)] * 2, PNG)
    assert [(f.kind, f.billed) for f in failed] == [("lost", True)] * 2
    assert len(server.requests) == 1


def test_no_first_byte_in_time_is_lost(wild, sample):
    server = wild(lambda self, connection, request: self.stop.wait(20))
    (failed,) = described(server.url, timeout=0.2).score([sample(codec=PNG)], PNG)
    assert (failed.kind, failed.billed) == ("lost", True)
    assert "0.2 s" in failed.message


def test_a_dripping_body_ends_at_the_deadline(wild, sample):
    def drip(self, connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not self.stop.wait(0.02):
            connection.sendall(b" ")

    (failed,) = described(wild(drip).url, timeout=0.3).score([sample(codec=PNG)], PNG)
    assert (failed.kind, failed.billed) == ("lost", True)


def test_an_endless_body_is_dropped_with_its_connection(wild, sample):
    dropped = threading.Event()

    def pour(self, connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                connection.sendall(b" " * 65536)
        except OSError:
            dropped.set()

    with pytest.raises(ContractError, match="more than 8388608 bytes") as caught:
        described(wild(pour).url).score([sample(codec=PNG)], PNG)
    assert dropped.wait(5), caught


def test_a_decompression_bomb_is_dropped_before_it_fills_the_memory(ask, reply):
    bomb = reply(gzip.compress(b" " * 200_000_000, 1), Content_Encoding="gzip")
    tracemalloc.start()
    with pytest.raises(ContractError, match="more than 8388608 bytes"):
        ask(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000_000


def test_a_compressed_answer_is_read(ask, reply):
    body = gzip.compress(json.dumps(answer(ok("0"))).encode())
    assert kinds(ask(reply(body, Content_Encoding="gzip"), n=1)) == [0.5]


# Statuses


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_named_and_never_followed(wild, reply, sample, status):
    other = wild(lambda self, connection, request: connection.sendall(reply(answer(ok("0")))))
    moved = reply(status=status, Location=f"{other.url}/score")
    server = wild(lambda self, connection, request: connection.sendall(moved))
    with pytest.raises(Rejected, match=f"redirects to {other.url}/score"):
        described(server.url).score([sample(codec=PNG)], PNG)
    with pytest.raises(BackendError, match="redirects"):
        _ = Http(server.url).identity
    assert other.requests == []
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [("429 Slow", "throttled"), ("503 Busy", "unavailable"), ("502 Bad", "unavailable")],
)
def test_a_busy_server_says_how_long_to_wait(ask, reply, status, kind):
    failed = ask(reply(b"later", status=status, Retry_After="7"))
    assert [(f.kind, f.wait, f.billed) for f in failed] == [(kind, 7.0, False)] * 2
    (failed,) = ask(reply(b"later", status=status), n=1)
    assert failed.wait is None


def test_the_wait_by_a_date_is_counted_from_the_servers_clock(ask, reply):
    (failed,) = ask(
        reply(
            status="429 Slow",
            Date="Sun, 06 Nov 1994 08:49:00 GMT",
            Retry_After="Sun, 06 Nov 1994 08:49:37 GMT",
        ),
        n=1,
    )
    assert failed.wait == 37


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed"])
def test_a_wrong_path_is_told_apart(ask, reply, status):
    with pytest.raises(Rejected, match="no probe contract at http://127"):
        ask(reply(status=status))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("401 No", AuthError),
        ("403 No", AuthError),
        ("402 Pay", QuotaExhausted),
        ("202 Later", UsageError),
    ],
)
def test_a_status_that_ends_a_run_says_which_end_it_is(ask, reply, status, kind):
    with pytest.raises(kind, match=f"answered {status[:3]}: no luck"):
        ask(reply(b"no luck", status=status))


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "403 No", "413 Big", "500 Oops", "204 N"])
def test_other_statuses_are_errors_with_the_start_of_the_body_made_safe(ask, reply, status):
    body = b"" if status.startswith("204") else b"a\x1b]52;c;x\x07 <b>\n" + b"y" * 100_000
    with pytest.raises(BackendError, match=status.split()[0]) as caught:
        ask(reply(body, status=status))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_status_sent_while_the_body_is_still_coming_is_read(sample):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def refuse():
            connection, _ = listening.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 413 Big\r\nConnection: close\r\n\r\ntoo big")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 20):
                    pass

        large = Image.effect_noise((1200, 1200), 90).convert("RGB")
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(refuse)
            with pytest.raises(BackendError, match="413: too big"):
                described(url).score([sample(large, PNG)], PNG)
            done.result(10)


# No connection


def test_a_port_where_nobody_listens_names_it_and_the_remedy(sample):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url, says = f"http://127.0.0.1:{port}", rf"127\.0\.0\.1:{port}.*refused.*probe serve"
    with pytest.raises(Unreachable, match=says):
        _ = Http(url).identity
    with pytest.raises(Unreachable, match=says):
        described(url).score([sample(codec=PNG)], PNG)


def test_an_unknown_host_is_named(monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Unreachable, match=r"nowhere\.example:80: name or service"):
        _ = Http("http://nowhere.example/v1").identity


def test_https_to_a_plain_port_says_so_and_is_not_tried_as_http():
    with serve(Planted()) as server, pytest.raises(Rejected, match="is it http://"):
        _ = Http(server.url.replace("http", "https")).identity


def test_a_server_with_a_certificate_of_its_own_is_trusted_by_its_file(wild, reply):
    server = wild(says(reply(DESCRIPTION)), certificate="valid.pem")
    with pytest.raises(Rejected, match="--ca-file"):
        _ = Http(server.url).identity
    assert Http(server.url, ca_file=str(CERTIFICATES / "ca.pem")).identity.endswith("model 3")


def test_failing_calls_leave_no_open_file(wild, sample):
    server = wild(lambda self, connection, request: connection.shutdown(socket.SHUT_RDWR))
    client, variants = described(server.url), [sample(codec=PNG)]
    client.score(variants, PNG)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        client.score(variants, PNG)
    server.close()
    assert len(os.listdir("/proc/self/fd")) <= before


# Secrets and the environment


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@127.0.0.1:8000",
        "http://hunter2@127.0.0.1:8000",
        "http://127.0.0.1:8000/?key=hunter2",
        "http://127.0.0.1:8000/#hunter2",
    ],
)
def test_a_url_that_may_hold_a_key_is_refused_without_repeating_it(url):
    with pytest.raises(UsageError) as caught:
        Http(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://", "file:///etc/passwd", "http://h:0", "http://[::1", "h"])
def test_what_is_no_url_of_a_service_is_refused(url):
    with pytest.raises(UsageError):
        Http(url)


def test_netrc_is_never_read(wild, reply, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = wild(lambda self, connection, request: connection.sendall(reply(DESCRIPTION)))
    assert Http(server.url).identity
    assert b"authorization" not in server.requests[0].lower()


def test_the_proxy_of_the_environment_is_used_but_not_for_loopback(wild, reply, monkeypatch):
    proxy = wild(lambda self, connection, request: connection.sendall(reply(DESCRIPTION)))
    server = wild(lambda self, connection, request: connection.sendall(reply(DESCRIPTION)))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.url)
    assert Http("http://service.example").identity
    assert proxy.requests[0].startswith(b"GET http://service.example/ HTTP/1.1")
    assert Http(server.url).identity
    assert (len(proxy.requests), len(server.requests)) == (1, 1)


# Descriptions that cannot be used


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("contract", "probe/2"),
        ("identity", None),
        ("identity", "x" * 1001),
        ("identity", "a\x1b[31m"),
        ("labels", []),
        ("labels", "nsfw"),
        ("labels", ["nsfw", "nsfw"]),
        ("labels", ["nsfw", 3]),
        ("labels", ["nsfw", "x" * 201]),
        ("labels", [str(i) for i in range(10_001)]),
        ("question", "cat"),
        ("batch", 0),
        ("batch", 1e9),
        ("batch", True),
        ("batch", 10**9),
        ("concurrency", "2"),
        ("concurrency", 65),
        ("formats", ["pixels"]),
        ("formats", "png"),
        ("min_side", 0),
        ("max_side", 15),
        ("max_pixels", 0),
        ("max_bytes", 999),
        ("max_request_bytes", "5 MB"),
        ("threshold", "high"),
        ("rate", {"requests": 1, "seconds": 1}),
        ("rate", [{"requests": 0, "seconds": 1}]),
        ("rate", [{"requests": 1, "seconds": 0}]),
        ("rate", [{"requests": 1, "seconds": 86_401}]),
        ("rate", [{"requests": 1.5, "seconds": 1}]),
        ("rate", [[1, 1]]),
        ("rate", [{"requests": 1, "seconds": 1}] * 9),
        ("seen", [0, 0, 1]),
        ("seen", [0.5, 0, 0.5, 1]),
        ("seen", [0, 0, 1, float("nan")]),
        ("deterministic", 1),
        ("price", 0.01),
        ("price", {"per_call": -1, "currency": "USD"}),
        ("price", {"per_call": 0.01}),
        ("price", {"per_call": 0.01, "currency": "U\x1bSD"}),
    ],
)
def test_a_description_that_makes_no_sense_names_the_place(wild, reply, key, value):
    server = wild(lambda self, c, request: c.sendall(reply(DESCRIPTION | {key: value})))
    with pytest.raises(ContractError, match="speaks no probe contract") as caught:
        _ = Http(server.url).limits
    assert key in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["", "hello", "[" * 10_000, "[]", '{"contract": "probe/1"}'])
def test_a_description_given_as_text_is_checked_too(text):
    with pytest.raises(ContractError):
        _ = Http("http://127.0.0.1:9", text).identity


def test_the_score_type_is_that_of_the_package(ask):
    assert isinstance(ask(answer(ok("0")), n=1)[0], Scores)
