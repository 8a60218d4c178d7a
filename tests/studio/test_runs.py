"""A run in the studio: its cost first, then the map of the command line, whatever happens."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from types import SimpleNamespace

import numpy as np
import pytest
import requests

from probe import Result
from probe.cli import main
from probe.errors import OutputError, UsageError
from probe.mock import serve as serve_model
from probe.studio import serve
from probe.testing.planted import Planted
from probe.types import Failure
from tests.studio.conftest import Visitor, png, served


def runs_folder(ledger):
    return ledger.with_name("ledger.db.studio") / "runs"


def map_of(ledger, run):
    return np.load(runs_folder(ledger) / run / "map.npy")


def by_command(tmp_path, url, *more):
    """map.npy as `probe occlude` writes it, with a ledger of its own."""
    (tmp_path / "planted.png").write_bytes(png())
    out = tmp_path / "by-command"
    words = ["occlude", tmp_path / "planted.png", "--api", url, "--out", out, "--force", "--quiet"]
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in (*words, "--ledger", tmp_path / "other.db", *more)])
    assert end.value.code == 0
    return np.load(out / "map.npy")


def same(one, other):
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def test_the_cost_comes_before_the_first_call(visitor, tagging_server):
    picture = visitor.upload()
    offer = visitor.plan(picture=picture, api=tagging_server.url)
    assert (offer["answers"], offer["known"], offer["calls"]) == (64, 0, 64)
    assert offer["line"].startswith("64 calls in ")
    assert tagging_server.url.removeprefix("http://") in offer["line"]
    assert "70 calls" in offer["bound"]
    assert offer["question"] == "nsfw"
    assert offer["samples"][0].startswith("data:image/webp;base64,")
    assert tagging_server.calls == 0


def test_nothing_starts_for_more_than_was_shown(visitor, tagging_server):
    wish = {"picture": visitor.upload(), "api": tagging_server.url}
    for calls, status in ((63, 409), (None, 400), ("64", 400)):
        assert visitor.post("/runs", {**wish, "calls": calls}).status_code == status
    assert tagging_server.calls == 0


@pytest.mark.parametrize("more", [{}, {"method": "rise", "budget": 40, "fill": "black"}])
def test_the_map_is_the_command_lines_bit_for_bit(visitor, tmp_path, ledger, more):
    with serve_model(Planted(), rates=()) as server:
        run = visitor.start(picture=visitor.upload(), api=server.url, **more)
        visitor.finish(run)
        options = [word for name, value in more.items() for word in (f"--{name}", value)]
        assert same(map_of(ledger, run), by_command(tmp_path, server.url, *options))
    names = {path.name for path in (runs_folder(ledger) / run).iterdir()}
    assert {"picture", "request.json", "ended.json", "overlay.png", "scores.csv"} <= names


def test_the_same_again_costs_nothing(visitor, tagging_server):
    wish = {"picture": visitor.upload(), "api": tagging_server.url}
    visitor.finish(visitor.start(**wish))
    calls = tagging_server.calls
    offer = visitor.plan(**wish)
    assert (offer["calls"], offer["bound"].split(":")[0]) == (0, "Nothing is sent")
    visitor.finish(visitor.start(**wish))
    assert tagging_server.calls == calls


def test_it_is_watched_while_it_grows(visitor, gated):
    run = visitor.start(picture=visitor.upload(), api=gated.url, budget=32)
    gated.model.wait_until_asked()
    news = visitor.news(run)
    assert next(news)["state"] == "starting"
    gated.model.open()
    seen = [*news]
    assert [event["version"] for event in seen] == sorted({event["version"] for event in seen})
    assert seen[-1]["state"] == "complete"
    assert (seen[-1]["answers"], seen[-1]["total"], seen[-1]["calls"]) == (32, 32, 32)
    assert seen[-1]["scales"]["kind"] == "evidence"


def test_paused_nothing_more_is_sent_until_it_goes_on(visitor, gated, tmp_path, ledger):
    run = visitor.start(picture=visitor.upload(), api=gated.url, budget=64)
    gated.model.wait_until_asked()
    gated.model.open(1)
    visitor.until(run, "running")
    visitor.post(f"/runs/{run}/pause")
    gated.model.open(4)
    visitor.until(run, "paused")
    for which in ("map", "error"):
        drawn = visitor.get(f"/runs/{run}/live/{which}.png?v=1")
        assert drawn.headers["content-type"] == "image/png"
    assert visitor.post(f"/runs/{run}/resume", {}).status_code == 200
    gated.model.open()
    assert "Drawing the report" in visitor.finish(run)
    assert gated.calls == 64
    assert same(map_of(ledger, run), by_command(tmp_path, gated.url))
    late = visitor.get(f"/runs/{run}/live/map.png?v=9")
    assert (late.status_code, late.content) == (204, b""), "no error to a browser that asked before"


def test_stopped_it_keeps_what_there_is_and_goes_on_for_the_rest(visitor, gated, tmp_path, ledger):
    run = visitor.start(picture=visitor.upload(), api=gated.url, budget=64)
    gated.model.open(4)
    visitor.until(run, "running")
    assert visitor.post(f"/runs/{run}/stop").status_code == 200
    assert visitor.post(f"/runs/{run}/stop").status_code in (200, 404)
    gated.model.open()
    page = visitor.finish(run)
    assert "Stopped." in page
    assert "Drawing the report" in page
    known = gated.calls
    assert known < 64
    kept = json.loads((runs_folder(ledger) / run / "ended.json").read_text())
    assert (kept["state"], kept["said"]) == ("stopped", "")
    offer = visitor.resume(run)
    assert offer["calls"] == 64 - known
    visitor.finish(run)
    assert gated.calls == 64
    ended = json.loads((runs_folder(ledger) / run / "ended.json").read_text())
    assert (ended["state"], ended["calls"]) == ("complete", 64)
    assert same(map_of(ledger, run), by_command(tmp_path, gated.url))


def test_a_service_has_one_run_at_a_time(visitor, gated):
    wish = {"picture": visitor.upload(), "api": gated.url}
    run = visitor.start(**wish)
    gated.model.wait_until_asked()
    refused = visitor.post("/runs", {**wish, "calls": 64})
    assert refused.status_code == 409
    assert "going on" in refused.json()["error"]
    assert visitor.post(f"/runs/{run}/stop").status_code == 200
    gated.model.open()
    visitor.finish(run)


def test_a_closed_studio_stops_its_runs_and_another_goes_on(gated, tmp_path, ledger):
    with served(ledger) as visitor:
        run = visitor.start(picture=visitor.upload(), api=gated.url)
        gated.model.open(4)
        visitor.until(run, "running")
        gated.model.open()
    known = gated.calls
    with served(ledger) as visitor:
        if known < 64:
            assert "Stopped." in visitor.page(f"/runs/{run}")
            visitor.resume(run)
            visitor.finish(run)
    assert gated.calls == 64
    assert same(map_of(ledger, run), by_command(tmp_path, gated.url))


def test_a_killed_studio_leaves_a_run_to_go_on_with(gated, tmp_path, ledger):
    with started(ledger) as (studio, url):
        visitor = Visitor(url)
        run = visitor.start(picture=visitor.upload(), api=gated.url)
        gated.model.open(4)
        visitor.until(run, "running")
        studio.kill()
        studio.wait()
    gated.model.open()
    with served(ledger) as visitor:
        page = visitor.page(f"/runs/{run}")
        assert "Interrupted." in page
        assert 'id="again"' in page
        visitor.resume(run)
        visitor.finish(run)
    assert same(map_of(ledger, run), by_command(tmp_path, gated.url))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_and_saves_what_has_arrived(gated, ledger, name):
    with started(ledger) as (studio, url):
        visitor = Visitor(url)
        run = visitor.start(picture=visitor.upload(), api=gated.url)
        gated.model.open(4)
        visitor.until(run, "running")
        news = visitor.news(run)
        next(news)
        studio.send_signal(getattr(signal, name))
        gated.model.open()
        for _ in news:
            pass
        _, err = studio.communicate(timeout=30)
        assert studio.returncode == 0, err
        assert err == "stopped; what had arrived is saved\n"
    ended = json.loads((runs_folder(ledger) / run / "ended.json").read_text())
    assert ended["state"] in ("stopped", "complete")
    assert (runs_folder(ledger) / run / "map.npy").exists()


@contextmanager
def started(ledger):
    """The command in a process of its own, and its address."""
    words = [sys.executable, "-m", "probe", "studio", "--no-browser", "--ledger", str(ledger)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, **pipes, env=environment) as studio:
        try:
            said = studio.stdout.readline()
            yield studio, re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", said)[0]
        finally:
            studio.kill()


def test_a_second_studio_on_the_ledger_is_refused(studio, ledger, capsys):
    with (
        pytest.raises(OutputError, match=rf"another studio \(process {os.getpid()}\)"),
        serve(ledger),
    ):
        pass
    with pytest.raises(SystemExit) as end:
        main(["studio", "--no-browser", "--ledger", str(ledger)])
    assert end.value.code == 7
    assert capsys.readouterr().err.count("\n") == 1


def test_a_server_that_never_answers_holds_up_no_page(visitor):
    picture = visitor.upload()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        def ask(_):
            with suppress(requests.Timeout):
                requests.post(
                    f"{visitor.base}/plan",
                    json={"picture": picture, "api": url},
                    headers={"Origin": visitor.base},
                    cookies=visitor.session.cookies,
                    timeout=0.5,
                )

        with ThreadPoolExecutor(60) as many:
            list(many.map(ask, range(60)))
        assert visitor.get("/").status_code == 200
        assert visitor.get(f"/pictures/{picture}.webp").status_code == 200


def test_a_port_in_use_is_named(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f":{port}: address already in use"),
            serve(tmp_path / "a.db", port),
        ):
            pass
        with pytest.raises(SystemExit) as end:
            main(
                ["studio", "--no-browser", "--port", str(port), "--ledger", str(tmp_path / "a.db")]
            )
    assert end.value.code == 2
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


def test_without_the_extra_one_line_says_so(monkeypatch, capsys, tmp_path):
    from probe import studio

    monkeypatch.setattr(studio, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as end:
        main(["studio", "--ledger", str(tmp_path / "a.db")])
    assert end.value.code == 2
    assert "pip install 'image-api-probe[studio]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wish", "status", "says"),
    [
        ({"api": "clarify"}, 400, "Did you mean 'clarifai'?"),
        ({"api": "http://127.0.0.1:9"}, 502, "127.0.0.1:9"),
        ({"api": "http://user:pass@x/"}, 400, "must not hold a user"),
        ({"method": "x"}, 400, "no method"),
        ({"budget": 10**9}, 400, "budget"),
        ({"budget": True}, 400, "budget"),
        ({"seed": -1}, 400, "seed"),
        ({"fill": "glitter"}, 400, "no fill"),
        ({"settings": "model"}, 400, "KEY=VALUE"),
        ({"settings": "a=1\na=2"}, 400, "twice"),
        ({"label": "x" * 501}, 400, "500 characters"),
        ({"api": ["skin"]}, 400, "api is a text"),
        ({"label": "nsfv", "api": "skin"}, 400, "no label 'nsfv'"),
        ({"picture": "nothing"}, 404, "nothing here"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_line(visitor, wish, status, says):
    answer = visitor.post("/plan", {"picture": visitor.upload(), "api": "skin", **wish})
    assert answer.status_code == status
    assert says in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_a_run_that_fails_says_why_and_can_be_resumed(visitor, gated):
    gated.model.open()
    gated.model.refusal = Failure("invalid", "<script>alert(1)</script>\x1b[31m no\nthing")
    run = visitor.start(picture=visitor.upload(), api=gated.url, budget=8)
    page = visitor.finish(run)
    assert "Failed." in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\x1b" not in page
    gated.model.refusal = None
    visitor.resume(run)
    visitor.finish(run)
    assert "Drawing the report" in visitor.page(f"/runs/{run}")


@pytest.mark.parametrize("words", [[], ["--no-browser"]])
def test_the_command_prints_the_address_and_opens_it(monkeypatch, capsys, tmp_path, words):
    opened, url = SimpleQueue(), "http://127.0.0.1:1/?token=x"
    monkeypatch.setattr("webbrowser.open", opened.put)

    def forever(ledger, port, connection, ready):
        assert (ledger, port, connection.timeout) == (tmp_path / "a.db", 0, 7)
        ready(SimpleNamespace(url=url, doorway=tmp_path / "open.html"))
        raise KeyboardInterrupt

    monkeypatch.setattr("probe.studio.serve_forever", forever)
    with pytest.raises(SystemExit) as end:
        main(["studio", "--ledger", str(tmp_path / "a.db"), "--timeout", "7", "-q", *words])
    assert end.value.code == 0
    assert capsys.readouterr() == (f"studio at {url} (Ctrl-C ends it)\n", "")
    if words:
        assert opened.empty()
    else:
        assert opened.get(timeout=30) == (tmp_path / "open.html").as_uri()


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "a.db.studio").write_text("in the way")
    said = r"cannot write into .*a\.db\.studio"
    with pytest.raises(OutputError, match=said), serve(tmp_path / "a.db"):
        pass


def test_a_full_disk_ends_a_run_with_its_reason_and_frees_the_service(
    visitor, gated, ledger, monkeypatch
):
    def full(self, folder):
        raise OutputError(f"cannot write {folder}: no space left on device")

    gated.model.open()
    monkeypatch.setattr(Result, "save", full)
    wish = {"picture": visitor.upload(), "api": gated.url, "budget": 8}
    run = visitor.start(**wish)
    page = visitor.finish(run)
    assert "Failed." in page
    assert "no space left on device" in page
    monkeypatch.undo()
    assert visitor.resume(run)["calls"] == 0
    assert "Drawing the report" in visitor.finish(run)
