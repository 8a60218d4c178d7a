"""Pictures that are taken in, and what is not."""

from __future__ import annotations

import http.client

import pytest

from probe.studio import asks
from tests.studio.conftest import png

HOSTILE = [
    "<script>alert(1)</script>.png",
    "</style><img src=x onerror=alert(2)>.png",
    "javascript:alert(3)",
    "\x1b[31mred.png",
    "\u202egnp.exe",
    '"; filename="evil.exe',
    "../../etc/passwd",
    "x" * 10_000,
    "'}\"{{ 7777 * 7 }}",
]


def test_a_picture_is_taken_shown_and_kept_once(visitor, studio):
    first, again = visitor.upload(), visitor.upload()
    assert first == again
    shown = visitor.get(f"/pictures/{first}.webp")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
    assert len(list(studio.desk.folder.uploads.iterdir())) == 1


def test_only_the_last_few_wait(visitor, studio):
    first = visitor.upload(name="0")
    for n in range(1, 14):
        visitor.upload(name=str(n))
    assert visitor.get(f"/pictures/{first}.webp").status_code == 404
    assert len(list(studio.desk.folder.uploads.iterdir())) == 12


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"hello", "notes.txt is not a picture that can be opened: it holds text"),
        (b"%PDF-1.7 \x00", "it holds a PDF"),
        (png()[:60], "damaged or cut short"),
        (b" ", "not a picture"),
    ],
)
def test_what_is_no_picture_is_said_in_a_line(visitor, studio, data, says):
    answer = visitor.session.post(f"{visitor.base}/pictures?name=notes.txt", data=data, timeout=30)
    assert answer.status_code == 422
    assert says in answer.json()["error"]
    assert list(studio.desk.folder.uploads.iterdir()) == []


def request(visitor, studio, headers, body):
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=30)
    cookie = "; ".join(f"{one.name}={one.value}" for one in visitor.session.cookies)
    own = {"Cookie": cookie, "Origin": visitor.base}
    connection.putrequest("POST", "/pictures")
    for name, value in (own | headers).items():
        connection.putheader(name, value)
    connection.endheaders()
    for part in body:
        connection.send(part)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_what_is_announced_as_too_large_is_refused_before_it_is_sent(visitor, studio):
    status, said = request(visitor, studio, {"Content-Length": str(10**12)}, [])
    assert status == 413
    assert "50 MB" in said


def test_what_gets_too_large_unannounced_is_refused_on_the_way(visitor, studio, monkeypatch):
    monkeypatch.setattr(asks, "MAX_BYTES", 1000)
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    status, _ = request(visitor, studio, {"Transfer-Encoding": "chunked"}, [chunk])
    assert status == 413


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_everywhere(visitor, tagging_server, name):
    picture = visitor.upload(name=name)
    wish = {"picture": picture, "api": tagging_server.url, "budget": 4, "label": None}
    run = visitor.start(**wish)
    visitor.finish(run)
    for path in ("/", f"/runs/{run}", f"/?again={run}", f"/runs/{run}/redact"):
        text = visitor.page(path)
        for bad in ("<script>alert", "<img src=x", "\x1b", "\u202e", "54439", "x" * 300):
            assert bad not in text, (path, bad)
    found = visitor.post(f"/runs/{run}/cover", {"boxes": [[0, 0, 8, 8]]}).json()
    file = visitor.get(f"/runs/{run}/covered/{found['key']}/file")
    given = file.headers["content-disposition"]
    assert given.startswith('attachment; filename="')
    assert given.count('"') == 2
    assert "evil.exe" not in given.partition("filename*")[0].replace("_", "")[:20]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"[" * 100_000, b'{"picture": 1}', b"\xff", b"x" * 300_000]
)
def test_nonsense_is_refused_in_a_line(visitor, data):
    for path in ("/plan", "/runs"):
        answer = visitor.session.post(visitor.base + path, data=data, timeout=30)
        assert 400 <= answer.status_code < 500
        assert "\n" not in answer.json()["error"]
        assert "a bug of ours" not in answer.json()["error"]
