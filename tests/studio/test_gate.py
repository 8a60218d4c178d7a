"""Who is let in: by the address that was printed, from the studio's own page, and nobody else."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
import requests

from tests.studio.conftest import Visitor


def raw(studio, method="GET", path="/", headers=(), body=None):
    """One request with exactly these headers: (status, headers, text)."""
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=30)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read().decode()
    connection.close()
    return found


@pytest.fixture
def own(studio):
    """(Host, Cookie, Origin) of the studio's own page."""
    visitor = Visitor(studio.url)
    cookie = "; ".join(f"{one.name}={one.value}" for one in visitor.session.cookies)
    host = f"127.0.0.1:{studio.port}"
    return ("Host", host), ("Cookie", cookie), ("Origin", f"http://{host}")


def test_the_token_becomes_a_cookie_that_no_script_and_no_other_site_sees(studio):
    answer = requests.get(studio.url, allow_redirects=False, timeout=30)
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0;url=/"' in answer.text
    assert studio.url.partition("token=")[2] not in answer.text + answer.headers["set-cookie"]
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert str(studio.port) in cookie.partition("=")[0]


@pytest.mark.parametrize("path", ["/", "/runs/x", "/assets/studio.css", "/ledger", "/nothing"])
def test_without_the_token_nothing_is_shown(studio, own, path):
    host, _, origin = own
    for cookie in (None, "", "x", "\xe9"):
        given = [] if cookie is None else [("Cookie", f"probe-studio-{studio.port}={cookie}")]
        assert raw(studio, path=path, headers=[host, *given])[0] == 403
        assert raw(studio, "POST", path, [host, origin, *given, ("Content-Length", "0")])[0] == 403


JUNK = ["a b=c", "noval", 'x=a"b', "a@b=1", "a[b]=1", "path=1", "expires=Wed", "\xe9=1", "=", ""]


@pytest.mark.parametrize("junk", JUNK)
def test_whatever_other_programs_put_into_the_cookies_the_own_one_counts(studio, own, junk):
    host, (_, cookie), _ = own
    name = cookie.partition("=")[0]
    for given in (f"{junk}; {cookie}", f"{cookie}; {junk}", f"{name}=stale; {cookie}"):
        assert raw(studio, headers=[host, ("Cookie", given)])[0] == 200
    assert raw(studio, headers=[host, ("Cookie", junk), ("Cookie", cookie)])[0] == 200


def test_the_address_is_not_on_the_command_line_of_a_browser(studio):
    assert studio.doorway.stat().st_mode & 0o077 == 0
    assert studio.url in studio.doorway.read_text("utf-8")
    assert "token" not in studio.doorway.as_uri()


@pytest.mark.parametrize("token", ["", "wrong", "\xe9", "x" * 5000])
def test_a_wrong_token_opens_nothing(studio, token):
    where = studio.url.partition("token=")[0]
    answer = requests.get(f"{where}token={token}", allow_redirects=False, timeout=30)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "probe studio" in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", ""]
)
def test_another_host_is_refused_with_the_cookie_too(studio, own, host):
    _, cookie, _ = own
    named = ("Host", host.format(port=studio.port))
    assert raw(studio, headers=[named, cookie])[0] == 421
    token = urlsplit(studio.url).query
    status, headers, _ = raw(studio, path=f"/?{token}", headers=[named])
    assert status == 421
    assert headers["set-cookie"] is None


def test_localhost_is_this_machine(studio, own):
    _, cookie, _ = own
    assert raw(studio, headers=[("Host", f"localhost:{studio.port}"), cookie])[0] == 200


def test_two_hosts_are_none(studio, own):
    host, cookie, _ = own
    assert raw(studio, headers=[host, ("Host", "evil.example"), cookie])[0] in (400, 421)


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", ""])
def test_only_the_own_page_changes_anything(studio, own, origin):
    host, cookie, mine = own
    headers = [host, cookie, ("Content-Length", "2")]
    given = [] if origin is None else [("Origin", origin)]
    assert raw(studio, "POST", "/plan", [*headers, *given], b"{}")[0] == 403
    foreign = [mine, ("Sec-Fetch-Site", "same-site")]
    assert raw(studio, "POST", "/plan", [*headers, *foreign], b"{}")[0] == 403
    assert raw(studio, "POST", "/plan", [*headers, mine], b"{}")[0] == 404


@pytest.mark.parametrize("path", ["/", "/assets/home.js", "/nothing", "/runs/x"])
def test_every_answer_is_closed_in(visitor, path):
    headers = visitor.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_it_listens_on_this_machine_alone(studio):
    assert studio._listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../gate.py",
        "/assets/%2e%2e%2fgate.py",
        "/assets/home.html",
        "/runs/..",
        "/runs/%2e%2e/thumb.webp",
        "/runs/20200101-000000-00000000",
        "/runs/20200101-000000-0000000%0a",
        "/pictures/..%2f..%2fetc%2fpasswd.webp",
        "/scales/x.png",
    ],
)
def test_no_path_leads_anywhere_else(studio, own, path):
    host, cookie, _ = own
    assert raw(studio, path=path, headers=[host, cookie])[0] == 404
