"""A key is searched for wherever it might show: answers, messages, logs, tracebacks."""

from __future__ import annotations

import base64
import html
import json
import logging
import pickle
import socket
import traceback
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.api.http import fetch
from probe.api.secrets import MASK, SHORTEST, masked, masked_bytes, redacted, remember
from probe.errors import ProbeError, UsageError
from tests.api.hostile import answer, reset, says

CANARY = 'canary-7f3a/+ "9Xz&'
URL_KEY = "canary-in-url-51d0"
SECRETS = frozenset({CANARY, URL_KEY})
SHAPES = [CANARY, quote(CANARY, safe=""), quote_plus(CANARY), json.dumps(CANARY)[1:-1]]
TRACES = [*SHAPES, html.escape(CANARY), URL_KEY, "canary-7f3a", "canary-in-url"]


def ask(url, **options):
    return fetch(
        "POST",
        f"{url}/v1?key={URL_KEY}",
        headers={"X-Key": CANARY},
        body=b"picture",
        timeout=options.pop("timeout", 5.0),
        secrets=SECRETS,
        trusted=True,
        **options,
    )


def is_clean(text):
    return not any(trace in text for trace in TRACES)


@pytest.fixture
def logged(caplog):
    for name in ("", "urllib3", "requests", "probe"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


# Answers


def test_an_echoed_key_is_replaced_in_body_and_headers(wild):
    echo = json.dumps({"error": f"bad key {CANARY}", "again": [quote(CANARY), URL_KEY]})
    told = {"X-Request-Id": f"for {URL_KEY}", "Content-Type": f"a/b; {CANARY}", "X-Key": CANARY}
    reply = ask(wild(says(answer(echo.encode(), "403 No", **told))).url)
    assert json.loads(reply.body) == {"error": f"bad key {MASK}", "again": [MASK, MASK]}
    assert reply.headers["X-Request-Id"] == f"for {MASK}"
    assert "X-Key" not in reply.headers
    assert is_clean(repr(reply) + reply.excerpt)


def test_user_and_password_are_a_secret_as_they_are_sent(wild):
    both = base64.b64encode(b"user:password of mine").decode()
    server = wild(says(answer(f"no {both}".encode())))
    reply = fetch(
        "GET", server.url, headers={"Authorization": f"Basic {both}"}, timeout=5, trusted=True
    )
    assert reply.body == b"no ***"
    assert both.encode() in server.requests[0]


@pytest.mark.parametrize(
    "spell",
    [
        str,
        quote,
        quote_plus,
        html.escape,
        lambda key: quote(key, safe=""),
        lambda key: json.dumps(key)[1:-1],
        lambda key: json.dumps(key, ensure_ascii=False)[1:-1],
        lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
        lambda key: json.dumps(json.dumps(key)[1:-1])[1:-1],
    ],
)
@given(key=st.text(min_size=SHORTEST), before=st.text("ab{:", max_size=5))
def test_a_key_in_any_spelling_is_replaced(spell, key, before):
    try:
        text = f'{before}"{spell(key)}"}}'
    except UnicodeEncodeError:  # a lone surrogate is no part of a URL
        return
    assert masked(text, frozenset({key})) == f'{before}"{MASK}"}}'
    sent = text.encode("utf-8", "surrogatepass")
    assert masked_bytes(sent, frozenset({key})).decode() == f'{before}"{MASK}"}}'


def test_a_key_within_another_leaves_nothing_of_either():
    assert (
        masked("abcdefgh-suffix abcdefgh", frozenset({"abcdefgh", "abcdefgh-suffix"})) == "*** ***"
    )


@pytest.mark.parametrize("secret", ["", "1", "0.5", "nsfw", "x" * (SHORTEST - 1)])
def test_what_is_too_short_for_a_key_spoils_no_answer(secret):
    body = b'{"nsfw": 0.51, "xxxxx": 1}'
    assert masked_bytes(body, frozenset({secret})) == body


# Errors: whatever happens, no text that is made of them holds the key

FAILURES = {
    "resets": lambda self, connection, request: reset(connection),
    "is silent": lambda self, connection, request: self.stop.wait(),
    "speaks no HTTP": says(f"{CANARY} {URL_KEY}\r\n".encode()),
    "sends a wrong length": says(
        f"HTTP/1.1 200 OK\r\nContent-Length: {URL_KEY},2\r\n\r\n".encode()
    ),
    "sends too much": says(answer(CANARY.encode() * 10_000)),
    "sends a strange status": says(f"HTTP/1.1 {URL_KEY} {CANARY}\r\n\r\n".encode()),
    "sends a broken header": says(f"HTTP/1.1 200 OK\r\n{CANARY}\r\nX\r\n\r\n".encode()),
}


@pytest.fixture(params=[*FAILURES, "nobody listens", "no name", "no TLS", "bad proxy"])
def failure(request, wild, monkeypatch):
    """The error of a request that fails in this way."""
    if request.param in FAILURES:
        url = wild(FAILURES[request.param]).url
    elif request.param == "nobody listens":
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    elif request.param == "no TLS":
        url = wild(says(b"plain\r\n\r\n")).url.replace("http", "https")
    else:
        url = "https://nowhere.invalid"
        if request.param == "bad proxy":
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("https_proxy", f"http://me:{URL_KEY}@127.0.0.1:9")
        else:
            monkeypatch.setattr(socket, "getaddrinfo", unknown)
    try:
        ask(url, timeout=0.3, max_bytes=1000)
    except ProbeError as error:
        return error
    pytest.skip("this one is an answer")


def unknown(*args, **options):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def chain(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_no_error_shows_a_key(failure, logged):
    assert is_clean("".join(traceback.format_exception(failure)))
    for error in chain(failure):
        assert is_clean(f"{error} {error!r} {vars(error)!r} {error.args!r}")
        assert not hasattr(error, "request")
    assert str(failure).isprintable()
    assert is_clean(pickle.dumps(failure).decode("latin-1"))


def test_no_variable_that_a_traceback_reaches_holds_a_key(failure):
    """Tools that report errors show the variables of every frame."""
    for error in chain(failure):
        for frame, _ in traceback.walk_tb(error.__traceback__):
            package = frame.f_globals["__name__"].partition(".")[0]
            assert package in ("tests", "probe")
            if package == "probe":
                assert is_clean(repr(frame.f_locals))


def test_no_log_shows_a_key(failure, logged):
    assert is_clean(logged.text)


def test_the_libraries_log_without_queries_and_tracebacks(wild, logged):
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + CANARY.encode() + b"\r\nX: y\r\n\r\nok"
    ask(wild(says(broken)).url)
    assert '"POST /v1?*** HTTP/1.1" 200' in logged.text
    assert "Failed to parse headers" in logged.text
    assert "Traceback" not in logged.text
    assert is_clean(logged.text)


def test_all_keys_that_were_used_are_known_to_who_prints_tracebacks():
    remember({"another-canary-1"})
    said = redacted("GET /v1?a=b another-canary-1 (what?) is it right?; http://a/?b, http://?")
    assert said == "GET /v1?*** *** (what?) is it right?; http://a/?*** http://?"


# Headers that cannot be sent


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Key", f"{CANARY}\n"),
        ("X-Key", f"{CANARY}\r\nX-Injected: 1"),
        ("X-Key", f"{CANARY}\x00"),
        ("X-Key", f"{CANARY}é"),
        ("X-Key", f"{CANARY}\u0416"),
        ("X-Key\r\nX-Injected", "1"),
        ("X Key", "1"),
        ("", "1"),
    ],
)
def test_a_header_that_http_does_not_carry_is_found_before_and_shown_without_its_value(
    wild, name, value
):
    server = wild(says(answer(b"")))
    with pytest.raises(UsageError, match=r"the header .*look at the variable") as caught:
        fetch("GET", server.url, headers={name: value}, timeout=5, trusted=True)
    assert is_clean("".join(traceback.format_exception(caught.value)))
    assert str(caught.value).isprintable()
    assert server.connections == 0
