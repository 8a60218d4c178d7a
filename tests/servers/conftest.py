"""Real servers, which nobody of this project wrote, with real weights, on loopback.

`tests/servers/install.sh DIR` installs them; PROBE_SERVERS=DIR tells the tests where. A server
that is not installed skips its tests, unless PROBE_ALL_INSTALLED is set: then it fails them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest

from probe import Prober
from probe.backends import resolve
from probe.backends.asking import Desk
from probe.backends.examine import examine
from probe.backends.local import local
from probe.image import decode, open_image
from probe.types import Box

HERE = Path(__file__).parent
RETINA = HERE.parents[1] / "examples/retina.jpg"
PATIENCE = 120.0
"""Seconds that a server may take to start."""


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


def folder_of(name):
    folder = Path(os.environ.get("PROBE_SERVERS", "/nowhere")) / name
    if not (folder / "installed").is_file():
        say = f"{name} is not installed: tests/servers/install.sh DIR, then PROBE_SERVERS=DIR"
        if os.environ.get("PROBE_ALL_INSTALLED"):
            pytest.fail(say)
        pytest.skip(say)
    return folder


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def status(port, path):
    """Of a GET; None while nobody listens or answers there."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


@contextmanager
def process(command, log, *, cwd=None, env=None):
    """A process group of its own, all of which is gone afterwards."""
    with log.open("wb") as out:
        running = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=os.environ | {k: str(v) for k, v in (env or {}).items()},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield running
    finally:
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(running.pid, kind)
                running.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def wait_until(ready, running, log):
    deadline = time.monotonic() + PATIENCE
    while not ready():
        try:
            running.wait(0.1)
            say = "ended"
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
            say = f"is not ready after {PATIENCE:.0f} s"
        pytest.fail(f"{running.args[0]} {say}:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """start(command, port, path, cwd=, env=): runs it until the module's tests are done.

    Returns the URL http://127.0.0.1:PORT when a GET of `path` there answers 200.
    """
    with ExitStack() as stack:

        def launch(command, port, path, **options):
            log = tmp_path_factory.mktemp("server") / "log"
            running = stack.enter_context(process(command, log, **options))
            wait_until(lambda: status(port, path) == 200, running, log)
            return f"http://127.0.0.1:{port}"

        yield launch


@pytest.fixture(scope="module")
def mlserver(start):
    folder, port = folder_of("mlserver"), free_port()
    env = {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": port,
        "MLSERVER_GRPC_PORT": free_port(),
        "MLSERVER_METRICS_PORT": free_port(),
        "MLSERVER_PARALLEL_WORKERS": 0,
    }
    command = [folder / "bin/mlserver", "start", HERE / "mlserver"]
    return start(command, port, "/v2/models/nsfw/ready", env=env)


@pytest.fixture(scope="module")
def litserve(start):
    folder, port = folder_of("litserve"), free_port()
    return start([folder / "bin/python", HERE / "litserve/serve.py", port], port, "/health")


@pytest.fixture(scope="module")
def openmoderate(start):
    """openmoderate(borders): the URL; borders: `trim`, as it does by itself, or `keep`."""
    folder = folder_of("openmoderate")

    def run(borders):
        port = free_port()
        command = [folder / "bin/python", HERE / "openmoderate/serve.py", port, borders]
        return start(command, port, "/health")

    return run


@pytest.fixture(scope="module")
def triton(start):
    folder, port = folder_of("triton"), free_port()
    command = [folder / "bin/python", HERE / "triton/serve.py", port]
    return start(command, port, "/v2/models/nsfw/ready")


@pytest.fixture(scope="module")
def nsfwpy(start):
    folder, port = folder_of("nsfwpy"), free_port()
    command = [folder / "bin/python", "-m", "uvicorn", "nsfwpy.api:app"]
    command += ["--host", "127.0.0.1", "--port", port]
    return start(command, port, "/health", env={"NSFWPY_ONNX_MODEL": folder / "model.onnx"})


@pytest.fixture(scope="module")
def nsfwjs(start):
    folder, port = folder_of("nsfwjs"), free_port()
    return start(["node", HERE / "nsfwjs/server.js", port], port, "/ready", cwd=folder)


@pytest.fixture(scope="module")
def nudenet(start, tmp_path_factory):
    """Two processes, one that answers and one that computes, over files in the recipe's folder."""
    folder, port = folder_of("nudenet"), free_port()
    recipe = tmp_path_factory.mktemp("recipe")
    for file in ("predictor.py", "example.py"):
        (recipe / file).write_bytes((HERE / "nudenet" / file).read_bytes())
    env = {"HOST": "127.0.0.1", "PORT": port, "WORKERS": 1}
    env |= {"OPTIMAL_BATCH_SIZE": 4, "ALLOW_PICKLE": "false"}
    command = [folder / "bin/python", "-m", "fastdeploy", "--recipe", recipe]
    log = recipe / "loop.log"
    with process([*command, "--loop"], log, cwd=recipe, env=env) as loop:
        wait_until(lambda: "warmup done" in log.read_text(errors="replace"), loop, log)
        yield start([*command, "--rest"], port, "/health", cwd=recipe, env=env)


@pytest.fixture(scope="session")
def retina():
    return RETINA


@dataclass(frozen=True)
class Encoded:
    data: bytes

    def pixels(self):
        return decode(self.data)


class Twin:
    """open_nsfw in this process, which sees what a service of these limits gets to see."""

    identity = "twin"

    def __init__(self, limits):
        two = {"labels": ("sfw", "nsfw"), "question": "nsfw"}
        self.limits = replace(limits, host=None, rate=(), price=None, **two)
        self._network = local()

    def score(self, variants, codec):
        return self._network.score([Encoded(v.encode(codec)) for v in variants], codec)


@pytest.fixture
def same_map(tmp_path):
    """same_map(backend, codec, within): its map of the retina is that of its twin; the Result."""

    def check(backend, codec, within, **options):
        prober = Prober(backend, codec=codec, ledger=tmp_path / "service.db")
        there = prober.probe(RETINA, "nsfw", **options)
        twin = Prober(Twin(prober.backend.limits), codec=codec, ledger=tmp_path / "twin.db")
        here = twin.probe(RETINA, "nsfw", **options)
        asked = [answer.perturbation for answer in there.answers]
        assert asked == [answer.perturbation for answer in here.answers]
        assert not there.failures
        assert there.reference["nsfw"] == pytest.approx(here.reference["nsfw"], abs=within)
        ours, theirs = here.heatmap().values, there.heatmap().values
        assert np.ptp(ours[np.isfinite(ours)]) > 0.1
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=2 * within)
        return there

    return check


@dataclass(frozen=True)
class Spoilt:
    """A backend to which the variant of one perturbation is sent as junk."""

    backend: object
    junk: object

    @property
    def identity(self):
        return self.backend.identity

    @property
    def limits(self):
        return self.backend.limits

    def score(self, variants, codec):
        sent = [Junk(v.perturbation) if v.perturbation == self.junk else v for v in variants]
        return self.backend.score(sent, codec)


@dataclass(frozen=True)
class Junk:
    perturbation: object

    def encode(self, codec):
        return b"this is no picture"


@pytest.fixture
def one_bad_picture(tmp_path):
    """one_bad_picture(backend, within): it is the only hole; returns the Result.

    All other answers are those of a run without it.
    """

    def check(backend, within, picture=RETINA, label="nsfw"):
        ask = {"label": label, "budget": 24}
        prober = Prober(backend, ledger=tmp_path / "sound.db")
        sound = prober.probe(picture, **ask)
        changes = [a.perturbation for a in sound.answers if isinstance(a.perturbation, Box)]
        spoilt = Spoilt(prober.backend, changes[5])
        there = Prober(spoilt, ledger=tmp_path / "spoilt.db").probe(picture, **ask)
        assert [answer.perturbation for answer in there.failures] == [changes[5]]
        for mine, theirs in zip(sound.answers, there.answers, strict=True):
            assert mine.perturbation == theirs.perturbation
            if theirs not in there.failures:
                assert dict(theirs.outcome) == pytest.approx(dict(mine.outcome), abs=within)
        return there

    return check


@pytest.fixture
def occlude(tmp_path):
    """occlude(*arguments): exit status and the JSON object of `probe occlude retina.jpg`."""

    def run(*arguments, **environ):
        command = [sys.executable, "-m", "probe", "occlude", RETINA, *arguments]
        command += ["--json", "--quiet", "--out", tmp_path / "out"]
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ | {"PROBE_LEDGER": str(tmp_path / "cli.db")} | environ,
        )
        return done.returncode, json.loads(done.stdout)

    return run


@pytest.fixture
def findings():
    """findings(backend): check -> Finding, by the retina."""

    def look(backend, trims=None):
        service = resolve(backend)
        picture = open_image(RETINA).image
        return {
            one.check: one for one in examine(Desk(service), service.limits, picture, (), trims)
        }

    return look
