"""One request against servers and networks that misbehave."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import time
import tracemalloc
import zlib

import pytest

from probe.api import wire
from probe.api.http import Lost, TooLarge, fetch, proxies
from probe.errors import BackendError, ContractError, Unreachable, UsageError
from tests.api.hostile import CERTIFICATES, Toxic, answer, reset, says

BIG = b"x" * 20_000_000
CA = CERTIFICATES / "ca.pem"


def get(url, timeout=5.0, **options):
    return fetch("GET", url, timeout=timeout, trusted=True, **options)


def post(url, body=b"picture", timeout=5.0, **options):
    return fetch("POST", url, body=body, timeout=timeout, trusted=True, **options)


# What is sent, and what of the answer is kept


def test_a_request_arrives_as_it_was_given(wild):
    server = wild(says(answer(b"ok")))
    reply = post(f"{server.url}/v1?a=b", b"\x00\xff", headers={"X-Key": "k", "Accept": "a/b"})
    assert (reply.status, reply.body) == (200, b"ok")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1?a=b HTTP/1.1\r\n")
    sent = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert (sent[b"X-Key"], sent[b"Accept"], sent[b"Content-Length"]) == (b"k", b"a/b", b"2")
    assert sent[b"User-Agent"].startswith(b"probe")
    assert body == b"\x00\xff"


def test_only_headers_that_are_of_use_are_kept(wild):
    told = {
        "Retry-After": "7",
        "retry-after-ms": "70",
        "X-RateLimit-Reset": "9",
        "X-Throttle-Wait-Seconds": "3",
        "Inference-Header-Content-Length": "30",
        "X-Request-Id": "r1",
        "Content-Type": "text/plain",
        "Set-Cookie": "session=1",
        "WWW-Authenticate": "Basic",
        "X-Echo": "1",
        "X-Wait": "9" * 501,
    }
    reply = get(wild(says(answer(b"", **told))).url)
    assert set(reply.headers) == {*list(told)[:7], "Content-Length"}
    assert reply.headers["RETRY-AFTER-MS"] == "70"
    assert reply.wait == 7


def test_cookies_are_never_sent_back(wild):
    server = wild(says(answer(b"", Set_Cookie="session=1; Path=/")))
    for _ in range(2):
        get(server.url)
    assert (len(server.requests), server.connections) == (2, 1)
    assert b"cookie" not in b"".join(server.requests).lower()


def test_two_wait_headers_are_no_hint(wild):
    both = b"HTTP/1.1 429 Slow\r\nRetry-After: 5\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    assert get(wild(says(both)).url).wait is None


@pytest.mark.parametrize(
    ("head", "bounded"),
    [
        (b"Content-Length: 2\r\n\r\n{}", True),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", True),
        (b"Connection: close\r\n\r\n{}", False),
        (b"Content-Length: lots\r\nConnection: close\r\n\r\n{}", False),
        (b"Content-Length: -2\r\nConnection: close\r\n\r\n{}", False),
        (b"Transfer-Encoding: identity\r\nConnection: close\r\n\r\n{}", False),
    ],
)
def test_an_answer_knows_whether_a_cut_would_have_shown(wild, head, bounded):
    def script(server, connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)
        connection.shutdown(socket.SHUT_WR)

    reply = get(wild(script).url)
    assert (reply.body, reply.bounded) == (b"{}", bounded)


# Redirects


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
@pytest.mark.parametrize("same_host", [True, False])
def test_a_redirect_is_an_answer_and_nobody_else_hears_of_it(wild, status, same_host):
    other = wild(says(answer(b"caught")))
    server = wild(
        lambda self, connection, request: connection.sendall(
            answer(b"gone", status, Location=f"{(self if same_host else other).url}/b?key=hunter2")
        )
    )
    reply = post(f"{server.url}/a", headers={"X-Api-Key": "hunter2"})
    target = (server if same_host else other).url
    assert (reply.status, reply.headers["Location"]) == (int(status[:3]), f"{target}/b")
    assert (len(server.requests), other.connections) == (1, 0)


def test_a_redirect_with_an_endless_body_is_dropped_like_any_other(wild):
    def pour(server, connection, request):
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")
        while not server.stop.is_set():
            connection.sendall(b" " * 65536)

    with pytest.raises(TooLarge, match="more than 1000 bytes"):
        get(wild(pour).url, max_bytes=1000)


# Sizes


@pytest.mark.parametrize("codings", ["gzip", "deflate", "gzip, gzip"])
def test_a_bomb_is_dropped_before_it_fills_the_memory(wild, codings):
    bomb = b" " * 200_000_000
    for coding in codings.split(", "):
        bomb = gzip.compress(bomb, 1) if coding == "gzip" else zlib.compress(bomb, 1)
    server = wild(says(answer(bomb, Content_Encoding=codings)))
    tracemalloc.start()
    with pytest.raises(TooLarge, match=r"127\.0\.0\.1:.* more than 8388608 bytes"):
        get(server.url)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000_000


@pytest.mark.parametrize(
    "line", [b"X-%d: %s\r\n", b"HTTP/1.1 100 Continue\r\nX-%d: %s\r\n\r\n"], ids=["head", "interim"]
)
def test_headers_without_an_end_are_dropped(wild, line):
    dropped = threading.Event()

    def pour(server, connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" if line.startswith(b"X") else b"")
        try:
            for number in range(100_000):
                connection.sendall(line % (number, b"y" * 4000))
        except OSError:
            dropped.set()

    with pytest.raises(TooLarge, match="65536 bytes before the start of an answer"):
        get(wild(pour).url)
    assert dropped.wait(5)


def test_a_body_may_be_larger_than_headers_may(wild):
    assert len(get(wild(says(answer(b"x" * 500_000))).url).body) == 500_000


# Time: each of these servers goes on until the test is over


def drip(server, connection, piece):
    while not server.stop.wait(0.005):
        connection.sendall(piece)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
)
def test_dripped_headers_end_at_the_deadline(wild, start, piece):
    def script(server, connection, request):
        connection.sendall(start)
        drip(server, connection, piece)

    with pytest.raises(Lost, match=r"did not answer within 0\.2 s") as caught:
        post(wild(script).url, timeout=0.2)
    assert caught.value.billed


@pytest.mark.parametrize("head", [b"Content-Length: 9999", b"Transfer-Encoding: chunked", b"X: y"])
def test_a_dripped_body_ends_at_the_deadline(wild, head):
    def script(server, connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        drip(server, connection, b"1\r\n \r\n" if b"chunked" in head else b" ")

    with pytest.raises(Lost, match=r"did not finish its answer within 0\.2 s") as caught:
        post(wild(script).url, timeout=0.2)
    assert caught.value.billed


def test_silence_ends_at_the_deadline(wild):
    server = wild(lambda self, connection, request: self.stop.wait())
    with pytest.raises(Lost, match=r"did not answer within 0\.2 s") as caught:
        post(server.url, timeout=0.2)
    failure = caught.value.failure
    assert (failure.kind, failure.billed, failure.message) == ("lost", True, str(caught.value))


def test_the_cap_on_time_of_a_run_ends_a_request_earlier(wild):
    server = wild(lambda self, connection, request: self.stop.wait())
    with pytest.raises(Lost, match=r"did not answer within 0\.\d+ s"):
        post(server.url, timeout=3, deadline=time.monotonic() + 0.2)
    with pytest.raises(Unreachable):
        post("http://127.0.0.1:9", timeout=60, deadline=time.monotonic() - 1)


@pytest.mark.parametrize("certificate", [None, "valid.pem"])
def test_an_upload_that_nobody_takes_ends_at_the_deadline_and_costs_nothing(wild, certificate):
    server = wild(lambda self, c, request: self.stop.wait(), early=True, certificate=certificate)
    with pytest.raises(Lost, match="did not answer") as caught:
        post(server.url, BIG, timeout=0.3, ca_file=str(CA))
    assert not caught.value.billed
    assert (caught.value.failure.kind, caught.value.failure.billed) == ("unavailable", False)


@pytest.mark.parametrize("certificate", [None, "valid.pem"])
def test_an_upload_in_drips_ends_at_the_deadline(wild, tcp_proxy, certificate):
    server = wild(says(answer(b"late")), certificate=certificate)
    slow = tcp_proxy(server.port, up=Toxic(delay=0.005, piece=5000))
    url = slow.url.replace("http", "https") if certificate else slow.url
    with pytest.raises(Lost, match="did not answer") as caught:
        post(url, BIG, timeout=0.5, ca_file=str(CA))
    assert not caught.value.billed
    assert server.requests == []


def test_a_slow_network_within_the_deadline_is_waited_for(wild, tcp_proxy):
    server = wild(says(answer(b"ok")))
    slow = tcp_proxy(server.port, up=Toxic(delay=0.01), down=Toxic(delay=0.01, piece=5))
    assert post(slow.url).body == b"ok"


def test_a_connection_has_less_time_than_the_request(monkeypatch):
    """Nobody accepts, and the queue is full: what comes is dropped without a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        where = deaf.getsockname()
        with socket.create_connection(where):
            monkeypatch.setattr(wire, "CONNECT_SECONDS", 0.2)
            with pytest.raises(Unreachable, match=f"127.0.0.1:{where[1]}: no answer in time"):
                post(f"http://127.0.0.1:{where[1]}", timeout=600)


# Connections that break


@pytest.mark.parametrize("then", ["reset", "close"])
def test_what_ends_before_the_request_is_sent_costs_nothing(wild, tcp_proxy, then):
    server = wild(says(answer(b"")))
    broken = tcp_proxy(server.port, up=Toxic(limit=10_000, then=then))
    with pytest.raises(Lost, match="closed the connection before the request was sent") as caught:
        post(broken.url, BIG)
    assert (caught.value.failure.kind, caught.value.failure.billed) == ("unavailable", False)
    assert (server.requests, broken.connections) == ([], 1)


@pytest.mark.parametrize("end", [reset, lambda connection: connection.shutdown(socket.SHUT_RDWR)])
@pytest.mark.parametrize("kept", [False, True], ids=["first", "kept"])
def test_what_ends_after_the_request_was_read_may_be_billed_and_is_not_sent_again(wild, end, kept):
    def script(server, connection, request):
        if kept and len(server.requests) == 1:
            connection.sendall(answer(b"ok"))
        else:
            end(connection)

    server = wild(script)
    if kept:
        get(server.url)
    with pytest.raises(Lost, match="closed the connection without an answer") as caught:
        post(server.url)
    assert (caught.value.failure.kind, caught.value.failure.billed) == ("lost", True)
    assert (len(server.requests), server.connections) == (1 + kept, 1)


@pytest.mark.parametrize("then", ["reset", "close"])
@pytest.mark.parametrize("limit", [20, 60])
def test_a_cut_answer_is_none(wild, tcp_proxy, limit, then):
    server = wild(says(answer(b'{"nsfw": 0.5}' * 10)))
    broken = tcp_proxy(server.port, down=Toxic(limit=limit, then=then))
    with pytest.raises(Lost) as caught:
        post(broken.url)
    assert caught.value.billed
    assert len(server.requests) == 1


def test_a_server_that_keeps_a_finished_answer_open_is_not_waited_for(wild, tcp_proxy):
    server = wild(says(answer(b"ok", Connection="close")))
    assert post(tcp_proxy(server.port, down=Toxic(lingers=True)).url).body == b"ok"


def test_connections_are_kept(wild):
    server = wild(says(answer(b"ok"), answer(b"", "204 No"), answer(b"x" * 100_000)))
    for _ in range(5):
        get(server.url)
    assert (len(server.requests), server.connections) == (5, 1)


def test_a_connection_on_which_the_server_failed_is_renewed(wild):
    server = wild(says(answer(b"", "500 Oops"), answer(b"ok")))
    assert [get(server.url).status for _ in range(2)] == [500, 200]
    assert server.connections == 2


def test_a_connection_that_was_idle_for_long_is_renewed(wild, monkeypatch):
    server = wild(says(answer(b"ok")))
    get(server.url)
    monkeypatch.setattr(wire, "IDLE_SECONDS", 0.0)
    assert get(server.url).body == b"ok"
    assert server.connections == 2


def test_nothing_is_asked_on_a_connection_whose_server_just_failed(wild):
    """uvicorn, for one, hangs up after a 500 without saying so: what follows would be lost."""

    def script(server, connection, request):
        if b"second" not in request:
            connection.sendall(answer(b"", "500 Internal Server Error"))
        elif len(server.requests) == server.connections:
            connection.sendall(answer(b"ok"))
        else:
            connection.close()

    server = wild(script)
    assert get(server.url).status == 500
    assert post(server.url, b"second").body == b"ok"
    assert server.connections == 2


class Leaving:
    """A script: answers the first `answers` requests; after each it goes away without a word."""

    def __init__(self, answers):
        self.answers = answers
        self.gone = threading.Event()

    def __call__(self, server, connection, request):
        if len(server.requests) <= self.answers:
            connection.sendall(answer(b"ok"))
        connection.close()
        self.gone.set()


@pytest.mark.parametrize("answers", [1, 2])
def test_a_kept_connection_that_was_closed_meanwhile_is_renewed_once(wild, monkeypatch, answers):
    script = Leaving(answers)
    server = wild(script)
    get(server.url)
    assert script.gone.wait(5)
    monkeypatch.setattr(wire._Connection, "is_connected", True)  # it is closed while this is asked
    if answers == 2:
        assert post(server.url).body == b"ok"
    else:
        with pytest.raises(Lost, match="without an answer"):
            post(server.url)
    assert (len(server.requests), server.connections) == (2, 2)


def test_where_the_system_cannot_tell_what_was_taken_nothing_is_sent_again(wild, monkeypatch):
    script = Leaving(2)
    server = wild(script)
    get(server.url)
    assert script.gone.wait(5)
    monkeypatch.setattr(wire._Connection, "is_connected", True)
    monkeypatch.setattr(wire, "_acknowledged", lambda connection: None)
    with pytest.raises(Lost) as caught:
        get(server.url)
    assert caught.value.billed
    assert len(server.requests) == 1


def test_after_an_answer_too_large_the_next_one_is_not_read_from_its_rest(wild):
    server = wild(says(answer(b"x" * 500_000), answer(b"ok")))
    with pytest.raises(TooLarge):
        get(server.url, max_bytes=1000)
    assert get(server.url, max_bytes=1000).body == b"ok"
    assert server.connections == 2


@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_an_interim_answer_is_not_taken_for_the_answer(wild, status):
    interim = f"HTTP/1.1 {status}\r\nLink: x\r\n\r\n".encode()
    server = wild(says(interim + answer(b"first"), interim + interim + answer(b"second")))
    assert [post(server.url).body for _ in range(2)] == [b"first", b"second"]


def test_failing_requests_leave_no_open_file(wild):
    server = wild(lambda self, connection, request: reset(connection))
    with pytest.raises(Lost):
        post(server.url)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        with pytest.raises(Lost):
            post(server.url)
    server.close()
    assert len(os.listdir("/proc/self/fd")) <= before


# A status that comes while the request is still being sent


def refuse(then):
    def script(server, connection, request):
        connection.sendall(answer(b"too big", "413 Big", Connection="close"))
        then(server, connection)

    return script


@pytest.mark.parametrize(
    "then",
    [
        lambda server, connection: server.stop.wait(),
        lambda server, connection: connection.shutdown(socket.SHUT_RDWR),
        lambda server, connection: drain(connection),
    ],
    ids=["reads no more", "closes", "reads on"],
)
def test_an_early_status_is_read(wild, then):
    reply = post(wild(refuse(then), early=True).url, BIG)
    assert (reply.status, reply.body) == (413, b"too big")


@pytest.mark.parametrize(
    "then",
    [
        lambda server, connection: connection.shutdown(socket.SHUT_RD),
        lambda server, connection: drain(connection),
    ],
    ids=["closes", "reads on"],
)
def test_an_early_status_is_read_over_tls(wild, then):
    server = wild(refuse(then), early=True, certificate="valid.pem")
    reply = post(server.url, BIG, ca_file=str(CA))
    assert (reply.status, reply.body) == (413, b"too big")


def test_a_connection_with_half_a_request_on_it_is_not_used_again(wild):
    def script(server, connection, request):
        connection.sendall(answer(b"", "413 Big" if request.startswith(b"POST") else "200 OK"))
        if request.startswith(b"POST"):
            server.stop.wait()

    server = wild(script, early=True)
    assert post(server.url, BIG).status == 413
    assert get(server.url).status == 200
    assert server.connections == 2


def drain(connection):
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(1 << 20):
        pass


# What is no HTTP


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 65_530 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_an_error_of_its_own(wild, said):
    def script(server, connection, request):
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)

    with pytest.raises((ContractError, Lost)) as caught:
        get(wild(script).url)
    assert str(caught.value).isprintable()


# Proxies, names, .netrc


def test_a_proxy_of_the_environment_is_used_and_shown_without_its_password(wild, monkeypatch):
    proxy = wild(says(answer(b"by proxy")))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:hunter2@"))
    url = "http://service.example/v1"
    assert proxies(url) == {"http": proxy.url}
    assert get(url).body == b"by proxy"
    assert proxy.requests[0].startswith(b"GET http://service.example/v1 HTTP/1.1")
    assert proxies("http://127.0.0.1:8000") == {}


def test_a_deadline_holds_by_a_proxy_too(wild, monkeypatch):
    proxy = wild(lambda self, connection, request: drip(self, connection, b"H"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.url)
    with pytest.raises(Lost, match=r"service\.example:80 did not answer within 0\.2 s"):
        post("http://service.example/", timeout=0.2)


def test_a_tunnel_that_the_proxy_or_we_refuse_is_none(wild, monkeypatch):
    proxy = wild(says(answer(b"", "403 Forbidden")))
    monkeypatch.setenv("https_proxy", proxy.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Unreachable, match=r"service\.example:443 by the proxy.*403"):
        get("https://service.example/?key=hunter2")
    with pytest.raises(UsageError, match="link-local"):
        get("https://169.254.169.254/latest")
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://", "ftp://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_said_so(monkeypatch, proxy):
    monkeypatch.setenv("http_proxy", proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises((UsageError, BackendError), match="proxy"):
        get("http://service.example/")


def test_netrc_is_never_read(wild, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = wild(says(answer(b"")))
    get(server.url)
    assert b"authorization" not in server.requests[0].lower()


def test_a_name_that_nobody_knows_is_said_without_the_query(monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Unreachable, match=r"nowhere\.example:443: name or service") as caught:
        get("https://nowhere.example/v1?key=hunter2")
    assert "hunter2" not in repr(caught.value)


@pytest.mark.parametrize("url", ["http://" + "a" * 70 + ".example/?key=hunter2", "http://a..b/"])
def test_a_host_that_no_name_can_be_is_an_error_of_use(url):
    with pytest.raises((UsageError, Unreachable)) as caught:
        get(url)
    assert "hunter2" not in str(caught.value)


def test_the_next_address_of_a_host_is_tried(wild, monkeypatch):
    server = wild(says(answer(b"ok")))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()
    stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    found = [(*stream, closed), (*stream, ("127.0.0.1", server.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    assert get("http://two.example/").body == b"ok"
