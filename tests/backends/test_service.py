from __future__ import annotations

import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest

from probe import Prober
from probe.api.http import Reply
from probe.api.profile import catalogue, grammar
from probe.api.profile.settings import Settings
from probe.api.request import Request
from probe.backends import resolve
from probe.backends.connection import Connection
from probe.backends.service import Service
from probe.backends.token import EARLY, Tokens
from probe.errors import (
    AuthError,
    BackendError,
    ContractError,
    LimitReached,
    ProfileError,
    QuotaExhausted,
    Rejected,
    Unreachable,
    UsageError,
)
from probe.ledger import Ledger
from probe.testing.planted import planted_picture
from probe.types import Codec, Failure, Scores

PNG = Codec("png")
KEY = "pat-0123456789abcdef"

PLAIN = """
name = "plain"
[vars]
model = "one"
[request]
method = "POST"
url = "${PLAIN_BASE}/score/{model}"
headers = { X-Key = "${PLAIN_KEY}" }
body = "json"
template = '{"images": "$items"}'
item = '"{b64}"'
[response]
results = "results"
labels = "keys(scores)"
scores = "values(scores)"
version = "version"
error = "error"
code = "code"
[nsfw]
labels = ["nude"]
[limits]
max_batch = 4
[retry]
quota_codes = ["empty"]
"""


def plain(server, **changes) -> Service:
    environ = {"PLAIN_BASE": server.url, "PLAIN_KEY": KEY} | changes
    return Service(grammar.parse(PLAIN, "plain.toml"), environ)


def body_of(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


@pytest.fixture
def answering(wild, reply):
    """A server that answers each request by what `answer(number of the request)` returns."""

    def start(answer):
        def script(server, connection, request):
            made = answer(len(server.requests))
            connection.sendall(made if isinstance(made, bytes) else reply(made))

        return wild(script)

    return start


def scores(count, **more):
    return {"results": [{"scores": {"nude": 0.25 * i}} for i in range(count)], **more}


def test_a_request_is_rendered_sent_and_read(answering, sample):
    server = answering(lambda number: scores(3))
    outcomes = plain(server).score([sample(codec=PNG)] * 3, PNG)
    assert [outcome["nsfw"] for outcome in outcomes] == [0, 0.25, 0.5]
    assert [outcome.part for outcome in outcomes] == [(0, 3), (1, 3), (2, 3)]
    [request] = server.requests
    assert request.startswith(b"POST /score/one HTTP/1.1\r\n")
    assert len(json.loads(body_of(request))["images"]) == 3
    assert f"X-Key: {KEY}".encode() in request


def test_the_answers_on_record_are_read_again_by_its_reading(answering, sample):
    service = plain(answering(lambda number: scores(2)))
    outcomes = service.score([sample(codec=PNG)] * 2, PNG)
    again = [service.reading.read(one.raw, *one.part) for one in outcomes]
    assert again == outcomes


def test_the_identity_names_what_is_asked_of_whom_and_no_key():
    profile = grammar.parse(PLAIN, "plain.toml")

    def identity(**environ):
        return Service(profile, {"PLAIN_BASE": "https://a.example", **environ}).identity

    assert identity(PLAIN_KEY=KEY) == identity(PLAIN_KEY="another") == identity()
    assert KEY not in identity(PLAIN_KEY=KEY)
    assert "https://a.example/score/one" in identity()
    assert identity() != identity(PLAIN_BASE="https://b.example")
    other = Service(catalogue.load("clarifai", {"model": "general-image-recognition"}), {})
    assert other.identity != Service(catalogue.load("clarifai"), {}).identity


def test_limits_are_the_profiles_with_the_host():
    limits = Service(catalogue.load("clarifai"), {}).limits
    assert (limits.host, limits.batch, limits.question) == ("api.clarifai.com:443", 128, "nsfw")
    limits = Service(catalogue.load("nsfwjs-express"), {"NSFWJS_BASE": "http://10.0.0.1:81"}).limits
    assert (limits.host, limits.formats) == ("10.0.0.1:81", ("jpeg",))
    assert Service(catalogue.load("oip-json"), {}).limits.labels == ("nsfw", "sfw")


def test_every_missing_variable_is_named_before_anything_is_sent(answering, sample):
    server = answering(lambda number: scores(1))
    with pytest.raises(ProfileError, match="PLAIN_KEY"):
        plain(server, PLAIN_KEY="  ").score([sample(codec=PNG)], PNG)
    with pytest.raises(ProfileError, match="API_KEY and IMAGGA_API_SECRET"):
        resolve("imagga-nsfw").score([sample(codec=PNG)], PNG)
    with pytest.raises(ProfileError, match="PLAIN_BASE"):
        _ = plain(server, PLAIN_BASE="").limits
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        ("401 Unauthorized", {"error": "bad key"}, AuthError, r"bad key.*PLAIN_KEY"),
        ("403 Forbidden", {}, AuthError, "PLAIN_KEY"),
        ("404 Not Found", {"error": "no model one"}, Rejected, "no model one.*address right"),
        ("405 Not Allowed", {}, Rejected, "address"),
        ("302 Found", b"", Rejected, "redirect"),
        ("200 OK", b"<html>Sign in</html>", ContractError, "Sign in"),
        ("200 OK", {"answer": 42}, ContractError, "results"),
        ("402 Payment Required", {"error": "pay"}, QuotaExhausted, "pay"),
        ("400 Bad Request", {"error": "over", "code": "empty"}, QuotaExhausted, "over"),
    ],
)
def test_one_request_tells_key_address_contract_and_quota_apart(
    wild, reply, sample, status, body, kind, says
):
    server = wild(lambda _, connection, request: connection.sendall(reply(body, status)))
    with pytest.raises(kind, match=says) as error:
        plain(server).score([sample(codec=PNG)], PNG)
    assert type(error.value) is kind or issubclass(type(error.value), ContractError)
    assert len(server.requests) == 1
    assert KEY not in str(error.value)


def test_nobody_there_names_the_variable_of_the_address(sample, wild):
    server = wild(lambda *_: None)
    server.close()
    with pytest.raises(Unreachable, match="PLAIN_BASE"):
        plain(server).score([sample(codec=PNG)], PNG)


def test_an_answer_that_breaks_off_is_lost_and_perhaps_billed(wild, sample):
    def cut(server, connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
        connection.close()

    outcomes = plain(wild(cut)).score([sample(codec=PNG)] * 2, PNG)
    assert [(one.kind, one.billed) for one in outcomes] == [("lost", True)] * 2


def test_a_server_that_echoes_the_key_does_not_get_it_on_record(answering, sample):
    server = answering(lambda number: scores(1, echo=KEY))
    [outcome] = plain(server).score([sample(codec=PNG)], PNG)
    assert KEY.encode() not in outcome.raw
    assert KEY not in repr(plain(server))


def test_pickled_it_takes_its_key_from_the_environment_where_it_is_unpickled(
    answering, sample, monkeypatch
):
    server = answering(lambda number: scores(1))
    parcel = pickle.dumps(plain(server))
    assert KEY.encode() not in parcel
    again = pickle.loads(parcel)
    with pytest.raises(ProfileError, match="PLAIN_BASE"):
        _ = again.identity
    monkeypatch.setenv("PLAIN_BASE", server.url)
    monkeypatch.setenv("PLAIN_KEY", "key-of-the-worker")
    assert again.identity == plain(server).identity
    assert again.score([sample(codec=PNG)], PNG)[0]["nsfw"] == 0
    assert b"X-Key: key-of-the-worker" in server.requests[0]


def test_a_key_is_not_sent_unencrypted_to_another_machine(sample):
    profile = grammar.parse(PLAIN, "plain.toml")
    environ = {"PLAIN_BASE": "http://moderation.invalid", "PLAIN_KEY": KEY}
    with pytest.raises(UsageError, match="--allow-http"):
        Service(profile, environ).score([sample(codec=PNG)], PNG)
    allowed = Service(profile, environ, connection=Connection(timeout=5, allow_http=True))
    with pytest.raises(Unreachable, match=r"moderation\.invalid"):
        allowed.score([sample(codec=PNG)], PNG)


def test_a_strangers_profile_reaches_no_private_network_that_nobody_typed(
    answering, sample, tmp_path
):
    server = answering(lambda number: scores(1))
    text = PLAIN.replace("${PLAIN_BASE}", server.url).replace("${PLAIN_KEY}", "none")
    path = tmp_path / "stranger.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="private"):
        resolve(path).score([sample(codec=PNG)], PNG)
    assert server.requests == []
    typed = PLAIN.replace("${PLAIN_BASE}", f"${{PLAIN_BASE:-{server.url}}}")
    path.write_text(typed)
    with pytest.raises(UsageError, match="private"):
        Service(catalogue.load(str(path)), {"PLAIN_KEY": KEY}).score([sample(codec=PNG)], PNG)
    assert server.requests == []
    known = Service(catalogue.load(str(path)), {"PLAIN_KEY": KEY, "PLAIN_BASE": server.url})
    assert isinstance(known.score([sample(codec=PNG)], PNG)[0], Scores)


@pytest.mark.parametrize("base", ["http://169.254.169.254", "http://metadata.google.internal"])
def test_what_hands_out_keys_of_machines_is_refused_even_when_typed(sample, base):
    profile = grammar.parse(PLAIN.replace("${PLAIN_KEY}", "none"), "plain.toml")
    with pytest.raises(UsageError, match="refused"):
        Service(profile, {"PLAIN_BASE": base}, trusted=True).score([sample(codec=PNG)], PNG)


def test_answers_of_two_versions_of_a_model_are_not_mixed(answering, sample):
    versions = ["1.0", "1.0", None, "1.1"]
    server = answering(lambda number: scores(1, version=versions[number - 1]))
    service = plain(server)
    for _ in range(3):
        assert isinstance(service.score([sample(codec=PNG)], PNG)[0], Scores)
    with pytest.raises(Rejected, match=r"'1\.0' to '1\.1'"):
        service.score([sample(codec=PNG)], PNG)


TOKENS = {"CLARIFAI_APP_ID": "app-id-0123", "CLARIFAI_APP_SECRET": "app-secret-0123"}


class TokenServer:
    """Clarifai's tag API of 2016, as far as tokens go: the newest token is the one that counts."""

    def __init__(self, wild, reply, lifetime=36000, good=True):
        self.lifetime, self.good = lifetime, good
        self.tokens = 0
        self.reply = reply
        self.lock = threading.Lock()
        self.server = wild(self.script)

    def script(self, server, connection, request):
        connection.sendall(self.reply(*self.answer(request)))

    def answer(self, request):
        if request.startswith(b"POST /v1/token/"):
            form = parse_qs(body_of(request).decode())
            assert form["client_secret"] == [TOKENS["CLARIFAI_APP_SECRET"]]
            if not self.good:
                return {"status_code": "TOKEN_APP_INVALID"}, "401 Unauthorized"
            with self.lock:
                self.tokens += 1
            return {
                "access_token": f"token-{self.tokens:06}",
                "expires_in": self.lifetime,
            }, "200 OK"
        if f"Bearer token-{self.tokens:06}".encode() not in request:
            return {"status_code": "TOKEN_EXPIRED", "status_msg": "expired"}, "401 Unauthorized"
        tag = {"classes": ["sfw", "nsfw"], "probs": [0.75, 0.25], "by": f"token-{self.tokens:06}"}
        result = {"status_code": "OK", "result": {"tag": tag}}
        return {"status_code": "OK", "results": [result]}, "200 OK"

    def service(self) -> Service:
        environ = TOKENS | {"CLARIFAI_V1_BASE": self.server.url}
        return Service(catalogue.load("clarifai-v1"), environ)


@pytest.fixture
def tokens(wild, reply):
    return lambda **options: TokenServer(wild, reply, **options)


def test_one_token_serves_many_requests_of_many_threads(tokens, sample):
    server = tokens()
    service = server.service()
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(
            pool.map(lambda _: service.score([sample(codec=PNG)], PNG)[0]["nsfw"], range(12))
        )
    assert outcomes == [0.25] * 12
    assert server.tokens == 1
    assert len(server.server.requests) == 13


def test_a_token_that_is_echoed_is_not_put_on_record(tokens, sample):
    [outcome] = tokens().service().score([sample(codec=PNG)], PNG)
    assert b"classes" in outcome.raw
    assert b"token-" not in outcome.raw


def test_a_token_that_the_service_no_longer_takes_is_renewed_once(tokens, sample):
    server = tokens()
    service = server.service()
    service.score([sample(codec=PNG)], PNG)
    server.tokens += 1
    [refused] = service.score([sample(codec=PNG)], PNG)
    assert (refused.kind, refused.wait, refused.billed) == ("unavailable", 0, False)
    assert "the token was refused, a new one is asked for" in refused.message
    assert len(server.server.requests) == 2 + 1
    assert service.score([sample(codec=PNG)], PNG)[0]["nsfw"] == 0.25
    assert server.tokens == 3
    assert len(server.server.requests) == 2 + 3


def test_a_token_that_is_never_taken_is_a_wrong_key_after_two_requests(wild, reply, sample):
    def script(server, connection, request):
        token = {"access_token": "token-000000"}
        refusal = {"status_code": "TOKEN_INVALID", "status_msg": "token-000000 is no token"}
        is_token = request.startswith(b"POST /v1/token/")
        connection.sendall(reply(token if is_token else refusal))

    server = wild(script)
    environ = TOKENS | {"CLARIFAI_V1_BASE": server.url}
    service = Service(catalogue.load("clarifai-v1"), environ)
    assert service.score([sample(codec=PNG)], PNG)[0].kind == "unavailable"
    with pytest.raises(AuthError, match="CLARIFAI_APP_ID and CLARIFAI_APP_SECRET") as error:
        service.score([sample(codec=PNG)], PNG)
    assert len(server.requests) == 4
    assert "token-000000" not in str(error.value)


def test_a_wrong_key_for_a_token_is_told_before_a_picture_is_sent(tokens, sample):
    server = tokens(good=False)
    with pytest.raises(AuthError, match="CLARIFAI_APP_SECRET") as error:
        server.service().score([sample(codec=PNG)], PNG)
    assert len(server.server.requests) == 1
    assert TOKENS["CLARIFAI_APP_SECRET"] not in str(error.value)


def test_a_token_is_renewed_before_it_expires():
    profile = catalogue.load("clarifai-v1")
    now = [0.0]
    posts = []

    def send(request):
        posts.append(request.url)
        token = {"access_token": f"t{len(posts)}", "expires_in": 100}
        return Reply(200, {}, json.dumps(token).encode(), True)

    made = Tokens(profile.request.token, Settings(profile, TOKENS), send, clock=lambda: now[0])
    request = Request("POST", "https://api.example/", {"X-Kept": "yes"}, b"")

    def header():
        signed = made.signed(request)
        assert signed.headers["X-Kept"] == "yes"
        return signed.headers["Authorization"], signed

    old, first = header()
    assert (old, header()[0]) == ("Bearer t1", "Bearer t1")
    now[0] = 100 - EARLY
    newer, second = header()
    assert newer == "Bearer t2"
    assert made.drop(first)
    assert header()[0] == "Bearer t2"
    assert made.drop(second)
    renewed, third = header()
    assert renewed == "Bearer t3"
    made.accept(third)
    assert made.drop(third)
    assert not made.drop(header()[1])


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("200 OK", {"token": "elsewhere"}, ContractError),
        ("200 OK", {"access_token": "two\nlines"}, ContractError),
        ("200 OK", b"<html>", ContractError),
        ("503 Busy", {}, Unreachable),
    ],
)
def test_an_answer_without_a_token_sends_no_picture(wild, reply, sample, status, body, kind):
    server = wild(lambda _, connection, request: connection.sendall(reply(body, status)))
    service = Service(catalogue.load("clarifai-v1"), TOKENS | {"CLARIFAI_V1_BASE": server.url})
    with pytest.raises(kind):
        service.score([sample(codec=PNG)], PNG)
    assert len(server.requests) == 1


def shown_by_a_debugger(error: BaseException) -> str:
    """All variables of the package's frames, as tools that print tracebacks show them."""
    shown = []
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            if "/probe/" in trace.tb_frame.f_code.co_filename:
                shown += [repr(value) for value in trace.tb_frame.f_locals.values()]
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    assert shown
    return " ".join(shown)


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "200 OK"])
def test_no_variable_of_a_traceback_shows_a_key(wild, reply, sample, status):
    def script(server, connection, request):
        is_token = request.startswith(b"POST /v1/token/")
        token = {"access_token": "token-of-today"}
        connection.sendall(reply(token) if is_token else reply({"no": "answer"}, status))

    server = wild(script)
    environ = TOKENS | {"CLARIFAI_V1_BASE": server.url}
    for service in (plain(server), Service(catalogue.load("clarifai-v1"), environ)):
        if status.startswith("401") and service.profile.request.token:
            service.score([sample(codec=PNG)], PNG)
        with pytest.raises(BackendError) as error:
            service.score([sample(codec=PNG)], PNG)
        shown = shown_by_a_debugger(error.value)
        for secret in (KEY, TOKENS["CLARIFAI_APP_SECRET"], "token-of-today"):
            assert secret not in shown


def test_throttling_is_a_failure_with_its_wait(wild, reply, sample):
    busy = reply({"error": "slow down"}, "429 Too Many Requests", Retry_After="7")
    server = wild(lambda _, connection, request: connection.sendall(busy))
    [outcome] = plain(server).score([sample(codec=PNG)], PNG)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.wait) == ("throttled", 7)


def test_each_sending_of_a_picture_is_within_the_cap(tokens):
    server = tokens()
    service = server.service()
    prober = Prober(service, codec=PNG, ledger=Ledger(None), max_calls=9)
    answer = server.answer

    def forgetful(request):
        """A token serves once."""
        said = answer(request)
        server.tokens += b"encoded_data" in request and said[1] == "200 OK"
        return said

    server.answer = forgetful
    with pytest.raises(LimitReached):
        prober.probe(planted_picture(), budget=48)
    posts = [r for r in server.server.requests if not r.startswith(b"POST /v1/token/")]
    assert sum(r.count(b'name="encoded_data"') for r in posts) <= 9


def test_a_token_that_cannot_be_renewed_gives_no_refund_for_what_was_sent(wild, reply, sample):
    def script(server, connection, request):
        if not request.startswith(b"POST /v1/token/"):
            connection.sendall(reply({"status_code": "TOKEN_EXPIRED"}, "401 Unauthorized"))
        elif len(server.requests) == 1:
            connection.sendall(reply({"access_token": "token-000001"}))
        else:
            connection.close()

    server = wild(script)
    service = Service(catalogue.load("clarifai-v1"), TOKENS | {"CLARIFAI_V1_BASE": server.url})
    assert service.score([sample(codec=PNG)], PNG)[0].kind == "unavailable"
    sent = len(server.requests)
    with pytest.raises(Unreachable):
        service.score([sample(codec=PNG)], PNG)
    assert sent == 2
    assert all(r.startswith(b"POST /v1/token/") for r in server.requests[sent:])


TWO_HOSTS = PLAIN.replace(
    "[response]",
    """[request.token]
url = "TOKENS_AT/token"
token = "access_token"
form = { secret = "${PLAIN_SECRET}" }
[response]""",
)


def test_a_token_is_asked_at_a_private_address_only_where_that_is_known(answering, sample):
    pictures = answering(lambda number: scores(1))
    bearer = answering(lambda number: {"access_token": "token-000001"})
    environ = {"PLAIN_BASE": pictures.url, "PLAIN_KEY": KEY, "PLAIN_SECRET": "secret-0123"}

    def ask(at, **more):
        profile = grammar.parse(TWO_HOSTS.replace("TOKENS_AT", at), "two.toml")
        service = Service(profile, environ | more, trusted=True)
        return service.score([sample(codec=PNG)], PNG)[0]

    for at in (bearer.url, f"${{TOKEN_BASE:-{bearer.url}}}"):
        with pytest.raises(UsageError, match="private"):
            ask(at)
    assert bearer.requests == pictures.requests == []
    assert isinstance(ask("${TOKEN_BASE}", TOKEN_BASE=bearer.url), Scores)


def test_a_token_of_the_host_that_is_known_needs_no_typing(answering, sample):
    made = [{"access_token": "token-000001"}, scores(1)]
    server = answering(lambda number: made[number - 1])
    environ = {"PLAIN_BASE": server.url, "PLAIN_KEY": KEY, "PLAIN_SECRET": "secret-0123"}
    profile = grammar.parse(TWO_HOSTS.replace("TOKENS_AT", server.url), "one.toml")
    assert isinstance(Service(profile, environ).score([sample(codec=PNG)], PNG)[0], Scores)


def test_a_version_that_cannot_be_read_is_none(answering, sample):
    text = PLAIN.replace('version = "version"', "version = \"join('.', version)\"")
    server = answering(lambda number: scores(1, version=3))
    environ = {"PLAIN_BASE": server.url, "PLAIN_KEY": KEY}
    service = Service(grammar.parse(text, "plain.toml"), environ)
    assert isinstance(service.score([sample(codec=PNG)], PNG)[0], Scores)
    assert service.identity == service.service_identity


def test_the_version_of_a_packed_answer_is_read(answering, reply, sample):
    msgpack = pytest.importorskip("msgpack")
    text = PLAIN.replace('body = "json"', 'body = "msgpack"')
    text = "\n".join(line for line in text.split("\n") if not line.startswith(("template", "item")))
    server = answering(lambda number: reply(msgpack.packb(scores(1, version=f"1.{number}"))))
    environ = {"PLAIN_BASE": server.url, "PLAIN_KEY": KEY}
    service = Service(grammar.parse(text, "plain.toml"), environ)
    assert isinstance(service.score([sample(codec=PNG)], PNG)[0], Scores)
    with pytest.raises(Rejected, match=r"'1\.1' to '1\.2'"):
        service.score([sample(codec=PNG)], PNG)
