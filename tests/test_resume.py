"""Killed, interrupted, or two at once: nothing that was received is lost or asked again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter

import numpy as np
import pytest

from probe import Prober
from probe.errors import Unreachable
from probe.ledger import Ledger
from probe.limits import Limits, Retry
from probe.mock import serve
from probe.mock.faults import Faults
from probe.perturb import canonical
from probe.testing.planted import Planted, planted_picture
from probe.types import Canvas, Codec, Failure

BATCH = 4
CHILD = """
import os, sys
import numpy as np
from probe import Prober
from probe.perturb import canonical
from probe.testing.planted import Planted, planted_picture
from probe.limits import Limits, Retry
from probe.types import (Canvas)

canvas = Canvas((96, 64), (96, 64))

class Logged(Planted):
    def score(self, variants, codec):
        outcomes = super().score(variants, codec)
        lines = [f"asked {canonical(v.perturbation, canvas)}" for v in variants]
        os.write(1, ("\\n".join(lines) + "\\n").encode())
        return outcomes

limits = Limits(batch=4, concurrency=int(sys.argv[2]), formats=("pixels",),
                question="nsfw", deterministic=True)
result = Prober(Logged(limits=limits), ledger=sys.argv[1]).probe(planted_picture(), budget=64)
os.write(1, f"done {result.calls}\\n".encode())
"""


def child(ledger, concurrency=1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(ledger), str(concurrency)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def uninterrupted():
    return Prober(Planted(), ledger=Ledger(None)).probe(planted_picture(), budget=64).heatmap()


@pytest.mark.parametrize(
    ("concurrency", "deaths"), [(1, [1]), (1, [7, 30]), (3, [13, 5, 21]), (3, [50])]
)
def test_killed_at_any_point_the_same_command_goes_on(tmp_path, concurrency, deaths):
    ledger, asked = tmp_path / "ledger.db", Counter()
    for lines in deaths:
        process = child(ledger, concurrency)
        for _ in range(lines):
            line = process.stdout.readline()
            asked.update([line] if line.startswith("asked") else [])
        process.kill()
        rest = process.stdout.read()
        _, errors = process.communicate()
        assert "Traceback" not in errors
        asked.update(line + "\n" for line in rest.splitlines() if line.startswith("asked"))
    process = child(ledger, concurrency)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    asked.update(line + "\n" for line in output.splitlines() if line.startswith("asked"))
    assert len(asked) == 64
    twice = sum(asked.values()) - 64
    assert twice <= len(deaths) * BATCH * 2 * concurrency  # one in hand for each in flight
    known = Prober(Planted(), ledger=ledger, offline=True).heatmap(planted_picture(), budget=64)
    fresh = uninterrupted()
    np.testing.assert_array_equal(known.values, fresh.values)
    np.testing.assert_array_equal(known.stderr, fresh.stderr)
    with Ledger(ledger) as opened:
        assert opened.damaged == 0


def default_signals():
    """Also where the tests run with signals ignored, as under nohup."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
def test_a_signal_ends_the_command_with_its_code_and_a_partial_map(tmp_path, number, code):
    class Signalling(Planted):
        """Tells the client to stop in the middle of its run."""

        process: subprocess.Popen[str]

        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked == 1 + 8 * 2:
                self.process.send_signal(getattr(signal, number))
            return outcomes

    backend = Signalling()
    picture = tmp_path / "planted.png"
    planted_picture().save(picture)
    with serve(backend) as server:
        command = [sys.executable, "-m", "probe", "occlude", str(picture), "--api", server.url]
        command += ["--codec", "png", "--ledger", str(tmp_path / "l.db")]
        command += ["--out", str(tmp_path / "out")]
        backend.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, preexec_fn=default_signals
        )
        _, errors = backend.process.communicate()
        assert backend.process.returncode == code
        assert f"stopped by {number}" in errors
        assert "Traceback" not in errors
        assert backend.asked < 64
        assert (tmp_path / "out" / "overlay.png").exists()
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert server.calls == backend.asked == 64


def test_killed_while_a_server_answers_only_what_was_in_flight_is_asked_again(tmp_path):
    class Killing(Planted):
        process: subprocess.Popen[str] | None = None

        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.process is not None and self.asked > 30:
                self.process.kill()
                self.process.wait()
                self.process = None
            return outcomes

    backend = Killing()
    picture = tmp_path / "planted.png"
    planted_picture().save(picture)
    with serve(backend) as server:
        command = [sys.executable, "-m", "probe", "occlude", str(picture), "--api", server.url]
        command += ["--codec", "png", "--ledger", str(tmp_path / "l.db")]
        command += ["--out", str(tmp_path / "out")]
        backend.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        backend.process.communicate()
        before = backend.asked
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    twice = backend.asked - 64
    unknown = int(re.search(r"(\d+) variants in flight", done.stderr)[1])
    assert 0 < twice <= unknown <= 2 * 2 * 8
    assert before < 64
    saved = np.load(tmp_path / "out" / "map.npy")
    np.testing.assert_array_equal(saved, uninterrupted().values)


AT_ONCE = 4
"""Batches on their way: two that the mock takes at once, and as many made ready."""


class Throttled:
    """A server that answers 429 now and then, and what its clients sent it."""

    def __init__(self, server) -> None:
        self.server = server
        self.pictures = 0
        self.throttled = 0
        self.on_429 = lambda: None
        self._post = server.router.post
        self._lock = threading.Lock()
        server.router.post = self.post

    def post(self, asked):
        said = self._post(asked)
        with self._lock:
            self.pictures += len(json.loads(asked.body)["images"])
            self.throttled += said.status == 429
        if said.status == 429:
            self.on_429()
        return said


class Counting(Planted):
    """How often each picture was scored, and paid for."""

    def __init__(self) -> None:
        super().__init__()
        self.scored: Counter[bytes] = Counter()

    def answer(self, image):
        with self._lock:
            self.scored[image.tobytes()] += 1
        return super().answer(image)


@pytest.fixture
def command(tmp_path):
    """The command line of a run against a server's URL."""
    planted_picture().save(tmp_path / "planted.png")

    def words(url, out="out"):
        picture, ledger = str(tmp_path / "planted.png"), str(tmp_path / "l.db")
        run = [sys.executable, "-m", "probe", "occlude", picture, "--api", url, "--json"]
        return [*run, "--codec", "png", "--ledger", ledger, "--out", str(tmp_path / out)]

    return words


def start(command) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=default_signals,
    )


def count_of_unknown(said: str) -> int:
    found = re.search(r"(\d+) variants? in flight", said)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("number", ["SIGKILL", "SIGINT"])
@pytest.mark.parametrize("turn", [1, 3])
def test_stopped_while_it_is_throttled_only_what_was_in_flight_is_asked_again(
    tmp_path, command, number, turn
):
    backend = Counting()
    faults = Faults.parse("429-seconds=0.4,wait=0", seed=1)
    with serve(backend, faults=faults) as server:
        watched = Throttled(server)

        def stop() -> None:
            if watched.throttled == turn:
                process.send_signal(getattr(signal, number))

        watched.on_429 = stop
        process = start(command(server.url))
        output, errors = process.communicate()
        assert watched.throttled >= turn
        before, pictures = server.requests, watched.pictures
        first = len(backend.scored)
        assert 0 < first < 64
        if number == "SIGINT":
            assert process.returncode == 130, errors
            told = json.loads(output.splitlines()[0])
            assert (told["requests"], told["calls"]) == (before, pictures)
        else:
            assert process.returncode == -signal.SIGKILL
        watched.on_429 = lambda: None
        done = subprocess.run(command(server.url), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        late = AT_ONCE if number == "SIGKILL" else 0  # sent before, read by the server after
        assert 0 <= server.requests - before - told["requests"] <= late
        assert 0 <= watched.pictures - pictures - told["calls"] <= late * 8
    assert len(backend.scored) == 64
    twice = sum(backend.scored.values()) - 64
    unknown = count_of_unknown(done.stderr)
    assert twice <= unknown <= AT_ONCE * 8
    if number == "SIGINT":
        assert unknown == 0, "what was in flight was waited for"
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "map.npy"), uninterrupted().values)


def test_an_answer_that_never_came_is_unknown_to_the_next_run(tmp_path, command):
    backend = Counting()
    with serve(backend, faults=Faults.parse("reset=1x9,in_a_row=9", seed=1)) as server:
        failed = subprocess.run(command(server.url), capture_output=True, text=True)
        assert failed.returncode in (3, 4), failed.stderr
        lost = backend.asked
        assert lost > 0
        server.weather(Faults())
        done = subprocess.run(command(server.url), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert 0 < count_of_unknown(done.stderr) <= lost
    assert backend.asked == 64 + lost


def test_what_was_lost_and_could_not_be_sent_again_is_unknown_to_the_next_run(tmp_path):
    class GoingAway(Planted):
        def score(self, variants, codec):
            self.asked += len(variants)
            if self.asked == 1:
                return [Failure("lost", "reset", billed=True)]
            raise Unreachable("refused")

    limits = Limits(
        batch=8,
        formats=("pixels",),
        question="nsfw",
        deterministic=True,
        host="far.example",
        retry=Retry(base=0.0),
    )
    with pytest.raises(Unreachable):
        Prober(GoingAway(limits=limits), ledger=tmp_path / "l.db").probe(planted_picture())
    result = Prober(Planted(limits=limits), ledger=tmp_path / "l.db").probe(planted_picture())
    assert any("1 variant in flight when another run ended" in note for note in result.notes)


def test_ctrl_c_in_a_long_pause_wakes_at_once(tmp_path, command):
    backend = Counting()
    with serve(backend, faults=Faults.parse("429-seconds=0.4,wait=110", seed=1)) as server:
        watched = Throttled(server)
        watched.on_429 = lambda: process.send_signal(signal.SIGINT)
        process = start(command(server.url))
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 130, errors
        server.weather(Faults())
        done = subprocess.run(command(server.url), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert set(backend.scored.values()) == {1}
    assert len(backend.scored) == 64


def test_a_second_process_on_the_same_run_is_told_whose_it_is(tmp_path, command):
    class Waiting(Counting):
        def score(self, variants, codec):
            asked.set()
            assert go_on.wait(60)
            return super().score(variants, codec)

    asked, go_on = threading.Event(), threading.Event()
    backend = Waiting()
    with serve(backend) as server:
        process = start(command(server.url))
        try:
            assert asked.wait(60)
            second = subprocess.run(command(server.url), capture_output=True, text=True, timeout=60)
        finally:
            go_on.set()
        assert second.returncode == 7
        assert f"another probe (process {process.pid}) is writing" in second.stderr
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert server.calls == 64
        assert subprocess.run(command(server.url), capture_output=True).returncode == 0
        assert server.calls == 64
    assert not (tmp_path / "out" / ".pid").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no job control")
def test_asleep_while_its_server_was_started_anew_it_goes_on_without_a_burst(tmp_path, command):
    """As a laptop that is closed and opened again."""

    class Sending(Counting):
        at_once = most = 0

        def score(self, variants, codec):
            with self._lock:
                self.at_once += 1
                self.most = max(self.most, self.at_once)
            outcomes = super().score(variants, codec)
            with self._lock:
                self.at_once -= 1
            if self.asked > 20 and not asleep.is_set():
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
                asleep.set()
            return outcomes

    asleep = threading.Event()
    backend = Sending()
    with serve(backend) as server:
        url, port = server.url, server.server_address[1]
        process = start(command(url))
        assert asleep.wait(60)
    with serve(backend, port=port) as server:
        process.send_signal(signal.SIGCONT)
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    told = json.loads(output)
    assert told["failures"] == 0
    lost = re.search(r"The answer to (\d+) variant", errors)
    assert sum(backend.scored.values()) <= 64 + int(lost[1] if lost else 0)
    assert backend.most <= 2, "more at once than the service takes"
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "map.npy"), uninterrupted().values)


def test_two_processes_at_once_agree(tmp_path):
    ledger = tmp_path / "ledger.db"
    both = [child(ledger, 2), child(ledger, 2)]
    for process in both:
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        assert "done" in output
    known = Prober(Planted(), ledger=ledger, offline=True).heatmap(planted_picture(), budget=64)
    np.testing.assert_array_equal(known.values, uninterrupted().values)


def test_over_http_as_png_the_map_is_the_same_as_in_process(tmp_path):
    with serve(Planted()) as server:
        prober = Prober(server.url, codec=Codec("png"), ledger=tmp_path / "l.db")
        result = prober.probe(planted_picture(), budget=64)
        assert server.calls == result.calls == 64
        assert server.requests == result.requests
    np.testing.assert_array_equal(result.heatmap().values, uninterrupted().values)
    np.testing.assert_array_equal(result.heatmap().mean_score, uninterrupted().mean_score)


def test_offline_needs_no_server(tmp_path):
    with serve(Planted()) as server:
        url = server.url
        before = Prober(url, ledger=tmp_path / "l.db").heatmap(planted_picture(), budget=20)
    after = Prober(url, ledger=tmp_path / "l.db", offline=True).heatmap(
        planted_picture(), budget=20
    )
    np.testing.assert_array_equal(before.values, after.values)
    assert after.calls == 0


def test_the_canonical_name_is_what_the_child_logs():
    canvas = Canvas((96, 64), (96, 64))
    limits = Limits(batch=64, formats=("pixels",), question="nsfw", deterministic=True)
    result = Prober(Planted(limits=limits), ledger=Ledger(None)).probe(planted_picture())
    names = {canonical(answer.perturbation, canvas) for answer in result.answers}
    assert len(names) == 64
