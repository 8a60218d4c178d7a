"""A key in the environment is searched for in all that a command writes, whatever the server says.

The server knows the key, for it was sent it, and shows it everywhere that a server can.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import sqlite3
import subprocess
import sys
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from probe.cli import main
from probe.testing.planted import planted_picture
from tests.api.hostile import Script, answer, reset, says

KEY = 'canary/5zqxvk+ "7wqzjx'
PASSWORD = "canary.password.93"
FORMS = (KEY, quote_plus(KEY), json.dumps(KEY)[1:-1], PASSWORD)
BASIC = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
TRACES = [b"canary", b"5zqxvk", b"7wqzjx", BASIC.encode(), BASIC.rstrip("=").encode()]

PROFILE = """
name = "leaky"
[vars]
model = "one"
[request]
method = "POST"
url = "${LEAKY_BASE}/score/{model}"
headers = { X-Key = "${LEAKY_KEY}" }
query = { key = "${LEAKY_KEY}" }
basic = ["user", "${LEAKY_PASSWORD}"]
body = "json"
template = '{"key": "${LEAKY_KEY}", "images": "$items"}'
item = '"{b64}"'
[response]
results = "results"
labels = "keys(scores)"
scores = "values(scores)"
version = "version"
error = "error"
[nsfw]
labels = ["nude"]
[limits]
formats = ["png"]
[retry]
attempts = 1
"""


def shown(status: str, document: dict[str, object] | bytes) -> bytes:
    """An answer with the key in its body and in every kind of header."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return answer(
        body,
        status,
        X_Request_Id=FORMS[0],
        Content_Type=f"application/json; key={FORMS[1]}",
        Set_Cookie=f"key={FORMS[1]}",
        Location=f"http://127.0.0.1:9/{FORMS[1]}?key={FORMS[1]}",
        Retry_After="600",
        X_Key=FORMS[0],
    )


SAID = f"no: {' '.join(FORMS)} {BASIC}"
SCORED = {"scores": {"nude": 0.5, "dressed": 0.5, KEY: 0.25}, "said": SAID}
SERVERS: dict[str, Script] = {
    "answers": says(shown("200 OK", {"results": [SCORED], "said": SAID})),
    "answers with a new version each time": lambda server, connection, request: connection.sendall(
        shown("200 OK", {"results": [SCORED], "version": f"{KEY} {len(server.requests)}"})
    ),
    "names a score after the key": says(shown("200 OK", {"results": [{"scores": {KEY: SAID}}]})),
    "answers without a result": says(shown("200 OK", {"error": SAID})),
    "answers no JSON": says(shown("200 OK", f"<html>{SAID}".encode())),
    "answers with too little": says(shown("200 OK", {"results": [], "said": SAID})),
    "sends it on": says(shown("307 Elsewhere", {"error": SAID})),
    "says the picture is bad": says(shown("400 Bad", {"error": SAID})),
    "says the key is bad": says(shown("401 No", {"error": SAID})),
    "wants money": says(shown("402 Pay", {"error": SAID})),
    "does not know the path": says(shown("404 Where", {"error": SAID})),
    "is too busy": says(shown("429 Slow", {"error": SAID})),
    "is broken": says(shown("500 Oops", {"error": SAID})),
    "speaks no HTTP": says(f"{SAID}\r\n\r\n".encode()),
    "breaks its headers": says(
        f"HTTP/1.1 200 {KEY}\r\nContent-Length: 9\r\n{SAID}\r\nX\r\n\r\n{SAID}".encode()
    ),
    "hangs up": lambda server, connection, request: reset(connection),
}


@pytest.fixture
def leaky(tmp_path, monkeypatch, wild):
    """A folder with a picture and a profile whose key is in the environment."""

    def start(script):
        server = wild(script)
        monkeypatch.setenv("LEAKY_BASE", server.url)
        return server

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEAKY_KEY", KEY)
    monkeypatch.setenv("LEAKY_PASSWORD", PASSWORD)
    monkeypatch.setenv("PROBE_LEDGER", str(tmp_path / "ledger.db"))
    (tmp_path / "leaky.toml").write_text(PROFILE)
    planted_picture().save(tmp_path / "planted.png")
    return start


def contents(path: Path):
    """All bytes of a file, compressed ones as they were, too."""
    data = path.read_bytes()
    yield data
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if data.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(path)) as connection:
            for line in connection.iterdump():
                yield line.encode()
            for (table,) in list(connection.execute("SELECT name FROM sqlite_master")):
                if connection.execute(f"SELECT 1 FROM pragma_table_info('{table}')").fetchone():
                    for row in connection.execute(f"SELECT * FROM '{table}'"):
                        yield from (inflated(value) for value in row if isinstance(value, bytes))


def inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data


def assert_no_trace(folder: Path, *texts: str) -> None:
    for text in texts:
        assert not [trace for trace in TRACES if trace in text.encode()], text
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "leaky.toml":
            for content in contents(path):
                assert not [trace for trace in TRACES if trace in content], (path, content[:500])


OCCLUDE = ["occlude", "planted.png", "--api", "leaky.toml", "--budget", "4", "--label", "nude"]


@pytest.mark.parametrize("name", SERVERS)
def test_no_file_and_no_output_shows_a_key_that_the_server_shows(
    name, leaky, tmp_path, capsys, caplog
):
    caplog.set_level(logging.DEBUG)
    server = leaky(SERVERS[name])
    with pytest.raises(SystemExit) as exit:
        main([*OCCLUDE, "--json", "-v", "--debug"])
    out, err = capsys.readouterr()
    assert KEY.encode() in server.requests[0]
    assert exit.value.code in ((0,) if name == "answers" else (2, 3, 4, 5))
    assert ("Traceback" in err) == (exit.value.code != 0)
    assert_no_trace(tmp_path, out, err, caplog.text)


def test_what_was_kept_is_shown_without_the_key(leaky, tmp_path, capsys):
    leaky(SERVERS["answers"])
    for arguments in (OCCLUDE, ["ledger", "export"], ["ledger", "stats"]):
        with pytest.raises(SystemExit):
            main(arguments)
    bodies = [content for content in contents(tmp_path / "ledger.db") if b"no: ***" in content]
    assert bodies, "the answers were to be kept"
    assert_no_trace(tmp_path, *capsys.readouterr())


@pytest.mark.parametrize(
    "arguments",
    [
        ["providers"],
        ["providers", "show", "leaky.toml"],
        ["providers", "check", "leaky.toml", "planted.png"],
        ["plan", "planted.png", "--api", "leaky.toml"],
        [*OCCLUDE, "--dry-run"],
        [*OCCLUDE, "--set", "nothing=1"],
    ],
)
def test_what_only_looks_shows_no_key(arguments, leaky, tmp_path, capsys):
    leaky(SERVERS["answers"])
    with pytest.raises(SystemExit):
        main([*arguments, "--debug"])
    assert_no_trace(tmp_path, *capsys.readouterr())


def test_a_bug_of_ours_shows_no_key_either(leaky, tmp_path, capsys, monkeypatch):
    def fail(self, reply, count):
        raise RuntimeError(f"unexpected {KEY} in http://a.example/?key={PASSWORD}&b=c")

    leaky(SERVERS["answers"])
    monkeypatch.setattr("probe.api.response.reader.Reader.outcomes", fail)
    with pytest.raises(SystemExit) as exit:
        main([*OCCLUDE, "--debug", "--json"])
    out, err = capsys.readouterr()
    assert exit.value.code == 1
    assert "RuntimeError: unexpected *** in http://a.example/?***" in err
    assert "RuntimeError: unexpected ***" in out
    assert_no_trace(tmp_path, out, err)


def test_a_key_with_a_line_break_is_named_by_its_variable(leaky, tmp_path, capsys, monkeypatch):
    server = leaky(SERVERS["answers"])
    monkeypatch.setenv("LEAKY_KEY", f"{KEY}\r\nX-Injected: 1")
    with pytest.raises(SystemExit) as exit:
        main([*OCCLUDE, "--debug"])
    out, err = capsys.readouterr()
    assert exit.value.code == 2
    assert "LEAKY_KEY" in err
    assert server.connections == 0
    assert_no_trace(tmp_path, out, err)


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_the_log_of_a_real_command_shows_no_key(level, leaky, tmp_path):
    """In a process of its own, where logging is set up as it is for users."""
    leaky(SERVERS["breaks its headers"])
    start = (
        f"import logging; logging.basicConfig(level='{level}'); from probe.cli import main; main()"
    )
    command = [sys.executable, "-c", start, *OCCLUDE, "-v", "--debug"]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert "INFO:probe." in run.stderr
    assert "?***" in run.stderr
    assert_no_trace(tmp_path, run.stdout, run.stderr)
